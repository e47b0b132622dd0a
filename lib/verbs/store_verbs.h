/* store_verbs: the verbs of txnroute: files. */
#ifndef STORE_VERBS_H
#define STORE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb store_verb_arrived;
extern const struct cli_verb store_verb_files;

#endif
