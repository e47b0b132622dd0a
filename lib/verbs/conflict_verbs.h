/* conflict_verbs: the verbs of dxapply: conflicts, resolve, retry, discard. */
#ifndef CONFLICT_VERBS_H
#define CONFLICT_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb conflict_verb_conflicts, conflict_verb_resolve, conflict_verb_retry,
    conflict_verb_discard;

#endif
