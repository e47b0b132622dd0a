/* schema: the CREATE statements of a snapshot, checked before they are believed. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "sql/db.h"

/* Runs those of the statements that make tables (or, when `indexes`, indexes) which are not there yet; a table that is
 * there gets the columns that it lacks. Anything but an ordinary table or index of the application's is refused
 * (ERR_REFUSED). Inside the transaction. */
int schema_make(struct db *db, char *const *sql, size_t n, bool indexes);

#endif
