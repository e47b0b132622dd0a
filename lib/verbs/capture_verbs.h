/* capture_verbs: the verbs of txnlog: attach, detach, trim, status. */
#ifndef CAPTURE_VERBS_H
#define CAPTURE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb capture_verb_attach, capture_verb_detach, capture_verb_trim, capture_verb_status;

#endif
