/* archive_verbs: the verbs of dxpack: list, verify, cat, extract. */
#ifndef ARCHIVE_VERBS_H
#define ARCHIVE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb archive_verb_list, archive_verb_verify, archive_verb_cat, archive_verb_extract;

#endif
