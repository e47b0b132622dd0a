/* judge: what a node's upload may have changed on the server, by the package as site-sim understands it. */
#ifndef JUDGE_H
#define JUDGE_H

#include "place.h"

/* Compares the server with a copy of it from before an upload of the node was merged. Values that went, went lawfully. */
int judge(struct place *p, int node, const char *before);

#endif
