/* guard: whether a plan may be what somebody wants: how much it deletes and overwrites on each side. */
#ifndef GUARD_H
#define GUARD_H

#include "compare/threeway.h"

struct guard_limits {
    int64_t deletes, updates;           /* of one object on one side at most; -1: no such limit */
    int delete_percent, update_percent; /* the same of the object's rows in the base; 100: no such limit */
    int64_t free_deletes, free_updates; /* the percentages do not count up to so many */
};

/* What is used unless somebody says otherwise. */
struct guard_limits guard_defaults(void);

/* The plan's digest: what is to be done, row by row, and over what. */
int guard_digest(struct work *w, char hex[65]);

/* 0, or ERR_GUARD with all that is over the limits and the way to approve it. approve: the digest of the plan that may
 * pass, or NULL. */
int guard_check(struct work *w, const struct threeway_counts *count, const struct guard_limits *limits,
                const char *approve);

#endif
