/* verdict_forward: on a companion. When the server decides against a change that came from a handheld, the verdict is kept
 * for the handheld's next archive. */
#ifndef VERDICT_FORWARD_H
#define VERDICT_FORWARD_H

#include "apply/apply_context.h"
#include "archive/dx.h"

/* v: a verdict that this copy has just received; c: the change it is about, as this copy sent it; column: its index in the
 * table, or -1 for the whole row. If the journal's newest change of that value came from a node, the node gets the verdict. */
int verdict_forward(struct apply_context *w, const struct dx_verdict *v, const struct change *c, int column);

#endif
