/* site_verbs: the verbs of txnroute that look at a site: status, check, metrics, report. For cmd/txnroute.c. */
#ifndef SITE_VERBS_H
#define SITE_VERBS_H

#include "cli/cli.h"

extern const struct cli_option site_status_options[], site_check_options[];

int site_verb_status(int argc, char **argv);  /* DB [DOCKING] */
int site_verb_check(int argc, char **argv);   /* SITE */
int site_verb_metrics(int argc, char **argv); /* SITE */
int site_verb_report(int argc, char **argv);  /* SITE */
int site_verb_init(int argc, char **argv);    /* SITE */

/* `node key`: prints the line for authorized_keys by which the holder of the public key on stdin is that node. */
int site_node_key(const char *site, const char *node);

#endif
