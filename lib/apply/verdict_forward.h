/* verdict_forward: on a companion. When the server decides against a change that came from a handheld, the verdict is kept
 * for the handheld's next archive. */
#ifndef VERDICT_FORWARD_H
#define VERDICT_FORWARD_H

#include "apply/apply_context.h"
#include "archive/dx.h"

/* A verdict that this copy has just received. */
struct verdict_received {
    const struct dx_verdict *verdict;
    struct change change; /* what it is about, as this copy sent it; its values are the caller's */
    int column;           /* its index in the change's table, or -1 for the whole row */
};

/* Where the journal's newest change of what a verdict is about came from a node, that node gets the verdict. The journal is
 * read once for all of them. */
int verdict_forward(struct apply_context *w, const struct verdict_received *list, size_t n);

#endif
