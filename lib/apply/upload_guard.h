/* upload_guard: an upload that would delete or overwrite more rows than an object of its package allows (`guard`) is not
 * merged. It waits, and its node with it, until an operator approves or rejects it (nodes/approval.h). */
#ifndef UPLOAD_GUARD_H
#define UPLOAD_GUARD_H

#include "apply/apply_context.h"
#include "nodes/approval.h"
#include "nodes/package.h"

struct upload_guard {
    struct approval known; /* what an operator decided, of this upload or of one before; upload 0: nothing */
    bool rejected;         /* this upload was rejected: each of its changes is refused */
    bool over;             /* it must wait */
};

/* Before the first change: what was decided about upload `number` of the node. */
int upload_guard_read(struct upload_guard *g, struct db *db, const struct node *n, int64_t number);

/* When all is done and the digest is known: -1 (ERR_GUARD, g->over) when the upload must wait. */
int upload_guard_check(struct upload_guard *g, struct apply_context *w, const struct node *n,
                       const struct package *p);

/* After such a failure, inside a transaction of its own: notes that it waits. */
int upload_guard_ask(const struct upload_guard *g, struct apply_context *w, const struct node *n);

#endif
