/* upload_apply: a node's upload taken in by its server: numbered, checked against what the node may write, and merged. */
#ifndef UPLOAD_APPLY_H
#define UPLOAD_APPLY_H

#include "apply/merge.h"

/* As download_begin. */
int accept_begin(struct work *w);
int accept_end(struct work *w);

/* One change (a work_one). */
int accept_one(struct work *w, struct target *t, struct change *c);

/* Whether the node whose change in quarantine it is may still do it (a node's: apply/merge.h, as): 1; 0: it is refused, like one
 * that comes; -1. */
int accept_still(struct work *w, struct target *t, struct change *c);

/* A change of a table that this database does not have, or that no archive may touch. */
int accept_stranger(struct work *w, const struct change *c);

#endif
