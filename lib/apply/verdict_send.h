/* verdict_send: what a merge decides against a node is kept for its next archive (nodes/verdict.h). A verdict holds what the
 * node itself had sent and no value of this database: the node may not see the row. */
#ifndef VERDICT_SEND_H
#define VERDICT_SEND_H

#include "apply/apply_context.h"

/* A change of a table, which need not be here, was decided. column: its number, or -1 for the row. Does nothing for what
 * was taken (CONFLICT_THEIRS) and for changes of who is no node. */
int verdict_send(struct apply_context *w, const struct change *c, int column, const char *kind,
                 const char *outcome, const char *reason);

/* Appends what a verdict on the change tells: of it what its node sent, as far as the columns of o travel to it (NULL: all).
 * column: its number, or -1 for the row. */
struct object;
void verdict_put(struct buf *b, const struct change *c, int column, const struct object *o);

/* The change of `origin` went into quarantine, so that its row is taken back at the node meanwhile. */
int verdict_send_waits(struct apply_context *w, const struct change *c, const char *origin);

#endif
