/* package: what a kind of user gets: as read from package.conf (nodes/packread.c) and as loaded in a database.
 * dx-package(5). */
#ifndef PACKAGE_H
#define PACKAGE_H

#include "data/table.h"
#include "sql/db.h"

enum package_visible { VISIBLE_ALL, VISIBLE_NONE, VISIBLE_SELECT, VISIBLE_VIA };

/* WRITE_CASCADE: a delete may take rows with it that its node does not see and others do. */
enum { WRITE_INSERT = 1, WRITE_UPDATE = 2, WRITE_DELETE = 4, WRITE_CASCADE = 8 };

struct object {
    int64_t id; /* dx_object.id once loaded */
    char *name; /* the section's name */
    char *table;
    enum package_visible visible;
    char *rule;         /* VISIBLE_SELECT: its SQL; else NULL */
    char *via_column;   /* VISIBLE_VIA: column of this table ("a, b" for a composite key); else NULL */
    char *via_object;   /* ... that holds the key of this object; else NULL */
    struct table *sent; /* the columns that travel, with the key, in the table's order */
    unsigned write;     /* WRITE_... flags: what clients may do */
    char *conflict;     /* "server", "client", "ask", "newest COLUMN" or "newest COLUMN, ahead SECONDS" */
    char *keys;         /* "rekey" or "issue": what becomes of an insert whose integer key is taken */
    char *deletes;      /* "win" or "lose" against an update of the row */
    char *
        duplicates; /* "issue", "keep" or "adopt": what becomes of an insert whose user key another row has */
    char *change_key; /* as written, "" for none */
    char *user_key;   /* as written, "" for none */
    char *keep;       /* time filter, "" for none */
    char *
        references; /* what its columns refer to, beside declared foreign keys: "a -> x, b -> none"; "none"; "" */
    char *late;     /* "accept", "refuse" or days, as written; "" for accept */
    char *guard;    /* how much of it one upload may delete or overwrite, as written; "" for no limit */
    char *triggers; /* "server" or "copy": where the triggers of its table act for what nodes change */
};

/* What an object's entries for merging say. The texts above are what is stored; decisions go by these. */
enum package_prefer { PREFER_SERVER, PREFER_CLIENT, PREFER_NEWEST, PREFER_ASK };
enum package_keys { KEYS_REKEY, KEYS_ISSUE, KEYS_RANGES };
enum package_duplicates { DUPLICATES_ISSUE, DUPLICATES_KEEP, DUPLICATES_ADOPT };
struct object_policy {
    enum package_prefer prefer; /* `conflict` */
    enum package_keys keys;
    enum package_duplicates duplicates;
    bool delete_loses;     /* `deletes` */
    bool triggers_of_copy; /* `triggers` */
};
struct object_policy object_policy(const struct object *o);

/* One of an object's references: the column holds the key of the other object's rows; of none where `to` is NULL. */
struct object_reference {
    char *column;
    char *to;
};

/* What `references` says, for object_references_free. *closed: no other column refers to anything. A text that
 * package_read has taken is well formed. */
size_t object_references(const struct object *o, struct object_reference **out, bool *closed);
void object_references_free(struct object_reference *r, size_t n);

/* Of `newest COLUMN`: the column, which the caller frees, and how many seconds ahead of the clock its time may be. NULL
 * for what else `conflict` may say, and for what is not well formed. */
char *object_newest(const char *conflict, int64_t *ahead);
/* What `late` says: how many days after a row has left a node's view the node's changes of it are taken; -1: however many,
 * 0: none. Whether the text is well formed. */
bool object_late(const char *text, int64_t *days);

/* What `guard` says: the most rows that one upload may delete or overwrite, and the most in percent of those that its
 * node holds; -1: no such limit. Whether the text is well formed. */
bool object_guard(const char *text, int64_t *rows, int64_t *percent);

struct package {
    char *name, *version;
    char *hash; /* SHA-256 of its files */
    char *
        release; /* the least release of dx that its copies need; "" for any. Not read back: package_release */
    char *
        attachments; /* the sections [files NAME], as attachments_json with rules; NULL where there are none */
    struct buf
        files; /* the bundle of those beside package.conf; empty where there are none, and once loaded */
    size_t nobject;
    struct object *object; /* parents before children */
};

/* Makes the tables dx_package and dx_object, if not there. */
int package_init(struct db *db);

/* Reads and checks DIR/package.conf against the database's tables. NULL with file, section, line and remedy. */
struct package *package_read(struct db *db, const char *directory);

/* Stores a package, in the place of the loaded one of that name, inside the caller's transaction. Objects keep their
 * id by name; what the next run has to look at again is noted in dx_object (see nodes/package.c). */
int package_put(struct db *db, struct package *p);

/* The least release of dx that copies of the package need, to free; NULL for any. */
int package_release(struct db *db, const char *name, char **release);

/* The package of that name as loaded in the database; NULL when not loaded (ERR_REFUSED) or on failure. */
struct package *package_get(struct db *db, const char *name);
void package_free(struct package *p);

/* The objects that the loaded package had and has no more, whose rows the router has yet to take away. */
struct package *package_gone(struct db *db, const char *name);
void object_free(struct object *o, size_t n); /* an array of objects */

/* The names of the loaded packages, in order; the caller frees each, and the array. */
int package_names(struct db *db, char ***names, size_t *n);

/* The object for a table, or of a name; NULL when there is none. A table is in at most one object of a package. */
const struct object *package_object(const struct package *p, const char *table);
struct object *package_named(const struct package *p, const char *name);

#endif
