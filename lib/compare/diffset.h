/* diffset: the objects of a database that are compared as archives of keys, and by what: those that spec makes of the
 * configuration, or of all tables with a key. */
#ifndef DIFFSET_H
#define DIFFSET_H

#include "base/conf.h"
#include "sql/changekey.h"
#include "sql/db.h"

struct diff_object {
    struct table *row;  /* the columns that are compared */
    struct table *keys; /* key and change key of it */
    struct changekey *by;
    size_t nuser;        /* user keys: alternatives ... */
    struct table **user; /* ... as layouts whose key is that combination, columns as in row */
};

struct diff_set {
    size_t n;
    struct diff_object *object; /* in the order of their tables' names (strcmp) */
    size_t nnote;
    char **note; /* tables that are left out, and why, a line each */
};

/* conf may be NULL. NULL with file, line, table and remedy. */
struct diff_set *diff_set_of(struct db *db, const struct conf *conf);
void diff_set_free(struct diff_set *s);

/* The object of that table, or NULL. */
const struct diff_object *diff_set_object(const struct diff_set *s, const char *table);

/* The names of the tables that a configuration compares, sorted; n of them. The caller frees each and the array. */
char **diff_set_names(const struct conf *conf, size_t *n);

/* Appends "SELECT columns of row FROM table". */
void diff_object_select(const struct diff_object *o, struct buf *sql);

#endif
