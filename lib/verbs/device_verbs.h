/* device_verbs: the verbs of hhextract: check, ready, patch, status. */
#ifndef DEVICE_VERBS_H
#define DEVICE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb device_verb_check, device_verb_ready, device_verb_patch, device_verb_status;

#endif
