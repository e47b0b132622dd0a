/* seal_verbs: the verbs of dxpack: seal, unseal. */
#ifndef SEAL_VERBS_H
#define SEAL_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb seal_verb_seal, seal_verb_unseal;

#endif
