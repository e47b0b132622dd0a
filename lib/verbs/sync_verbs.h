/* sync_verbs: the verbs of syncdiff: sync, compare. */
#ifndef SYNC_VERBS_H
#define SYNC_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb sync_verb_sync, sync_verb_compare;

#endif
