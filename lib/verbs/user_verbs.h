/* user_verbs: the verbs of txnroute: user, responsibility, package. */
#ifndef USER_VERBS_H
#define USER_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb user_verb_user, user_verb_responsibility, user_verb_package;

#endif
