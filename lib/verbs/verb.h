/* verb: what verbs of several commands do alike. */
#ifndef VERB_H
#define VERB_H

#include "base/conf.h"
#include "sql/db.h"

/* Ends a verb: closes the database (NULL is fine), which takes back what was not committed. `code`, or -1 when rc is not 0. */
int verb_close(struct db *db, int rc, int code);

/* Opens a server database to change it, in one write transaction, with the router's tables there. NULL after fail(). */
struct db *verb_open_router(const char *path);

/* Commits when rc is 0, and closes. 0, or -1. */
int verb_commit(struct db *db, int rc);

/* The configuration of a comparison; NULL for none. 0, or -1. */
int verb_load_conf(const char *path, struct conf **conf);

/* A line for cli_warn. */
void verb_warn_line(const char *line);

/* Prints a line for people in at most 80 columns; what goes on is indented. */
void verb_print_wrapped(const char *text);

/* With -v, how much work SQLite has done; returns rc. */
int verb_tell_steps(int rc);

#endif
