/* plan_apply: full rows that a comparison asked for, written where the receiver's rows still are what they were then
 * (archive/dx.h, DX_ROWS). A row that is not is left alone, to come up again in the next comparison. */
#ifndef PLAN_APPLY_H
#define PLAN_APPLY_H

#include "apply/apply_context.h"

int plan_apply_begin(struct apply_context *w); /* 1, or -1 */
int plan_apply_end(struct apply_context *w);

/* One row (a apply_one_fn). */
int plan_apply_one(struct apply_context *w, struct target *t, struct change *c);
void plan_apply_free(struct plan_apply *r); /* NULL is fine */

#endif
