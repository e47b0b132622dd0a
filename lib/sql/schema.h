/* schema: the CREATE statements of an archive, checked before they are believed. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "sql/db.h"

/* Runs those of the statements that make tables (or, when `indexes`, indexes) which are not there yet; a table that is
 * there gets the columns that it lacks. Anything but an ordinary table or index of the application's is refused
 * (ERR_REFUSED). Inside the transaction. */
int schema_make(struct db *db, char *const *sql, size_t n, bool indexes);

/* How a table that is here fits the statement that makes one of its name. */
enum schema_fit {
    SCHEMA_FITS, /* it does, or can by columns that are added; or it is not here; or the statement makes no table */
    SCHEMA_DIFFERS
};

/* *table, to free, is the name of the table that the statement makes, or NULL; `why` gets what differs. -1 on failure, also
 * when the statement is refused. */
int schema_fit(struct db *db, const char *sql, enum schema_fit *fit, char **table, struct buf *why);

/* The same for a table of that layout, and a statement that was checked: what differs is appended to `why`. */
struct layout;
struct layout *schema_layout(const char *table,
                             const char *sql); /* of the table that a statement makes; NULL: failure */
int schema_differs(const struct layout *old, const char *table, const char *sql, struct buf *why);

/* Makes a table again as the statement says, in the place of the one that is here. Its rows are kept as far as the columns
 * of both go (`rows`), so are columns that `extra` says are the application's own (of the layout here), and the
 * application's indexes and triggers. Inside the transaction, with triggers off. */
int schema_remake(struct db *db, const char *sql, const char *table, const bool *extra, bool rows);

#endif
