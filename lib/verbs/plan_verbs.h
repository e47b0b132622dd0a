/* plan_verbs: the verbs of syncdiff: serve, keys, rows, screen. */
#ifndef PLAN_VERBS_H
#define PLAN_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb plan_verb_serve, plan_verb_keys, plan_verb_rows, plan_verb_screen;

#endif
