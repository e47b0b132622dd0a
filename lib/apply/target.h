/* target: one table of a database as the receiving end of changes: columns matched by name, statements kept. */
#ifndef TARGET_H
#define TARGET_H

#include "data/change.h"
#include "sql/layout.h"

struct target {
    struct db *db;
    size_t index; /* its number among the targets */
    struct layout *layout;
    const struct table *table; /* layout->table: changes are given in its columns */
    struct target_source *source;
    size_t nsource;
    struct target_statement *cache;
    size_t ncache, last;
    struct stmt *row; /* reads a row by key */
    struct val *now;  /* the row that target_row found, in the table's columns */
    struct stmt *blocked;
    bool exact; /* the key holds a column whose collation takes different texts for the same */
    uint8_t *mask;
    const struct val **expected; /* room for the old values of a change, which the row must have */
};

struct targets {
    struct db *db;
    size_t n;
    struct target **target;
};

void targets_init(struct targets *ts, struct db *db);
void targets_free(struct targets *ts);

/* The target of that table; NULL when the database cannot take it (ERR_REFUSED, with the remedy). Names of the
 * toolkit's and SQLite's own tables are refused here. */
struct target *targets_named(struct targets *ts, const char *table);

/* The same for a table of an archive or journal; the keys must be the same. `from` must live as long as the targets or
 * until targets_forget. */
struct target *targets_for(struct targets *ts, const struct table *from);
void targets_forget(struct targets *ts, const struct table *from);

/* Whether this program can write to the table at all: not where a constraint, an index or a trigger needs a function or a
 * collation that only the application has. 0, or -1 with the reason; nothing is written. */
int target_writable(struct target *t);

/* The change of an archive's table in the columns of the target: `out` is the target's until the next call for the
 * same archive table, and points to the same bytes. Columns that the target does not have are left out. */
void target_map(struct target *t, const struct table *from, const struct change *c, struct change *out);

/* A column of the archive's table that the change sets, to something else than NULL in an insert, and that the target does not
 * have: its number there, or -1. */
int target_unplaced(const struct target *t, const struct table *from, const struct change *c);

enum done {
    DONE_ERROR = -1,
    DONE_NOTHING = 0, /* no such row, or its old values differ */
    DONE = 1,
    DONE_EXISTS = 2, /* an insert whose key is taken */
    DONE_BLOCKED = 3 /* another constraint; target_reason says which */
};

/* Inserts the row; columns that are not set take their defaults. rowid: the rowid to give it where that is no column, or
 * NULL. */
enum done target_insert(struct target *t, const struct change *c, const int64_t *rowid);

/* Sets the columns of the row that new has. checked: only where each column that old has still has that value. Keys are
 * compared byte for byte here and below, whatever their collation. */
enum done target_update(struct target *t, const struct change *c, bool checked);

/* Deletes the row; checked as above. */
enum done target_delete(struct target *t, const struct change *c, bool checked);

/* Reads the row with the change's key into t->now (valid until the next call): 1, 0 when there is none, -1.
 * rowid, if wanted, is that of a table whose rowid is no column, else 0. */
int target_row(struct target *t, const struct change *c, int64_t *rowid);

/* SQLite's words for what blocked the write last, and whether it was a value that another row has. */
const char *target_reason(const struct target *t);
bool target_raised(const struct target *t); /* ... or a trigger that raised */
bool target_taken(const struct target *t);

#endif
