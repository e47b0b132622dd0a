/* site_verbs: the verbs of txnroute that look at a site: status, check, metrics, report. */
#ifndef SITE_VERBS_H
#define SITE_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb site_verb_status, site_verb_check, site_verb_init, site_verb_metrics,
    site_verb_report;

/* `node key`: prints the line for authorized_keys by which the holder of the public key on stdin is that node. */
int site_node_key(const char *site, const char *node);

#endif
