/* session_verbs: the verbs of dxpack: exchange, serve. */
#ifndef SESSION_VERBS_H
#define SESSION_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb session_verb_exchange, session_verb_serve;

#endif
