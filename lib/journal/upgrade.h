/* upgrade: brings the toolkit's own tables (dx_*) of an older format into the form of today, with all that is in them.
 *
 * The format is a number in dx_meta, one for the tables of all modules together. Whoever changes the form or the
 * meaning of a dx_ table adds what an older database needs to a step of upgrade.c. */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "sql/db.h"

/* The format that these programs make and know. */
enum { UPGRADE_FORMAT = 6 };

/* Upgrades a database of an older format, in the caller's write transaction. *from is the format it had:
 * UPGRADE_FORMAT where nothing was to do, 0 in a database without dx_ tables. Refuses (ERR_REFUSED) a newer format. */
int upgrade_tables(struct db *db, int64_t *from);

/* Refuses (ERR_REFUSED, with the remedy) a database whose dx_ tables are of another format. */
int upgrade_require(struct db *db);

#endif
