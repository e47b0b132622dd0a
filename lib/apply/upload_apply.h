/* upload_apply: a node's upload taken in by its server: numbered, checked against what the node may write, and merged. */
#ifndef UPLOAD_APPLY_H
#define UPLOAD_APPLY_H

#include "apply/merge_context.h"

/* As download_begin. */
int upload_apply_begin(struct apply_context *w);
int upload_apply_end(struct apply_context *w);

/* Once the change log has begun: notes the files that nodes name in their rows (nodes/attachment.h). */
void upload_apply_watch(struct apply_context *w);

/* When all is done and the triggers are back. */
int upload_apply_last(struct apply_context *w);

/* After a failure, and the rollback: holds a node that has asked for too much. The message stays, and says so. */
void upload_apply_failed(struct apply_context *w);

/* One change (a apply_one_fn). */
int upload_apply_one(struct apply_context *w, struct target *t, struct change *c);

/* Whether the node whose change in quarantine it is may still do it (a node's: apply/merge.h, as): 1; 0: it is refused, like one
 * that comes; -1. */
int upload_apply_still(struct apply_context *w, struct target *t, struct change *c);

/* Whether the table's triggers are this database's own (app_triggers_act): its node's copy does not have them, so that they
 * fire for what it changed. ctx: the apply_context. */
bool upload_apply_triggers(void *ctx, const char *table);

/* A change of a table that this database does not have, or that no archive may touch. */
int upload_apply_stranger(struct apply_context *w, const struct change *c);

#endif
