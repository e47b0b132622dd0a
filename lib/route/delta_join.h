/* delta_join: what moved of an object, from what changed: (key, node) pairs that a rule gained and lost.
 *
 * An arm of a rule is a join of occurrences of tables. A pair that is true now and was not before has a derivation
 * with at least one new row: it is found by putting, for one occurrence at a time, the new images in the table's
 * place, all others as they are now. A pair that is no longer true had a derivation with at least one old row: one
 * occurrence as old images, each later one of those that changed as it is now, or as old images. The former are true;
 * the latter are checked against what is held and against the rule as it is now. NOT EXISTS turns round: rows that
 * went away let pairs in. The object's own changed rows are evaluated by key instead (route/delta_by_key.h). */
#ifndef DELTA_JOIN_H
#define DELTA_JOIN_H

#include "route/object_delta.h"

/* Makes the temporary tables. */
int delta_join_init(struct object_deltas *v);

/* Adds to the moves (moves.h) what the rule gained and lost because of other tables (and of other rows of its own); own: the
 * object's own changed rows have been dealt with. The rule must be exact, and the one by which the rows are held. */
int delta_join_move(struct object_deltas *v, const struct object_delta *w, bool own);

#endif
