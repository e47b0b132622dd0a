/* next_audience: what a rule yields, and the audience that it makes of it: of each row, or of each class of rows. */
#ifndef NEXT_AUDIENCE_H
#define NEXT_AUDIENCE_H

#include "route/object_delta.h"

/* Two temporary tables (key, audience), for one object at a time: a row's packed key, or a class's number
 * (row_class.h), and the audience that it has after the run. A third has the pairs (key, node) that a rule yields, in any
 * order and perhaps repeated. */
enum next_audience { NEXT_ROWS, NEXT_CLASSES };

int next_audience_init(struct db *db); /* makes the tables */

/* Empties the table of rows; appends "INSERT INTO ... SELECT" for its columns, up to their list. */
int next_audience_clear(struct db *db);
void next_audience_insert(struct buf *sql);

/* The table's name, for SQL. */
const char *next_audience_table(enum next_audience which);

/* Empties the table of pairs; appends "INSERT INTO ..." for it, up to the query. */
int next_audience_clear_pairs(struct db *db);
void next_audience_insert_pairs(struct buf *sql);

/* Replaces the table's rows by the pairs, grouped by key. */
int next_audience_group(struct object_deltas *v, enum next_audience which);

#endif
