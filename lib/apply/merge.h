/* merge: a change that was made elsewhere meets the row as it is here: field by field, the old value that came against
 * the current one. What both changed is a conflict, decided by policy and recorded. */
#ifndef MERGE_H
#define MERGE_H

#include "apply/merge_context.h"

/* Judges a change and does it (an apply_one_fn); permission is not asked here. */
int merge_one(struct apply_context *w, struct target *t, struct change *c);

#endif
