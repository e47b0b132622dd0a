/* decide: what is done about each row once both sides' rows are at hand: policies, answers, what is put together column by
 * column, what may not be written. */
#ifndef DECIDE_H
#define DECIDE_H

#include "compare/base.h"
#include "compare/work.h"

struct decide {
    const struct specs *specs;
    struct work *work;
    struct base *base;
    bool taking; /* take instead of what the configuration says */
    enum take take;
    const char *newest;     /* TAKE_NEWEST: the column */
    bool writable[SIDES];   /* it is written at all */
    const char *why[SIDES]; /* why not */
    bool revert;            /* a side that is written alone becomes what the other is */
};

/* Decides all. The rows that decide_wants names have been fetched. */
int decide_run(struct decide *d);

/* The condition for the items of which that side's rows are wanted; the caller frees it. */
char *decide_wants(const struct specs *specs, int side, bool all);

#endif
