/* work: the rows of one run that are not as both sides agreed last, in a temporary database, from the comparison on to
 * what became of each. */
#ifndef WORK_H
#define WORK_H

#include "compare/spec.h"
#include "data/arena.h"
#include "data/change.h"

/* What happened to a row on one side since the base. */
enum what { WHAT_SAME, WHAT_INSERTED, WHAT_UPDATED, WHAT_DELETED };

/* What became of what is to be done on one side. */
enum state {
    STATE_TODO,
    STATE_DONE,
    STATE_LINKED, /* not written: the row is there under another key (given) */
    STATE_LEFT    /* an issue: reason says why */
};

enum outcome {
    OUTCOME_AGREED,   /* both have the same, the base has not */
    OUTCOME_PLAN,     /* something is to be done, on one side or on both */
    OUTCOME_CONFLICT, /* left alone until somebody decides */
    OUTCOME_LEFT      /* left alone; reason says why */
};

/* A row. Arrays are by side. Pointers live until the next item is read, or are the caller's. */
struct item {
    int64_t id;
    size_t object;         /* number of the spec */
    const struct val *key; /* canonical, nkey values */
    enum what what[SIDES];
    struct val version[SIDES], base, content; /* blobs, or NULL: base and content are what the base has */
    const struct val *row[SIDES];             /* in the object's columns; NULL: not there, or not fetched */
    enum change_op op[SIDES];                 /* what is to be done there; 0: nothing */
    const struct val *out;                    /* the row to write, NULL: the other side's */
    enum state state[SIDES];
    const char *reason[SIDES];
    struct val given[SIDES]; /* the key that the row has there, when it is another; else NULL */
    bool fresh[SIDES];       /* an insert that is to get a new key there */
    bool backwards[SIDES];   /* its change key went backwards */
    enum outcome outcome;
    enum take taken; /* a conflict that was decided: for whom */
};

struct work {
    struct db *db;
    const struct specs *specs;
    int64_t next; /* the id of the next item */
    struct stmt *add, *get, *find;
    struct arena arena; /* of work_get */
};

int work_open(struct work *w, const struct specs *specs);
void work_close(struct work *w); /* fine on a zeroed one */
int work_clear(struct work *w);

/* Adds an item (its id is given here), or writes back what it says. */
int work_add(struct work *w, struct item *i);
int work_put(struct work *w, const struct item *i);

/* Calls fn for each item that meets the condition (SQL over the table's columns), in the order given ("" is by id);
 * fn may write it back. Stops at the first nonzero result and returns it. */
typedef int work_fn(void *ctx, struct item *i);
int work_each(struct work *w, work_fn *fn, void *ctx, const char *condition);

/* The item of that id, or of that object and key: 1, 0, -1. It lives until the next call of either. */
int work_get(struct work *w, int64_t id, struct item *i);
int work_find(struct work *w, size_t object, const struct val *key, struct item *i);

/* How many there are that meet the condition. -1 on failure. */
int64_t work_count(struct work *w, const char *condition);

#endif
