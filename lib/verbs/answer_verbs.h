/* answer_verbs: the verbs of syncdiff: conflicts, resolve. */
#ifndef ANSWER_VERBS_H
#define ANSWER_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb answer_verb_conflicts, answer_verb_resolve;

#endif
