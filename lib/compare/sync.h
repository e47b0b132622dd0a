/* sync: one run over a pair: who they are, what each must do, whether that may be, writing it, and what both agree on
 * then. */
#ifndef SYNC_H
#define SYNC_H

#include "compare/guard.h"

struct sync_options {
    const char *conf; /* path of the configuration, or NULL */
    const char *base; /* path of the base, or NULL: a comparison without one */
    bool dry;         /* nothing is written, the base neither */
    bool initial;     /* begins again: see sync_open */
    bool check;       /* change keys are not believed: content is compared; without a base */
    bool all_rows;    /* the rows of both sides are wanted of all that differs */
    int only;         /* the side that alone is written, or SIDES */
    bool revert;      /* and becomes what the other is */
    bool taking;      /* conflicts are decided so */
    enum take take;
    const char *newest;
    struct guard_limits limits;
    const char *approve;
    /* Hears of each line that is to be said: a warning, or that something is left out. */
    void (*warn)(void *ctx, const char *line);
    void *ctx;
};

/* A run. What is public is for the caller to print. */
struct sync {
    const struct sync_options *options;
    struct side *side[SIDES];
    struct conf *conf;
    struct described described[SIDES];
    struct specs specs;
    struct work work;
    struct base *base;
    struct threeway_counts *count; /* per object, of the first round */
    struct side_written written[SIDES];
    int64_t conflicts, left; /* of the newest round */
    bool look;               /* there is something to look at */
    char digest[65];
    struct buf given[SIDES]; /* of an interrupted run (compare/pair_record.h) */
    bool noted[SIDES];       /* the side keeps a note of the run */
    int lock;
};

/* Opens base and sides' objects and finds whether the three belong together: ERR_GUARD when they do not, with the way
 * on. The sides are the sync's from here on, also on failure. initial: a base of another configuration, or of other
 * databases, begins again; of the same databases it still knows which rows there were, so that deleted ones do not come
 * back. NULL on failure. */
struct sync *sync_open(struct side *const side[SIDES], const struct sync_options *options);

/* Compares and plans; the work holds what differs. Guards are asked by sync_write. */
int sync_compare(struct sync *s);

/* Whether the guards let the plan pass: 0, or ERR_GUARD. */
int sync_guard(struct sync *s);

/* Writes both sides and the base; compares again while a round has made more possible. */
int sync_write(struct sync *s);

/* Whether anything is to be done. */
bool sync_pending(const struct sync *s);
void sync_close(struct sync *s); /* NULL is fine */

#endif
