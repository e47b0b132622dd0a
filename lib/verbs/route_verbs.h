/* route_verbs: the verbs of txnroute: load, run, extract. */
#ifndef ROUTE_VERBS_H
#define ROUTE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb route_verb_load, route_verb_run, route_verb_extract;

#endif
