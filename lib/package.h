/* package: what a kind of user gets: package.conf parsed, checked, and as loaded in a database. dx-package(5). */
#ifndef PACKAGE_H
#define PACKAGE_H

#include "db.h"
#include "table.h"

enum package_visible { VISIBLE_ALL, VISIBLE_NONE, VISIBLE_SELECT, VISIBLE_VIA };

enum { WRITE_INSERT = 1, WRITE_UPDATE = 2, WRITE_DELETE = 4 };

struct object {
    int64_t id; /* dx_object.id once loaded */
    char *name; /* the section's name */
    char *table;
    enum package_visible visible;
    char *rule;       /* VISIBLE_SELECT: its SQL */
    char *via_column; /* VISIBLE_VIA: column of this table ... */
    char *via_object; /* ... that holds the key of this object; the column may be a list for composite keys */
    struct table *sent; /* the columns that travel, with the key, in the table's order */
    unsigned write;     /* WRITE_... flags: what clients may do */
    char *conflict;     /* "server", "client" or "newest COLUMN" */
    char *change_key;   /* as written, "" for none */
    char *user_key;     /* as written, "" for none */
    char *keep;         /* time filter, "" for none */
};

struct package {
    char *name, *version;
    char *hash; /* SHA-256 of its files */
    size_t nobject;
    struct object *object; /* parents before children */
};

/* Reads and checks DIR/package.conf against the database's tables. NULL with file, section, line and remedy. */
struct package *package_read(struct db *db, const char *directory);

/* The package of that name as loaded in the database; NULL when not loaded or on failure. */
struct package *package_get(struct db *db, const char *name);
void package_free(struct package *p);

/* The object for a table, or NULL: a table is in at most one object of a package. */
const struct object *package_object(const struct package *p, const char *table);

#endif
