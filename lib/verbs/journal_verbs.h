/* journal_verbs: the verbs of txnlog: read, ack, upload. */
#ifndef JOURNAL_VERBS_H
#define JOURNAL_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb journal_verb_read, journal_verb_ack, journal_verb_upload;

#endif
