/* apply_verbs: the verbs of dxapply: its own, package, renamed. */
#ifndef APPLY_VERBS_H
#define APPLY_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb apply_verb_apply, apply_verb_package, apply_verb_renamed;

#endif
