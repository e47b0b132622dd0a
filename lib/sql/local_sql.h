/* local_sql: runs the SQL that a package brings for its copies, views, triggers, full-text indexes and caches of the
 * application's, within what it may do. SQLite's authorizer sees each statement before it runs. */
#ifndef LOCAL_SQL_H
#define LOCAL_SQL_H

#include "sql/db.h"

enum { LOCAL_SQL_MAX = 1 << 20 }; /* bytes of the text */

/* Whether rows of the table travel, so that only an archive or the user changes them, and only the server its form. */
typedef bool local_sql_travels(void *ctx, const char *table);

/* Inside the caller's write transaction. What an earlier run made, its views, triggers and indexes, goes first; then the
 * text is run, and what it made is noted in dx_package_object. Tables stay: they may hold what cannot be made again.
 *
 * Refused (ERR_REFUSED) with the line: what opens another file or leaves the transaction, temporary objects, pragmas; a
 * name that begins with dx_ or sqlite_; a virtual table that is none of SQLite's own for searching (fts3 to fts5, rtree,
 * geopoly); a change of rows or of the form of a table that travels, or a unique index on one. `name` is for messages. */
int local_sql_run(struct db *db, const char *text, const char *name, local_sql_travels *travels, void *ctx);

/* Takes away what earlier runs made. */
int local_sql_drop(struct db *db);

#endif
