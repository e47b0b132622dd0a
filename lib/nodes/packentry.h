/* packentry: the entries of an object in package.conf, each checked as it is taken (nodes/packread.c reads the whole). */
#ifndef PACKENTRY_H
#define PACKENTRY_H

#include "base/conf.h"
#include "base/sha.h"
#include "nodes/package.h"
#include "sql/layout.h"

enum { PACKENTRY_FILE_MAX = 1 << 20 }; /* bytes of package.conf, and of a file that it names */

/* `column, column -> object`: the row is visible where that one is. */
struct draft_via {
    char **column;
    size_t n;
    char *object;
    bool generated; /* one of the columns is: the rule is written out with it */
};

/* An object while it is read. */
struct draft {
    struct object o;
    struct layout *layout;
    struct draft_via *via; /* all of them, in their order */
    size_t nvia;
    bool visible; /* there is an entry of that name */
    bool cascade; /* `cascade = yes` */
    bool composed, composing;
    const struct conf_entry *at; /* its first entry, for messages */
    bool done, open;             /* while ordering */
};

struct reading {
    struct db *db;
    const char *directory;
    struct conf *conf;
    struct package *p;
    struct draft *draft;
    size_t n;
    struct sha *sha;
};

/* Takes one entry into the object. -1 with file, line and remedy. */
int packentry_take(struct reading *r, struct draft *d, const struct conf_entry *e);

/* When all of the object is taken: whether it says who sees it. */
int packentry_settle(struct reading *r, struct draft *d);

/* The columns that travel: those of the entry, or all when it is NULL. */
int packentry_columns(struct reading *r, struct draft *d, const struct conf_entry *e);

/* The words of a list; packentry_free_words gives them back. */
size_t packentry_words(const char *list, char separator, char ***out);
void packentry_free_words(char **w, size_t n);

/* conf_refuse with a format. Returns -1. */
int packentry_refuse(const struct reading *r, const struct conf_entry *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
