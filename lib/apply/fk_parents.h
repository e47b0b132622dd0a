/* fk_parents: whether the rows that a row refers to are there, by the foreign keys its table declares. */
#ifndef FK_PARENTS_H
#define FK_PARENTS_H

#include "apply/target.h"

struct fk_parents;

/* The foreign keys of the target's table. NULL on failure. */
struct fk_parents *fk_parents_open(struct target *t);
void fk_parents_free(struct fk_parents *p);

/* Whether each row that the change makes its row refer to is there: 1, 0 (fk_parents_missing says which), -1. An update is
 * asked about the keys it changes only. */
int fk_parents_there(struct fk_parents *p, struct target *t, const struct change *c);
const char *fk_parents_missing(const struct fk_parents *p);

/* What the reference that is missing says: its table, and n values in columns of that. NULL: nothing was missing. */
struct fk_parents_row {
    const char *table;
    size_t n;
    char *const *column;
    const struct val *value; /* until the next call */
};
const struct fk_parents_row *fk_parents_missing_row(const struct fk_parents *p);

/* A row of the table (NULL: of any) has been deleted: what was found of it is not believed any more. */
void fk_parents_forget(struct fk_parents *p, const char *table);

#endif
