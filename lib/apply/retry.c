/* retry: see apply/retry.h. */
#include "apply/retry.h"

#include "apply/download.h"
#include "apply/fk_cycle.h"
#include "apply/merge.h"
#include "apply/rejected_rows.h"
#include "apply/unique_swap.h"

int retry_one(struct apply_context *w, struct deferred_entry *e, apply_one_fn *judge)
{
    const char *origin = w->effect.origin;
    char *archive = w->archive;
    enum apply_way way = w->way;
    struct merge *merge = w->merge;
    if (e->way == WORK_MERGE && merge_as(w, e->origin))
        return -1;
    w->effect.origin = e->origin;
    w->archive = e->archive;
    w->way = e->way;
    w->defer->retrying = e->seq;
    w->defer->sent_back = e->sent_back;
    w->defer->blocked = false;
    int rc = judge(w, e->target, &e->change);
    w->defer->retrying = w->defer->sent_back = 0;
    w->effect.origin = origin;
    w->archive = archive;
    w->way = way;
    w->merge = merge;
    if (rc)
        return -1;
    return w->defer->blocked ? 0 : deferred_done(w, e);
}

/* What belongs to a row that was not taken waits for the conflict of that row: 1, 0, -1. */
static int rejected(struct apply_context *w, struct target *t, const struct change *c)
{
    return w->way == WORK_MERGE ? rejected_rows_wait(w, t, c) : 0;
}

/* Judges a change as one that has just been read. */
static int judge_again(struct apply_context *w, struct target *t, struct change *c)
{
    int waits = rejected(w, t, c);
    if (waits)
        return waits < 0 ? -1 : 0;
    return w->way == WORK_MERGE ? merge_one(w, t, c) : download_one(w, t, c);
}

/* A row that was to be changed may have gone since: with its parent. */
static int put(struct apply_context *w, struct target *t, struct change *c)
{
    int waits = rejected(w, t, c);
    if (waits)
        return waits < 0 ? -1 : 0;
    int here = w->way == WORK_MERGE && c->op == CHANGE_UPDATE ? target_row(t, c, NULL) : 1;
    return here > 0 ? apply_change(w, t, c) : here < 0 ? -1 : judge_again(w, t, c);
}

/* Tries one entry as if its change had just been read. */
static int try_entry(struct apply_context *w, struct deferred_entry *e)
{
    return retry_one(w, e, e->judged ? put : judge_again);
}

/* What waits behind an older one of its row goes on waiting. */
static int try_first(struct apply_context *w, struct deferred_entry *e, void *rows)
{
    struct waiting_rows *still = rows;
    if (waiting_rows_find(still, e))
        return 0;
    if (try_entry(w, e))
        return -1;
    if (w->defer->blocked)
        waiting_rows_add(still, e);
    return 0;
}

/* One pass over all that waits, oldest first. */
static int pass_up(struct apply_context *w)
{
    struct waiting_rows still = {0};
    int rc = deferred_each(w, DEFERRED_ALL, try_first, &still);
    waiting_rows_free(&still);
    return rc;
}

static int try_any(struct apply_context *w, struct deferred_entry *e, void *unused)
{
    (void)unused;
    return try_entry(w, e);
}

/* The same, newest first, of those that are judged: a chain of values each taken by the next comes undone in one pass,
 * whichever way it runs. */
static int pass_down(struct apply_context *w)
{
    return deferred_each(w, DEFERRED_JUDGED_DOWN, try_any, NULL);
}

int retry_all(struct apply_context *w)
{
    struct deferred *d = w->defer;
    int64_t before = d->n + 1;
    while (d->n && d->n < before) {
        before = d->n;
        if (pass_up(w) || (d->n && pass_down(w)) || (d->n && unique_swap_rows(w)) ||
            (d->n && fk_cycle_rows(w)))
            return -1;
    }
    return 0;
}
