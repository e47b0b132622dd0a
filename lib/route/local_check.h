/* local_check: whether a package's local.sql runs on its copies, and how its triggers and the server's go together. */
#ifndef LOCAL_CHECK_H
#define LOCAL_CHECK_H

#include "nodes/package.h"

/* Runs DIRECTORY/local.sql, if there is one, on an empty copy of the package in memory. Refused (ERR_REFUSED): what
 * local_sql_run refuses; a trigger that writes what travels on a table whose triggers act at the server, where the server
 * has one of that name as well: it would act twice. Says of what else acts where. */
int local_check(struct db *db, const struct package *p, const char *directory,
                void (*tell)(const char *fmt, ...));

#endif
