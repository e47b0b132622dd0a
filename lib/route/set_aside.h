/* set_aside: what a run could not do: an object, a row or a node on which it failed is left as it was and named in
 * dx_set_aside, while all others are served; the next run tries again. */
#ifndef SET_ASIDE_H
#define SET_ASIDE_H

#include "data/val.h"
#include "sql/db.h"

enum set_aside_kind {
    SET_ASIDE_OBJECT, /* its rows are as of a position of the journal, at every node */
    SET_ASIDE_ROW,    /* one row of an object: some nodes have not got it */
    SET_ASIDE_KEYS,   /* rows of an object that no key names */
    SET_ASIDE_NODE    /* it gets no archives */
};

/* What to do about a row that is too large. */
#define SET_ASIDE_SMALLER "make it smaller, or leave its large columns out of the package"

struct set_aside_entry {
    enum set_aside_kind kind;
    int64_t object, node; /* ids; 0 where it is none */
    char *key;            /* of a row, as it is shown; or NULL */
    struct val *packed;   /* ... and packed (sql/key.h) */
    int64_t position,
        run; /* of an object: what its rows at the nodes stand for (dx_meta `routed`, `routes`) */
    char *reason, *remedy;
};

/* What a run sets aside. */
struct set_aside {
    struct set_aside_entry *entry;
    size_t n;
};

/* Makes the table, if it is not there. */
int set_aside_init(struct db *db);

/* Whether it is there: 1, 0, -1. */
int set_aside_present(struct db *db);

/* Whether what failed last concerns no more than what was worked on: input that is refused. Trouble with the machine or
 * a lock ends a run. */
bool set_aside_can(void);

/* Notes an entry, and returns it for the caller to fill in. The reason is the message recorded last (base/err.h). */
struct set_aside_entry *set_aside_note(struct set_aside *s, enum set_aside_kind kind, const char *remedy);

/* Drops what was noted behind the first n. */
void set_aside_cut(struct set_aside *s, size_t n);
void set_aside_free(struct set_aside *s);

/* Since when an object has been set aside: 1, 0 when it has not been, -1. */
int set_aside_since(struct db *db, int64_t object, int64_t *position, int64_t *run);

/* In the run's transaction: what was set aside of these objects before and is not any more goes, what the run sets aside
 * comes; `tell` hears of what is new, NULL: nobody. Nodes that a snapshot took up again, or that ended, go as well. */
int set_aside_store(struct db *db, const struct set_aside *s, const char *now,
                    void (*tell)(const char *fmt, ...));

/* Behind that: a row that was set aside before and is not any more is sent to the suspended nodes, when they are resumed; the
 * others have it with this run. */
int set_aside_force_mended(struct db *db);

/* All that is set aside, as it is shown. The caller frees with set_aside_lines_free. */
struct set_aside_line {
    char *what;                          /* "object sales/account", "row 7 of object ...", "node ann" */
    char *kind;                          /* "object", "row", "keys", "node" */
    char *package, *object, *node, *key; /* "" where it has none */
    char *since;                         /* UTC */
    char *reason, *remedy;
};
int set_aside_lines(struct db *db, struct set_aside_line **line, size_t *n);
void set_aside_lines_free(struct set_aside_line *line, size_t n);

#endif
