/* plan_apply: full rows that a comparison asked for, written where the receiver's rows still are what they were then
 * (archive/dx.h, DX_ROWS). A row that is not is left alone, to come up again in the next comparison. */
#ifndef PLAN_APPLY_H
#define PLAN_APPLY_H

#include "apply/apply_context.h"

int rows_begin(struct work *w); /* 1, or -1 */
int rows_end(struct work *w);

/* One row (a work_one). */
int rows_one(struct work *w, struct target *t, struct change *c);
void rows_free(struct rows *r); /* NULL is fine */

#endif
