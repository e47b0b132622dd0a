/* row_class: many rows at once by a rule. Where a rule uses the key only to name the row, rows that are equal in the columns
 * that it reads have the same audience: the rule is evaluated for each such class, not for each row. */
#ifndef ROW_CLASS_H
#define ROW_CLASS_H

#include "route/object_delta.h"

/* The classes of the object at hand. row_classes_open gives SQL on the connection their numbers; NULL on failure. To be
 * closed after the last statement that asks for one. */
struct row_classes *row_classes_open(struct db *db);
void row_classes_close(struct row_classes *c);

/* Finds the classes of the rows of `source` (an SQL name: the object's table, or an image of it) and their audiences.
 * 1; 0 when the object's rule does not allow it, or there are more classes than are worth it; -1. */
int row_class_find(struct object_deltas *v, const struct object_delta *w, const char *source);

/* Appends SQL, after row_class_find: a join of the rows under the alias with their class's audience, dx_n.audience; rows
 * that the rule gives to nobody have NULL there when `outer`, else they are left out. */
void row_class_join(struct buf *sql, const struct object_delta *w, const char *alias, bool outer);

/* Fills the table of rows (next_audience.h) for those of the source. 1, 0, -1 as row_class_find. */
int row_class_next(struct object_deltas *v, const struct object_delta *w, const char *source);

#endif
