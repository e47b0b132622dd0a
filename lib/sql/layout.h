/* layout: the tables of a database as SQLite describes them. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "data/table.h"
#include "sql/db.h"

/* What SQLite makes of values stored in a column (datatype3.html, section 3.1). */
enum affinity { AFFINITY_BLOB, AFFINITY_TEXT, AFFINITY_NUMERIC, AFFINITY_INTEGER, AFFINITY_REAL };

struct layout_column {
    char *type;      /* as declared, "" for none */
    char *value;     /* DEFAULT expression, or NULL */
    char *collation; /* "BINARY" unless declared otherwise */
    enum affinity affinity;
    bool notnull;
};

struct layout {
    struct table *table;          /* generated columns left out */
    struct layout_column *column; /* table->ncol of them */
    bool without_rowid, strict;
    bool rowid_key;          /* the key is an INTEGER PRIMARY KEY, an alias of the rowid */
    bool unique_key;         /* there is no PRIMARY KEY: the key is a UNIQUE over columns that are NOT NULL */
    bool cascades_to_itself; /* it has a foreign key to itself with an ON UPDATE action */
    bool replaces;           /* a constraint of it has an ON CONFLICT clause */
    bool deletes_itself;     /* a delete may come back to it over ON DELETE CASCADE */
    bool autoincrement;      /* it hands out keys beyond the highest that it ever had, and ends at 2^63-1 */
    char *sql;               /* its CREATE TABLE */
};

/* The layout of an ordinary table. Its key is the PRIMARY KEY; without one the UNIQUE over columns that are all NOT NULL
 * and compared as BINARY, the first in the CREATE TABLE if there are several, else the first unique index by name.
 * NULL with a message when there is no such table, it is a view or virtual table, or it has no key (ERR_REFUSED, with
 * the remedy). */
struct layout *layout_of(struct db *db, const char *table);
void layout_free(struct layout *l);

/* Calls fn for each ordinary table that could be synchronized (not sqlite_*, not dx_*, not virtual or shadow tables),
 * by name. has_key tells whether it has a key (layout_of). Stops at the first nonzero result and returns it. */
typedef int layout_each_fn(void *ctx, const char *table, bool has_key);
int layout_each(struct db *db, layout_each_fn *fn, void *ctx);

/* Whether the table has a key: 1, 0, -1. */
int layout_has_key(struct db *db, const char *table);

/* Whether the column is a generated one, virtual or stored: 1, 0, -1. */
int layout_generated(struct db *db, const char *table, const char *column);

/* "name", "name", ... of the columns, each after the prefix (e.g. "new." or ""), joined by ", ". */
void layout_columns(struct buf *b, const struct table *t, const char *prefix);

/* The same for the key, in key order. */
void layout_keys(struct buf *b, const struct table *t, const char *prefix);

/* "key1" = ?N AND "key2" = ?N+1 ..., in key order; first is the number N of the first parameter. The key's own
 * collation decides, as it does for the table's uniqueness, so that the index serves. */
void layout_where_key(struct buf *b, const struct table *t, int first);

#endif
