/* attachment_verbs: the verbs of txnlog: files. */
#ifndef ATTACHMENT_VERBS_H
#define ATTACHMENT_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb attachment_verb_files;

#endif
