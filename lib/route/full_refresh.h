/* full_refresh: what moved of an object that is evaluated whole: all its rows by its definition, against what was held. */
#ifndef FULL_REFRESH_H
#define FULL_REFRESH_H

#include "route/object_delta.h"

/* Whether that is needed: its definition or the time is new, or its rule is not to be had from changes; or everybody
 * holds its rows, so that nothing is to be evaluated. */
bool full_refresh_needed(const struct object_delta *w);

/* Fills the moves (moves.h) of the object. */
int full_refresh_move(struct object_deltas *v, const struct object_delta *w);

#endif
