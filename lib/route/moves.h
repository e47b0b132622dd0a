/* moves: the rows of each object that a run moves from one audience to another. */
#ifndef MOVES_H
#define MOVES_H

#include "route/object_delta.h"

/* Each object has a temporary table (key, old, new): the packed key of a row, its audience before the run and after it. A
 * row with the same audience twice did not move; it is there because it is to be sent whole. Until moves_store, the
 * membership of the run before is in the database, and the table holds what differs from it. */

/* Makes the table that moves_since fills. */
int moves_init(struct db *db);

/* Makes the object's table, empty; empties it. */
int moves_make(struct db *db, const struct object_delta *w);
int moves_clear(struct db *db, const struct object_delta *w);

/* Appends the name of the object's table. */
void moves_table(struct buf *sql, const struct object_delta *w);

/* Appends the beginning of a statement, up to its SELECT of key, old and new. moves_insert_new: rows that are in the table
 * stay as they are. */
void moves_insert(struct buf *sql, const struct object_delta *w);
void moves_insert_new(struct buf *sql, const struct object_delta *w);

/* A statement that adds a row: ?1 key, ?2 old, ?3 new. NULL on failure. */
struct stmt *moves_put(struct db *db, const struct object_delta *w);

/* Adds the rows of which a SELECT yields `key`, moved or not. */
int moves_name(struct db *db, const struct object_delta *w, const char *keys);

/* Whether rows of the object's parent moved. */
bool moves_of_parent(struct db *db, const struct object_delta *w);

/* Puts what moved into the membership, new audiences into dx_audience, and the moves into the history (NULL: they are no
 * news). */
int moves_store(struct object_deltas *v, const struct object_delta *w, struct membership_moves *moves);

/* Fills another table of the same columns with the object's rows that moved since a run (dx_meta `routes`), this run
 * among them, and those that any node asks for. moves_since_table: its name, for SQL. */
int moves_since(struct object_deltas *v, const struct object_delta *w, int64_t run);
const char *moves_since_table(void);

#endif
