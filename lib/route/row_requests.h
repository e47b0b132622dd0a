/* row_requests: single rows that are to be sent whole: to the nodes that must have them (dx_force), and rows that an earlier
 * run has set aside. */
#ifndef ROW_REQUESTS_H
#define ROW_REQUESTS_H

#include "route/moves.h"

/* Two temporary tables, filled object by object in the course of a run: forced rows (obj, key, node), and owed rows (obj,
 * key), which were set aside before. obj is the object's number, key the packed key. */
int row_requests_init(struct db *db); /* makes them */

/* Reads what dx_force asks for of the object, and the rows of it that were set aside; adds those rows to the object's moves,
 * moved or not. */
int row_requests_read(struct object_deltas *v, const struct object_delta *w);

/* Appends a SELECT of the keys of the object's forced rows. */
void row_requests_keys(struct buf *sql, const struct object_delta *w);

/* Whether the object has forced rows. */
int row_requests_any(struct db *db, const struct object_delta *w, bool *any);

/* Statements by ?1 obj and ?2 key: the nodes that must have the row; a row if it is owed. NULL on failure. */
struct stmt *row_requests_nodes(struct db *db);
struct stmt *row_requests_owed(struct db *db);

#endif
