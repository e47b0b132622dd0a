/* settle: see apply/settle.h. */
#include "apply/settle.h"

#include "apply/fk_optimistic.h"
#include "apply/merge_context.h"
#include "apply/quarantine.h"
#include "apply/quarantine_due.h"
#include "apply/quarantine_recheck.h"
#include "apply/record.h"
#include "apply/rejected_rows.h"
#include "apply/retry.h"
#include "apply/verdict_send.h"
#include "base/err.h"
#include "base/mem.h"
#include "sql/key.h"

#include <stdlib.h>

/* ---- what is left ---- */

/* The packed key of the row that is missing, in `room`: 1; 0 when the reference does not name it by its primary key; -1. */
static int missing_key(struct apply_context *w, const struct fk_parents_row *row, struct buf *room,
                       struct val *packed)
{
    struct target *t = targets_named(&w->targets, row->table);
    if (t == NULL)
        return err_code() == ERR_REFUSED ? 0 : -1;
    if (row->n != t->table->nkey)
        return 0;
    struct val *key = mem_zero(row->n, sizeof *key);
    size_t found = 0;
    for (size_t k = 0; k < row->n; k++)
        for (size_t i = 0; i < row->n; i++)
            if (table_column(t->table, row->column[i]) == (int)t->table->key[k]) {
                key[k] = row->value[i];
                found++;
            }
    if (found == row->n)
        *packed = key_pack(key, row->n, room);
    free(key);
    return found == row->n;
}

/* Notes which row the change waits for, where it is a missing one. */
static int await_parent(struct apply_context *w, struct deferred_entry *e, int64_t id)
{
    struct merge *merge = w->merge;
    struct buf room = {0};
    struct val packed;
    if (e->way != WORK_MERGE || e->change.op == CHANGE_DELETE)
        return 0;
    struct merge_table *m = merge_as(w, e->origin) ? NULL : merge_table(w, e->target);
    w->merge = merge;
    int there = m ? fk_parents_there(m->parents, e->target, &e->change) : -1;
    if (there)
        return there < 0 ? -1 : 0;
    const struct fk_parents_row *row = fk_parents_missing_row(m->parents);
    int known = row ? missing_key(w, row, &room, &packed) : 0;
    if (known > 0)
        known = quarantine_due_await(w->db, id, row->table, &packed);
    buf_free(&room);
    return known < 0 ? -1 : 0;
}

static int give_up(struct apply_context *w, struct deferred_entry *e, void *unused)
{
    (void)unused;
    struct buf room = {0}, bytes = {0};
    if (w->leave && e->quarantine_id == 0 && !w->options->strict) {
        w->count->left++;
        return 0;
    }
    if (w->options->strict && e->quarantine_id == 0)
        return fail(ERR_REFUSED,
                    "%s: %s: %s; nothing was changed. Without --strict the row would be quarantined", w->name,
                    change_show(&e->change), e->reason);
    int64_t sent_back = e->sent_back;
    if (e->quarantine_id == 0 && e->way == WORK_MERGE && merge_next_archive(w, e->origin, &sent_back))
        return -1;
    record_put(&bytes, &e->change);
    struct quarantined q = {.id = e->quarantine_id,
                            .sent_back = sent_back,
                            .way = (int)e->way,
                            .judged = e->judged,
                            .table = e->target->table->name,
                            .origin = e->origin,
                            .archive = e->archive,
                            .reason = e->reason,
                            .key = change_packed_key(&e->change, &room),
                            .change = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n}};
    w->count->quarantined += e->quarantine_id == 0;
    if (e->quarantine_id == 0)
        change_log_waits(&w->effect, e->target, &e->change, e->origin);
    int rc = quarantine_add(w->db, &q) || await_parent(w, e, q.id) ? -1 : 0;
    if (rc == 0 && e->quarantine_id == 0 && e->way == WORK_MERGE)
        rc = merge_force(w, e->target, &e->change, e->origin) || verdict_send_waits(w, &e->change, e->origin)
                 ? -1
                 : 0;
    buf_free(&room);
    buf_free(&bytes);
    return rc;
}

static int give_up_all(struct apply_context *w)
{
    return rejected_rows_settle(w->db) || (w->defer->n && deferred_each(w, DEFERRED_ALL, give_up, NULL)) ||
                   quarantine_due_seen(w->db)
               ? -1
               : 0;
}

/* ---- attempts with optimistic deletes ---- */

/* What is known beside the database, before an attempt. */
struct before {
    struct apply_count count;
    size_t neffect;
    struct change_log_count *effect;
    int64_t waiting;
    bool conflict;
};

static struct before remember(struct apply_context *w)
{
    struct before b = {*w->count, w->effect.n, NULL, w->defer->n, w->conflict != NULL};
    b.effect = mem_copy(w->effect.count, w->effect.n * sizeof *b.effect);
    merge_keep(w);
    return b;
}

static void go_back(struct apply_context *w, const struct before *b)
{
    *w->count = b->count;
    for (size_t i = 0; i < w->effect.n; i++)
        w->effect.count[i] = i < b->neffect ? b->effect[i] : (struct change_log_count){0};
    w->defer->n = b->waiting;
    if (!b->conflict) { /* the table may be gone again */
        stmt_free(w->conflict);
        w->conflict = NULL;
    }
    merge_back(w);
}

/* Retries with optimistic deletes. 1 when each of them went well; 0 when one did not, and all is as before; -1. */
static int attempt(struct apply_context *w)
{
    struct before before = remember(w);
    int broken = db_exec(w->db, "SAVEPOINT dx_attempt") || retry_all(w) ? -1 : fk_optimistic_find_broken(w);
    if (broken > 0) {
        go_back(w, &before);
        broken = db_exec(w->db, "ROLLBACK TO dx_attempt") ? -1 : 1;
        trigger_effects_forget(w->effect.triggers);
    }
    if (broken >= 0 && db_exec(w->db, "RELEASE dx_attempt"))
        broken = -1;
    free(before.effect);
    fk_optimistic_forget(w->optimistic);
    return broken < 0 ? -1 : !broken;
}

/* What would be put into quarantine beyond the node's limit is not even written there. */
static int check_limit(struct apply_context *w)
{
    int64_t n;
    if (!w->merge->noded)
        return 0;
    return deferred_new(w, &n) || upload_quota_waiting(&w->merge->quota, n)
               ? fail_in("%s: upload %lld of node %s", w->name, (long long)w->head->number,
                         w->merge->node.name)
               : 0;
}

/* Tries all that waits, until nothing more can be done. */
static int try_all(struct apply_context *w)
{
    struct fk_optimistic optimistic = {0};
    w->optimistic = &optimistic;
    int rc = retry_all(w) || check_limit(w) ? -1 : 0, done = 0;
    optimistic.on = true;
    while (rc == 0 && done == 0 && optimistic.wanted && w->defer->n)
        done = attempt(w);
    rowset_free(&optimistic.broken);
    w->optimistic = NULL;
    return rc || done < 0 ? -1 : 0;
}

int settle_deferred(struct apply_context *w)
{
    int more = 1;
    while (more > 0) { /* a row that came now may be one that others in quarantine wait for */
        if (quarantine_recheck(w) || (w->defer->n && try_all(w)))
            return -1;
        more = deferred_take(w);
    }
    return more < 0 || ((w->defer->n || w->defer->taken) && give_up_all(w)) ? -1 : 0;
}
