/* pair_verbs: the verbs of hhextract: pair, run. */
#ifndef PAIR_VERBS_H
#define PAIR_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb pair_verb_pair, pair_verb_run;

#endif
