/* node_verbs: the verbs of txnroute: node. */
#ifndef NODE_VERBS_H
#define NODE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb node_verb_node;

#endif
