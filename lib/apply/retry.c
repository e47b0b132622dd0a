/* retry: what waits is tried again, over and over, until a round gets nothing done; the rest goes into quarantine. */
#include "apply/apply_context.h"
#include "apply/deferred.h"
#include "apply/fk_cycle.h"
#include "apply/quarantine.h"
#include "apply/record.h"
#include "apply/unique_swap.h"
#include "base/err.h"

static const char sql_up[] = DEFER_COLUMNS "WHERE seq > ?1 ORDER BY seq LIMIT 1";
static const char sql_down[] = DEFER_COLUMNS "WHERE seq < ?1 AND judged ORDER BY seq DESC LIMIT 1";

int deferred_try(struct apply_context *w, struct deferred_entry *e, apply_one_fn *judge)
{
    const char *origin = w->effect.origin;
    char *archive = w->archive;
    enum apply_way way = w->way;
    struct merge *merge = w->merge;
    if (e->way == WORK_MERGE && w->as(w, e->origin))
        return -1;
    w->effect.origin = e->origin;
    w->archive = e->archive;
    w->way = e->way;
    w->defer->retrying = e->seq;
    w->defer->told = e->told;
    w->defer->blocked = false;
    int rc = judge(w, e->target, &e->change);
    w->defer->retrying = w->defer->told = 0;
    w->effect.origin = origin;
    w->archive = archive;
    w->way = way;
    w->merge = merge;
    if (rc)
        return -1;
    return w->defer->blocked ? 0 : deferred_done(w, e);
}

/* A row that was to be changed may have gone since: with its parent. */
static int put(struct apply_context *w, struct target *t, struct change *c)
{
    int here = w->way == WORK_MERGE && c->op == CHANGE_UPDATE ? target_row(t, c, NULL) : 1;
    return here > 0 ? apply_change(w, t, c) : here < 0 ? -1 : w->one[w->way](w, t, c);
}

/* Tries one entry as if its change had just been read. */
static int try_entry(struct apply_context *w, struct deferred_entry *e)
{
    return deferred_try(w, e, e->judged ? put : w->one[e->way]);
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
    int rc = deferred_each(w, db_prepare(w->db, sql_up), INT64_MIN, try_first, &still);
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
    return deferred_each(w, db_prepare(w->db, sql_down), INT64_MAX, try_any, NULL);
}

/* ---- what is left ---- */

static int give_up(struct apply_context *w, struct deferred_entry *e, void *unused)
{
    (void)unused;
    struct buf room = {0}, bytes = {0};
    if (w->leave && e->held == 0 && !w->options->strict) {
        w->count->left++;
        return 0;
    }
    if (w->options->strict && e->held == 0)
        return fail(ERR_REFUSED,
                    "%s: %s: %s; nothing was changed. Without --strict the row would be quarantined", w->name,
                    change_show(&e->change), e->reason);
    int64_t told = e->told;
    if (e->held == 0 && e->way == WORK_MERGE && w->tells(w, e->origin, &told))
        return -1;
    record_put(&bytes, &e->change);
    struct quarantined q = {.id = e->held,
                            .told = told,
                            .way = (int)e->way,
                            .judged = e->judged,
                            .table = e->target->table->name,
                            .origin = e->origin,
                            .archive = e->archive,
                            .reason = e->reason,
                            .key = change_packed_key(&e->change, &room),
                            .change = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n}};
    w->count->quarantined += e->held == 0;
    int rc = quarantine_add(w->db, &q);
    if (rc == 0 && e->held == 0 && e->way == WORK_MERGE)
        rc = w->quarantined(w, e->target, &e->change, e->origin);
    buf_free(&room);
    buf_free(&bytes);
    return rc;
}

int deferred_give_up(struct apply_context *w)
{
    return quarantine_clear(w->db) ? -1
                                   : deferred_each(w, db_prepare(w->db, sql_up), INT64_MIN, give_up, NULL);
}

int deferred_retry(struct apply_context *w)
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
