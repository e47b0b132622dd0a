/* class: many rows at once by a rule. Where a rule uses the key only to name the row, rows that are equal in the columns
 * that it reads have the same audience: the rule is evaluated for each such class, not for each row. */
#ifndef CLASS_H
#define CLASS_H

#include "view.h"

/* Whether the object's rule allows it. */
bool class_able(const struct viewed *w);

/* Fills temp.dx_next(key, audience) for the rows of `source` (an SQL name: the object's table, or an image of it). */
int class_next(struct views *v, const struct viewed *w, const char *source);

#endif
