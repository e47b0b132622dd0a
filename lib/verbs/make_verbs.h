/* make_verbs: the verbs of dxpack: make, join, invert, sign. */
#ifndef MAKE_VERBS_H
#define MAKE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb make_verb_make, make_verb_join, make_verb_invert, make_verb_sign;

#endif
