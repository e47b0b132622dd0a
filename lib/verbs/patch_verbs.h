/* patch_verbs: the verbs of txnroute: patch. */
#ifndef PATCH_VERBS_H
#define PATCH_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb patch_verb_patch;

#endif
