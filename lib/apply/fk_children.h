/* fk_children: the rows that refer to a row, by the foreign keys that tables declare, and what these say shall become of
 * them when it is deleted. */
#ifndef FK_CHILDREN_H
#define FK_CHILDREN_H

#include "apply/target.h"
#include "data/arena.h"

struct fk_children;

/* SET DEFAULT counts as restricting: nothing is lost by it. */
enum children_action { CHILDREN_RESTRICT, CHILDREN_CASCADE, CHILDREN_SET_NULL };

struct child {
    enum children_action action;
    struct target *target; /* its table */
    struct val *row;       /* whole */
    const size_t *column;  /* the columns that refer, */
    const size_t *to;      /* and the parent's that they refer to */
    size_t ncolumn;
};

/* The foreign keys that refer to the target's table, in tables that can be changed here. NULL on failure. The targets
 * must outlive it. */
struct fk_children *fk_children_open(struct targets *ts, struct target *t);
void fk_children_free(struct fk_children *c);

/* Whether no table refers to this one. */
bool fk_children_none(const struct fk_children *c);

/* The rows that refer to the parent's row (whole), itself apart: *out and the values are the arena's. Where the columns that
 * refer have no index and many rows are asked for, one is made in the transaction; fk_children_end drops it, and must be
 * called before the commit. */
int fk_children_load(struct fk_children *c, const struct val *row, struct arena *a, struct child **out,
                     size_t *n);

int fk_children_end(struct fk_children *c); /* NULL is fine */

#endif
