/* propose: a package.conf for a database that has none, guessed from its schema and its rows, with comments on what was guessed
 * and what is to be decided. */
#ifndef PROPOSE_H
#define PROPOSE_H

#include "base/buf.h"
#include "sql/db.h"

/* Appends the whole file. people: the table of those who work with the copies, by whom rows are given out; NULL: everybody
 * gets everything. -1 when the database cannot be read or has no such table. */
int propose_package(struct db *db, const char *people, struct buf *out);

#endif
