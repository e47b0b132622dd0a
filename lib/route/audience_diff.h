/* audience_diff: what a row's way from one audience to another means: who gains it, who loses it, who keeps it. */
#ifndef AUDIENCE_DIFF_H
#define AUDIENCE_DIFF_H

#include "nodes/audience.h"

struct audience_diff {
    int64_t enter, leave, stay; /* audiences */
};

/* Answers are kept: many rows of a run go the same way. */
struct audience_diffs *audience_diffs_open(struct audiences *a);
void audience_diffs_close(struct audience_diffs *s);
void audience_diffs_forget(struct audience_diffs *s); /* AUDIENCE_ALL is another set from here on */

/* The answer for rows of the audience old that are of the audience new now: without the nodes of the audience `but`,
 * and only those of `only` (AUDIENCE_ALL: every one). Lives until the next call. NULL on failure. */
const struct audience_diff *audience_diffs_of(struct audience_diffs *s, int64_t old, int64_t new, int64_t but,
                                              int64_t only);

#endif
