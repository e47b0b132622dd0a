/* deferred: changes that cannot be done yet (apply/apply_context.h). They wait in a temporary table, so that their
 * number does not matter; the rows they belong to are known in memory. */
#include "apply/deferred.h"
#include "apply/conflict.h"
#include "apply/merge_context.h"
#include "apply/quarantine_decide.h"
#include "apply/quarantine_due.h"
#include "apply/record.h"
#include "apply/rejected_rows.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* temp.dx_wait: a row is a change that waits; only this file names it.
 *
 *   seq      in the order in which changes came: the number in quarantine; behind ARCHIVE those of the archive at hand
 *   target   index of the table in w->targets
 *   way      enum apply_way
 *   origin   whose change it is; NULL: of the archive's sender
 *   archive  where it came from, for conflicts and quarantine
 *   judged   1: apply_change is all that is left to do; 0: it is judged again
 *   taken    1: another row has one of its values
 *   held     its id in dx_quarantine; 0: it came with the archive at hand
 *   fresh    1: it has just been taken out of quarantine, and is not judged by today's permissions yet
 *   sent_back  number of the archive that takes the change back at its origin; 0: none does
 *   reason   why it waits
 *   change   the change (record.h)
 *   row      table and key of its row, as one value
 *
 * Emptied, not dropped: no table can be while a statement is read from, and the apply before may have left rows. */
static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_wait (seq INTEGER PRIMARY KEY, target INTEGER, way INTEGER, origin "
    "TEXT, archive TEXT, judged INTEGER, taken INTEGER, held INTEGER, reason TEXT, change BLOB, row BLOB,"
    " sent_back INTEGER, fresh INTEGER);"
    "CREATE INDEX IF NOT EXISTS temp.dx_wait_row ON dx_wait (row);"
    "DELETE FROM temp.dx_wait";
static const char sql_add[] = "INSERT INTO temp.dx_wait (target, way, origin, archive, judged, taken, "
                              "reason, change, held, row, sent_back, seq, fresh)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?9 <> 0)";
static const char sql_of_row[] =
    "SELECT seq, change FROM temp.dx_wait WHERE row = ?1 AND way = ?2 ORDER BY seq DESC LIMIT 1";
static const char sql_own_of_row[] = "SELECT 1 FROM temp.dx_wait WHERE row = ?1 AND origin IS ?2 LIMIT 1";
static const char sql_next_of_row[] = "SELECT change, seq FROM temp.dx_wait WHERE row = ?1 AND"
                                      " (?2 IS NULL OR origin = ?2) AND seq > ?3 ORDER BY seq LIMIT 1";
static const char sql_again[] =
    "UPDATE temp.dx_wait SET judged = ?1, taken = ?2, reason = ?3, change = ?4, row = ?6 WHERE seq = ?5";
static const char sql_rewrite[] =
    "UPDATE temp.dx_wait SET change = ?2, row = ?3, judged = judged AND NOT ?4 WHERE seq = ?1";
static const char sql_done[] = "DELETE FROM temp.dx_wait WHERE seq = ?1";
static const char sql_new[] = "SELECT count(*) FROM temp.dx_wait WHERE held = 0";
static const char sql_judged[] = "UPDATE temp.dx_wait SET fresh = 0 WHERE fresh";
static const char sql_not_taken[] = "UPDATE temp.dx_wait SET taken = 0 WHERE seq = %lld";

/* Entries are read one at a time, each by its own step, so that the one who gets them may change what follows. */
#define COLUMNS                                                                                      \
    "SELECT seq, target, way, origin, archive, judged, taken, held, reason, change, sent_back FROM " \
    "temp.dx_wait "
static const char *const sql_each[] = {
    [DEFERRED_ALL] = COLUMNS "WHERE seq > ?1 ORDER BY seq LIMIT 1",
    [DEFERRED_JUDGED_DOWN] = COLUMNS "WHERE seq < ?1 AND judged ORDER BY seq DESC LIMIT 1",
    [DEFERRED_MERGE] = COLUMNS "WHERE seq > ?1 AND judged AND way = 1 ORDER BY seq LIMIT 1",
    [DEFERRED_TAKEN] = COLUMNS "WHERE seq > ?1 AND judged AND taken ORDER BY seq LIMIT 1",
    [DEFERRED_QUARANTINED] = COLUMNS "WHERE seq > ?1 AND fresh AND way = 1 ORDER BY seq LIMIT 1",
};
static const char sql_each_of[] =
    COLUMNS "WHERE seq > ?1 AND way = 1 AND target = ?2 AND origin = ?3 ORDER BY seq LIMIT 1";
static const char sql_get[] = COLUMNS "WHERE seq = ?1";

_Static_assert(WORK_MERGE == 1, "the statements name it by its number");

/* No entry in quarantine has such a number. */
static const int64_t ARCHIVE = INT64_C(1) << 62;

static int make_ready(struct apply_context *w)
{
    struct deferred *d = w->defer;
    if (d->ready)
        return 0;
    if (db_exec(w->db, sql_make) || (d->add = db_prepare(w->db, sql_add)) == NULL ||
        (d->again = db_prepare(w->db, sql_again)) == NULL ||
        (d->done = db_prepare(w->db, sql_done)) == NULL || (d->get = db_prepare(w->db, sql_get)) == NULL)
        return -1;
    d->ready = true;
    return 0;
}

/* The row of a change as one value; `room` holds it. */
static struct val row_of(const struct target *t, const struct change *c, struct buf *room)
{
    buf_clear(room);
    wire_put_varint(room, t->index);
    change_key_bytes(c, room);
    return (struct val){.type = VAL_BLOB, .p = room->p, .n = room->n};
}

static int add(struct apply_context *w, const struct quarantined *q, struct target *t, const struct change *c,
               bool taken)
{
    struct deferred *d = w->defer;
    struct buf room = {0};
    if (make_ready(w))
        return -1;
    struct val row = row_of(t, c, &room);
    stmt_bind(d->add, 10, &row);
    stmt_bind_int(d->add, 1, (int64_t)t->index);
    stmt_bind_int(d->add, 2, q->way);
    stmt_bind_text(d->add, 3, q->origin);
    stmt_bind_text(d->add, 4, q->archive);
    stmt_bind_int(d->add, 5, q->judged);
    stmt_bind_int(d->add, 6, taken);
    stmt_bind_text(d->add, 7, q->reason);
    stmt_bind(d->add, 8, &q->change);
    stmt_bind_int(d->add, 9, q->id);
    stmt_bind_int(d->add, 11, q->sent_back);
    stmt_bind_int(d->add, 12, q->id ? q->id : ARCHIVE + ++d->newest);
    d->n++;
    int rc = stmt_run(d->add);
    buf_free(&room);
    return rc;
}

/* The row may be another than before: it may have got another key. */
static int again(struct apply_context *w, struct target *t, const struct change *c, const struct val *bytes,
                 bool judged, bool taken, const char *reason)
{
    struct stmt *s = w->defer->again;
    struct buf room = {0};
    struct val row = row_of(t, c, &room);
    stmt_bind_int(s, 1, judged);
    stmt_bind_int(s, 2, taken);
    stmt_bind_text(s, 3, reason);
    stmt_bind(s, 4, bytes);
    stmt_bind_int(s, 5, w->defer->retrying);
    stmt_bind(s, 6, &row);
    w->defer->blocked = true;
    rowset_add(&w->defer->rows, t, c);
    int rc = stmt_run(s);
    buf_free(&room);
    return rc;
}

/* What a download says of a row is what it shall be, so a later one takes the place of what waits, column by column. */
static void lay_over(struct change *waiting, const struct change *c)
{
    if (c->op != CHANGE_UPDATE || waiting->op == CHANGE_DELETE) {
        *waiting = *c;
        return;
    }
    for (size_t i = 0; i < c->table->ncol; i++)
        if (c->new[i].type != VAL_NONE)
            waiting->new[i] = c->new[i];
}

/* Lays a download's change over the one of its row that waits: 1, 0 when none does, -1. */
static int renew(struct apply_context *w, struct target *t, const struct change *c)
{
    struct buf room = {0}, bytes = {0};
    struct arena arena = {0};
    struct change waiting;
    struct val row = row_of(t, c, &room);
    struct stmt *s = db_prepare(w->db, sql_of_row);
    int rc = -1;
    enum step step = STEP_ERROR;
    if (s) {
        stmt_bind(s, 1, &row);
        stmt_bind_int(s, 2, WORK_DOWNLOAD);
        step = stmt_step(s);
        rc = step == STEP_ERROR ? -1 : step == STEP_ROW;
    }
    if (rc > 0) {
        struct val was = stmt_val(s, 1);
        int64_t seq = stmt_int(s, 0);
        rc = record_get(&was, t, &arena, &waiting) ? -1 : 1;
        stmt_reset(s);
        if (rc > 0) {
            lay_over(&waiting, c);
            record_put(&bytes, &waiting);
            struct val v = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n};
            w->defer->retrying = seq;
            rc = again(w, t, &waiting, &v, false, false, "it waits for another row") ? -1 : 1;
            w->defer->retrying = 0;
        }
    }
    stmt_free(s);
    arena_free(&arena);
    buf_free(&room);
    buf_free(&bytes);
    return rc;
}

int deferred_add(struct apply_context *w, struct target *t, const struct change *c, bool judged, bool taken,
                 const char *reason)
{
    struct buf bytes = {0};
    if (w->way == WORK_DOWNLOAD && !w->defer->retrying && deferred_blocks(w, t, c)) {
        int renewed = renew(w, t, c);
        if (renewed)
            return renewed < 0 ? -1 : 0;
    }
    record_put(&bytes, c);
    struct val v = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n};
    int rc;
    if (w->defer->retrying)
        rc = again(w, t, c, &v, judged, taken, reason);
    else {
        struct quarantined q = {.way = (int)w->way,
                                .judged = judged,
                                .origin = w->effect.origin,
                                .archive = w->archive,
                                .reason = reason,
                                .change = v};
        rowset_add(&w->defer->rows, t, c);
        rc = add(w, &q, t, c, taken);
    }
    buf_free(&bytes);
    return rc;
}

bool deferred_blocks(struct apply_context *w, struct target *t, const struct change *c)
{
    return w->defer->n && rowset_find(&w->defer->rows, t, c);
}

/* Whether a change of the row waits that is of the origin at hand: 1, 0, -1. What others have said of the row is no
 * reason to wait: it meets the row as it then is. */
static int own_waits(struct apply_context *w, struct target *t, const struct change *c)
{
    struct buf room = {0};
    struct val row = row_of(t, c, &room);
    struct stmt *s = db_prepare(w->db, sql_own_of_row);
    enum step step = STEP_ERROR;
    if (s) {
        stmt_bind(s, 1, &row);
        stmt_bind_text(s, 2, w->effect.origin);
        step = stmt_step(s);
    }
    stmt_free(s);
    buf_free(&room);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

int deferred_behind(struct apply_context *w, struct target *t, const struct change *c)
{
    int waits = deferred_blocks(w, t, c);
    if (waits && w->way == WORK_MERGE)
        waits = own_waits(w, t, c);
    if (waits <= 0)
        return waits;
    return deferred_add(w, t, c, false, false, "an earlier change of the row waits") ? -1 : 1;
}

static int waiting_after(struct apply_context *w, struct target *t, const struct change *c,
                         const char *origin, int64_t *seq, struct arena *a, struct change *out)
{
    if (!deferred_blocks(w, t, c))
        return 0;
    struct buf room = {0};
    struct val row = row_of(t, c, &room);
    struct stmt *s = db_prepare(w->db, sql_next_of_row);
    enum step step = STEP_ERROR;
    int rc = -1;
    if (s) {
        stmt_bind(s, 1, &row);
        stmt_bind_text(s, 2, origin);
        stmt_bind_int(s, 3, *seq);
        step = stmt_step(s);
        rc = step == STEP_ERROR ? -1 : step == STEP_ROW;
    }
    if (rc > 0) {
        struct val change = stmt_val(s, 0);
        *seq = stmt_int(s, 1);
        rc = record_get(&change, t, a, out) ? -1 : 1;
    }
    stmt_free(s);
    buf_free(&room);
    return rc;
}

int deferred_find(struct apply_context *w, struct target *t, const struct change *c, const char *origin,
                  struct arena *a, struct change *out)
{
    int64_t seq = 0;
    return waiting_after(w, t, c, origin, &seq, a, out);
}

int deferred_find_next(struct apply_context *w, struct target *t, const struct change *c, int64_t *seq,
                       struct arena *a, struct change *out)
{
    return waiting_after(w, t, c, NULL, seq, a, out);
}

bool deferred_retrying(const struct apply_context *w)
{
    return w->defer->retrying != 0;
}

/* It belongs to a row that somebody decided against. */
static int drop(struct apply_context *w, const struct quarantined *q, struct target *t,
                const struct change *c)
{
    const char *origin = w->effect.origin;
    char *archive = w->archive, *of = mem_text(q->archive);
    w->effect.origin = q->origin;
    w->archive = of;
    int here = target_row(t, c, NULL);
    int rc = here < 0 ? -1 : conflict_dropped(w, t, c, here > 0);
    w->effect.origin = origin;
    w->archive = archive;
    free(of);
    return rc;
}

/* What was judged before it went into quarantine is judged again: the row may be another by now. Of a table that is
 * gone it stays there, unless somebody asks for it. 1 when it is taken out, 0, -1. */
static int take_quarantined(void *ctx, const struct quarantined *q)
{
    struct apply_context *w = ctx;
    int state = rejected_rows_state(w->db, q);
    if (state == REJECTED_WAITS || state < 0)
        return state < 0 ? -1 : 0;
    struct target *t = targets_named(&w->targets, q->table);
    if (t == NULL)
        return err_code() == ERR_REFUSED && w->options->quarantined.id != q->id ? 0 : -1;
    struct arena arena = {0};
    struct change c;
    int rc = record_get(&q->change, t, &arena, &c);
    bool dropped = rc == 0 && state == REJECTED_DROPPED;
    if (dropped)
        rc = drop(w, q, t, &c);
    else if (rc == 0)
        rc = quarantine_decide(w, t, q, &arena, &c);
    if (rc == 0 && !dropped) {
        struct buf bytes = {0};
        struct quarantined again = *q;
        record_put(&bytes, &c);
        again.change = (struct val){.type = VAL_BLOB, .p = bytes.p, .n = bytes.n};
        rowset_add(&w->defer->rows, t, &c);
        again.judged &= q->way == WORK_DOWNLOAD;
        rc = add(w, &again, t, &c, false);
        buf_free(&bytes);
    }
    arena_free(&arena);
    w->count->tried++;
    w->defer->taken = true;
    return rc < 0 ? -1 : 1;
}

int deferred_take(struct apply_context *w)
{
    size_t n;
    int64_t *id = quarantine_due_take(w->effect.due, &n);
    int rc = 0;
    bool any = false;
    for (size_t i = 0; rc >= 0 && i < n; i++) {
        rc = quarantine_one(w->db, id[i], take_quarantined, w);
        any |= rc > 0;
        if (rc > 0 && quarantine_due_remove(w->db, id[i]))
            rc = -1;
    }
    free(id);
    return rc < 0 ? -1 : any;
}

int deferred_begin(struct apply_context *w)
{
    const struct merge *m = w->merge;
    w->defer = mem_zero(1, sizeof *w->defer);
    w->effect.due = quarantine_due_open(&w->targets, m->noded ? m->node.name : NULL, m->start);
    if (w->effect.due == NULL || deferred_take(w) < 0 || rejected_rows_drop(w->db))
        return -1;
    return 0;
}

int deferred_new(struct apply_context *w, int64_t *n)
{
    *n = 0;
    return w->defer->n ? db_get_int(w->db, n, "%s", sql_new) : 0;
}

int deferred_judged(struct apply_context *w)
{
    return db_exec(w->db, sql_judged);
}

void deferred_free(struct apply_context *w)
{
    struct deferred *d = w->defer;
    if (d == NULL)
        return;
    quarantine_due_close(w->effect.due);
    w->effect.due = NULL;
    rowset_free(&d->rows);
    stmt_free(d->add);
    stmt_free(d->again);
    stmt_free(d->done);
    stmt_free(d->get);
    free(d);
    w->defer = NULL;
}

/* ---- what waits, one by one ---- */

void deferred_entry_free(struct deferred_entry *e)
{
    free(e->origin);
    free(e->archive);
    free(e->reason);
    arena_free(&e->arena);
    *e = (struct deferred_entry){0};
}

enum {
    AT_SEQ,
    AT_TARGET,
    AT_WAY,
    AT_ORIGIN,
    AT_ARCHIVE,
    AT_JUDGED,
    AT_TAKEN,
    AT_QUARANTINE_ID,
    AT_REASON,
    AT_CHANGE,
    AT_SENT_BACK
};

/* The next entry by one of the statements above, from `seq` on: 1, 0, -1. */
static int next_entry(struct apply_context *w, struct stmt *s, int64_t seq, struct deferred_entry *e)
{
    deferred_entry_free(e);
    stmt_bind_int(s, 1, seq);
    enum step step = stmt_step(s);
    if (step != STEP_ROW)
        return step == STEP_DONE ? 0 : -1;
    e->seq = stmt_int(s, AT_SEQ);
    e->quarantine_id = stmt_int(s, AT_QUARANTINE_ID);
    e->sent_back = stmt_int(s, AT_SENT_BACK);
    e->target = w->targets.target[stmt_int(s, AT_TARGET)];
    e->way = (enum apply_way)stmt_int(s, AT_WAY);
    e->origin = mem_text(stmt_text(s, AT_ORIGIN));
    e->archive = mem_text(stmt_text(s, AT_ARCHIVE));
    e->reason = mem_text(stmt_text(s, AT_REASON));
    e->judged = stmt_int(s, AT_JUDGED) != 0;
    struct val bytes = stmt_val(s, AT_CHANGE);
    int rc = record_get(&bytes, e->target, &e->arena, &e->change);
    stmt_reset(s);
    return rc ? -1 : 1;
}

/* Frees the statement; NULL: -1. */
static int each_entry(struct apply_context *w, struct stmt *s, int64_t from, deferred_fn *fn, void *ctx)
{
    struct deferred_entry e = {.seq = from};
    int got = s ? 1 : -1;
    while (got > 0 && (got = next_entry(w, s, e.seq, &e)) > 0)
        if (fn(w, &e, ctx))
            got = -1;
    deferred_entry_free(&e);
    stmt_free(s);
    return got;
}

int deferred_each(struct apply_context *w, enum deferred_which which, deferred_fn *fn, void *ctx)
{
    int64_t from = which == DEFERRED_JUDGED_DOWN ? INT64_MAX : INT64_MIN;
    return each_entry(w, db_prepare(w->db, sql_each[which]), from, fn, ctx);
}

int deferred_each_of(struct apply_context *w, const struct target *t, const char *origin, int64_t from,
                     deferred_fn *fn, void *ctx)
{
    struct stmt *s = db_prepare(w->db, sql_each_of);
    if (s) {
        stmt_bind_int(s, 2, (int64_t)t->index);
        stmt_bind_text(s, 3, origin);
    }
    return each_entry(w, s, from, fn, ctx);
}

int deferred_load(struct apply_context *w, int64_t seq, struct deferred_entry *e)
{
    return next_entry(w, w->defer->get, seq, e);
}

int deferred_done(struct apply_context *w, const struct deferred_entry *e)
{
    w->defer->n--;
    w->count->released += e->quarantine_id != 0;
    if (e->quarantine_id && e->way == WORK_MERGE && merge_force(w, e->target, &e->change, e->origin))
        return -1;
    stmt_bind_int(w->defer->done, 1, e->seq);
    return stmt_run(w->defer->done);
}

int deferred_note(struct apply_context *w, const struct deferred_entry *e)
{
    const char *origin = w->effect.origin;
    w->effect.origin = e->origin;
    int rc = change_log_note(&w->effect, e->target, &e->change);
    w->effect.origin = origin;
    return rc ? rc : deferred_done(w, e);
}

int deferred_not_taken(struct apply_context *w, int64_t seq)
{
    return db_execf(w->db, sql_not_taken, (long long)seq);
}

int deferred_rewrite(struct apply_context *w, const struct deferred_entry *e)
{
    struct buf bytes = {0}, room = {0};
    struct stmt *s = db_prepare(w->db, sql_rewrite);
    struct val row = row_of(e->target, &e->change, &room);
    record_put(&bytes, &e->change);
    struct val v = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n};
    if (s) {
        stmt_bind_int(s, 1, e->seq);
        stmt_bind(s, 2, &v);
        stmt_bind(s, 3, &row);
        stmt_bind_int(
            s, 4, e->way == WORK_MERGE && e->change.op == CHANGE_INSERT); /* of another key, perhaps taken */
    }
    rowset_add(&w->defer->rows, e->target, &e->change);
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    buf_free(&bytes);
    buf_free(&room);
    return rc;
}

/* ---- rows of which changes wait ---- */

struct waiting_origin {
    char *name;
    struct rowset rows;
};

static struct waiting_origin *waiting_origin(struct waiting_rows *r, const struct deferred_entry *e)
{
    const char *name = e->origin ? e->origin : "";
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->origin[i].name, name) == 0)
            return &r->origin[i];
    return NULL;
}

bool waiting_rows_find(struct waiting_rows *r, const struct deferred_entry *e)
{
    struct waiting_origin *o = waiting_origin(r, e);
    return o && rowset_find(&o->rows, e->target, &e->change);
}

void waiting_rows_add(struct waiting_rows *r, const struct deferred_entry *e)
{
    struct waiting_origin *o = waiting_origin(r, e);
    if (o == NULL) {
        r->origin = mem_grow(r->origin, r->n + 1, sizeof *r->origin);
        o = &r->origin[r->n++];
        *o = (struct waiting_origin){.name = mem_text(e->origin ? e->origin : "")};
    }
    rowset_add(&o->rows, e->target, &e->change);
}

void waiting_rows_free(struct waiting_rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->origin[i].name);
        rowset_free(&r->origin[i].rows);
    }
    free(r->origin);
    *r = (struct waiting_rows){0};
}
