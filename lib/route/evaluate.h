/* evaluate: what an object's definition makes of rows: their keys and audiences. */
#ifndef EVALUATE_H
#define EVALUATE_H

#include "route/object_delta.h"

/* Fills the table of rows (next_audience.h) with what the definition makes of the rows of `source` (the SQL name of an image of
 * the object's table; NULL: the table itself), those that somebody holds. What moved of its parent must be there. */
int evaluate_fill(struct object_deltas *v, const struct object_delta *w, const char *source);

#endif
