/* verdict_forward: what a server decided against a change that this copy had from a node of its own, a handheld, is noted to
 * be told to that node, too. */
#ifndef VERDICT_FORWARD_H
#define VERDICT_FORWARD_H

#include "apply/apply_context.h"
#include "archive/dx.h"

/* The verdict is new here; c is the change that it is about, as this copy had sent it, and column its number, or -1 for the
 * row. Where the newest change of that, as far as the journal goes back, is a node's, the node is told it. */
int verdict_forward(struct apply_context *w, const struct dx_verdict *v, const struct change *c, int column);

#endif
