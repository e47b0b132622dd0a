/* pairs: what moved of an object, from what changed: (key, node) pairs that a rule gained and lost.
 *
 * An arm of a rule is a join of occurrences of tables. A pair that is true now and was not before has a derivation
 * with at least one new row: it is found by putting, for one occurrence at a time, the new images in the table's
 * place, all others as they are now. A pair that is no longer true had a derivation with at least one old row: one
 * occurrence as old images, each later one of those that changed as it is now, or as old images. The former are true;
 * the latter are checked against what is held and against the rule as it is now. NOT EXISTS turns round: rows that
 * went away let pairs in. The object's own changed rows are evaluated by key instead: their whole new set against
 * what is held. */
#ifndef PAIRS_H
#define PAIRS_H

#include "view.h"

/* Makes the temporary tables. */
int pairs_init(struct views *v);

/* Fills temp.dx_moved of an object whose rule is exact, or that stands below a parent or everybody sees in part. The
 * definition must be the one by which the rows are held. */
int pairs_move(struct views *v, const struct viewed *w);

#endif
