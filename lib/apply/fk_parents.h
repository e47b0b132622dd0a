/* fk_parents: whether the rows that a row refers to are there, by the foreign keys its table declares. */
#ifndef FK_PARENTS_H
#define FK_PARENTS_H

#include "apply/target.h"

struct parents;

/* The foreign keys of the target's table. NULL on failure. */
struct parents *parents_open(struct target *t);
void parents_free(struct parents *p);

/* Whether each row that the change makes its row refer to is there: 1, 0 (parents_missing says which), -1. An update is
 * asked about the keys it changes only. */
int parents_there(struct parents *p, struct target *t, const struct change *c);
const char *parents_missing(const struct parents *p);

/* A row of the table (NULL: of any) has been deleted: what was found of it is not believed any more. */
void parents_forget(struct parents *p, const char *table);

#endif
