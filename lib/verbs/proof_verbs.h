/* proof_verbs: the verbs of txnlog: digest, prove, recover. */
#ifndef PROOF_VERBS_H
#define PROOF_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb proof_verb_digest, proof_verb_prove, proof_verb_recover;

#endif
