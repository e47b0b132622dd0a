/* side: one of the two databases of a comparison, here (compare/local.h) or at the other end of a connection
 * (compare/remote.h). All rows are given in the specs' columns and under canonical keys. */
#ifndef SIDE_H
#define SIDE_H

#include "compare/base.h"
#include "compare/pair_record.h"
#include "compare/work.h"

struct side;

/* Who it is. */
struct side_identity {
    struct pair_record record;
    bool writable;
    char *path; /* absolute; to free */
};

/* What a run tells a side that it writes. */
struct side_write {
    const char *pair;
    int64_t run;
    const char *undo; /* where the archive goes that takes the writing back; NULL: beside the database */
    bool plan;        /* rows are written; else only the run is noted */
    bool dry;         /* all is tried, and taken back */
};

/* What came of it. */
struct side_written {
    int64_t inserted, updated, deleted, left;
    int64_t mark; /* as record.mark, after it */
    char *undo;   /* the archive's path, to free; NULL when nothing was written */
};

struct side_ops {
    int (*describe)(struct side *s, struct described *out);
    int (*identify)(struct side *s, const char *pair, struct side_identity *out);
    int (*use)(struct side *s, const struct specs *specs);
    int (*agreed)(struct side *s, struct base *b);
    int (*begin)(struct side *s);
    int (*marks)(struct side *s, int64_t since, pair_record_fn *fn, void *ctx);
    int (*list)(struct side *s, size_t object);
    int (*next)(struct side *s, const struct val **row);
    int (*fetch)(struct side *s, struct work *w, const char *condition);
    int (*end)(struct side *s);
    int (*write)(struct side *s, struct work *w, const struct side_write *how, struct side_written *out);
    void (*close)(struct side *s);
};

/* The head of what the kinds of sides are made of. */
struct side {
    const struct side_ops *ops;
    int which;        /* MINE or THEIRS */
    char *name;       /* for messages */
    int64_t *unkeyed; /* per object, rows left out because there is NULL in their key; NULL where unknown */
};

/* What it keeps of the pair. It is the first that a side is asked. */
int side_identify(struct side *s, const char *pair, struct side_identity *out);

/* The tables that it has; the caller frees the description. */
int side_describe(struct side *s, struct described *out);

/* The objects from here on; they must outlive the side. */
int side_use(struct side *s, const struct specs *specs);

/* What both agreed on, before each snapshot: keys that are others here, and rows that need not be listed over a
 * connection. The base must outlive the snapshot. */
int side_agreed(struct side *s, struct base *b);

/* A snapshot begins, or ends. */
int side_begin(struct side *s);
int side_end(struct side *s);

/* What was noted as deleted since (compare/pair_record.h). */
int side_marks(struct side *s, int64_t since, pair_record_fn *fn, void *ctx);

/* The rows of an object in the order of their keys: 1 with key and version (nkey + 1 values, until the next call), 0,
 * -1. */
int side_list(struct side *s, size_t object);
int side_next(struct side *s, const struct val **row);

/* Puts into the items that meet the condition the rows that the side has, whether its filter shows them or not, and
 * their versions. */
int side_fetch(struct side *s, struct work *w, const char *condition);

/* Does in one transaction what the items ask of it, as far as it still may (compare/writer.h), and notes the run. */
int side_write(struct side *s, struct work *w, const struct side_write *how, struct side_written *out);
void side_close(struct side *s); /* NULL is fine */

#endif
