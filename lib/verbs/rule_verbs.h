/* rule_verbs: the verbs of txnroute: why, rules, propose, try. */
#ifndef RULE_VERBS_H
#define RULE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb rule_verb_why, rule_verb_rules, rule_verb_propose, rule_verb_try;

#endif
