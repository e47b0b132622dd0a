/* unique_swap: see apply/unique_swap.h. */
#include "apply/unique_swap.h"

#include "apply/deferred.h"
#include "apply/record.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

/* temp.dx_out: rows that are out at this moment: the entry's number, the table's index in w->targets, the rowid to put
 * the row in with (0: any), and its insert (record.h). Emptied, not dropped: no table can be while a statement is read from. */
static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_out (seq INTEGER PRIMARY KEY, target INTEGER, row INTEGER, change "
    "BLOB)";
static const char sql_begin[] = "DELETE FROM temp.dx_out; SAVEPOINT dx_exchange";
static const char sql_put_out[] =
    "INSERT INTO temp.dx_out (seq, target, row, change) VALUES (?1, ?2, ?3, ?4)";
static const char sql_take_out[] = "SELECT seq, target, row, change FROM temp.dx_out ORDER BY seq";

/* Deletes the entry's row, if there is one, and notes what it will be when it is put in again. */
static int take_out(struct apply_context *w, struct deferred_entry *e, void *ctx)
{
    (void)w;
    struct stmt *put_out = ctx;
    struct target *t = e->target;
    struct change full = e->change;
    struct buf bytes = {0};
    int64_t rowid = 0;
    int rc = 0;
    if (full.op == CHANGE_UPDATE) {
        int got = target_row(t, &e->change, &rowid);
        if (got <= 0)
            return got;
        struct val *row = arena_alloc(&e->arena, t->table->ncol * sizeof *row);
        for (size_t i = 0; i < t->table->ncol; i++)
            row[i] = full.new[i].type == VAL_NONE ? arena_val(&e->arena, &t->now[i]) : full.new[i];
        full.op = CHANGE_INSERT;
        full.new = row;
        rc = target_delete(t, &e->change, false) == DONE ? 0 : -1;
    }
    record_put(&bytes, &full);
    struct val v = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n};
    stmt_bind_int(put_out, 1, e->seq);
    stmt_bind_int(put_out, 2, (int64_t)t->index);
    stmt_bind_int(put_out, 3, rowid);
    stmt_bind(put_out, 4, &v);
    rc = rc || stmt_run(put_out) ? -1 : 0;
    buf_free(&bytes);
    return rc;
}

/* The seqs of rows that could not be put in again. */
struct failed {
    size_t n;
    int64_t *seq;
};

static int put_in(struct apply_context *w, struct failed *failed)
{
    struct stmt *s = db_prepare(w->db, sql_take_out);
    struct arena arena = {0};
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct target *t = w->targets.target[stmt_int(s, 1)];
        int64_t rowid = stmt_int(s, 2);
        struct val bytes = stmt_val(s, 3);
        struct change c;
        arena_clear(&arena);
        enum done done = DONE_ERROR;
        if (record_get(&bytes, t, &arena, &c) == 0)
            done = target_insert(t, &c, rowid ? &rowid : NULL);
        if (done == DONE_ERROR) {
            step = STEP_ERROR;
            break;
        }
        if (done != DONE) {
            failed->seq = mem_grow(failed->seq, failed->n + 1, sizeof *failed->seq);
            failed->seq[failed->n++] = stmt_int(s, 0);
        }
    }
    arena_free(&arena);
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static int note(struct apply_context *w, struct deferred_entry *e, void *unused)
{
    (void)unused;
    return deferred_note(w, e);
}

/* One attempt: all out, all in. 1 done, 0 some could not be put in (everything is as before, and those are no longer
 * `taken`), -1. */
static int attempt(struct apply_context *w, struct stmt *put_out)
{
    struct failed failed = {0};
    int rc = db_exec(w->db, sql_begin);
    rc = rc || deferred_each(w, DEFERRED_TAKEN, take_out, put_out) || put_in(w, &failed) ? -1 : 0;
    if (rc == 0 && failed.n) {
        rc = db_exec(w->db, "ROLLBACK TO dx_exchange");
        trigger_effects_forget(w->effect.triggers);
    }
    rc = rc || db_exec(w->db, "RELEASE dx_exchange") ? -1 : 0;
    for (size_t i = 0; i < failed.n && rc == 0; i++)
        rc = deferred_not_taken(w, failed.seq[i]);
    if (rc == 0 && failed.n == 0)
        rc = deferred_each(w, DEFERRED_TAKEN, note, NULL);
    free(failed.seq);
    return rc ? -1 : failed.n == 0;
}

int unique_swap_rows(struct apply_context *w)
{
    struct stmt *put_out = db_exec(w->db, sql_make) ? NULL : db_prepare(w->db, sql_put_out);
    int done = put_out ? 0 : -1;
    while (done == 0)
        done = attempt(w, put_out);
    stmt_free(put_out);
    return done < 0 ? -1 : 0;
}
