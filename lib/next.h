/* next: what an object's definition makes of rows: their keys and audiences. */
#ifndef NEXT_H
#define NEXT_H

#include "view.h"

/* Fills temp.dx_next(key, audience) with what the definition makes of the rows of `source` (the SQL name of an image of
 * the object's table; NULL: the table itself), those that somebody holds. What moved of its parent must be there. */
int next_fill(struct views *v, const struct viewed *w, const char *source);

#endif
