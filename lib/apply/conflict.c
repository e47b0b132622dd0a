/* conflict: see apply/conflict.h. */
#include "apply/conflict.h"

#include "apply/merge_context.h"
#include "apply/record.h"
#include "apply/verdict_send.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_conflict (id INTEGER PRIMARY KEY, kind TEXT, tbl TEXT, col TEXT, key, "
    "base, ours,"
    " theirs, incoming BLOB, row BLOB, outcome TEXT, reason TEXT, origin TEXT, archive TEXT, resolved TEXT, "
    "made TEXT, own INTEGER NOT NULL DEFAULT 0)";
static const char sql_add[] = "INSERT INTO dx_conflict (kind, tbl, col, key, base, ours, theirs, incoming, "
                              "row, outcome, reason, origin, archive, own, made)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
                              " strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))";
static const char sql_read[] =
    "SELECT id, kind, tbl, col, outcome, reason, origin, archive, resolved, key, base, "
    "ours, theirs, incoming, row, made, own FROM dx_conflict %s";
static const char sql_all[] = "ORDER BY id";
static const char sql_open[] = "WHERE resolved IS NULL ORDER BY id";
static const char sql_one[] = "WHERE id = ?1";
static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_conflict'";

/* ---- recording ---- */

enum { KEY_MOST = 2 << 20 }; /* bytes of a key that is recorded; no row has a larger one (value_check.c) */

static int add(struct apply_context *w, const struct conflict *c)
{
    if (w->conflict == NULL &&
        (db_exec(w->db, sql_make) || (w->conflict = db_prepare(w->db, sql_add)) == NULL))
        return -1;
    struct stmt *s = w->conflict;
    const struct val *const values[] = {&c->key, &c->base, &c->ours, &c->theirs, &c->incoming, &c->row};
    const char *const texts[] = {c->outcome, c->reason, w->effect.origin, w->archive};
    stmt_bind_text(s, 1, c->kind);
    stmt_bind_text(s, 2, c->table);
    stmt_bind_text(s, 3, c->column);
    for (int i = 0; i < 6; i++)
        stmt_bind(s, 4 + i, values[i]);
    for (int i = 0; i < 4; i++)
        stmt_bind_text(s, 10 + i, texts[i]);
    stmt_bind_int(s, 14, c->own);
    int rc = stmt_run(s);
    *(strcmp(c->kind, CONFLICT_PERMISSION) == 0 ? &w->count->refused : &w->count->conflicts) += 1;
    return rc;
}

/* What came, as it is recorded: of a value beyond the server's limit its size, so that what is refused takes no room. */
static struct val recorded(const struct apply_context *w, const struct val *v, struct arena *a)
{
    int64_t most = w->merge->noded ? w->merge->quota.values.value : 0;
    char text[64];
    if (most == 0 || (v->type != VAL_TEXT && v->type != VAL_BLOB) || (int64_t)v->n <= most)
        return *v;
    snprintf(text, sizeof text, "(%zu bytes, not kept)", v->n);
    struct val note = val_text(text);
    return arena_val(a, &note);
}

static void put_incoming(struct buf *b, const struct apply_context *w, const struct change *c)
{
    struct arena arena = {0};
    struct change kept = *c;
    kept.old = arena_alloc(&arena, c->table->ncol * sizeof *kept.old);
    kept.new = arena_alloc(&arena, c->table->ncol * sizeof *kept.new);
    for (size_t i = 0; i < c->table->ncol; i++) {
        kept.old[i] = recorded(w, &c->old[i], &arena);
        kept.new[i] = recorded(w, &c->new[i], &arena);
    }
    record_put(b, &kept);
    arena_free(&arena);
}

int conflict_column(struct apply_context *w, struct target *t, const struct change *c, int column,
                    const char *outcome)
{
    struct buf room = {0};
    struct arena arena = {0};
    struct conflict k = {.kind = CONFLICT_UPDATE,
                         .table = t->table->name,
                         .column = t->table->col[column],
                         .key = change_packed_key(c, &room),
                         .base = recorded(w, &c->old[column], &arena),
                         .ours = t->now[column],
                         .theirs = c->new[column],
                         .outcome = outcome};
    int rc = verdict_send(w, c, column, k.kind, outcome, NULL) || add(w, &k) ? -1 : 0;
    buf_free(&room);
    arena_free(&arena);
    return rc;
}

static struct val blob(const struct buf *b)
{
    return (struct val){.type = VAL_BLOB, .p = b->p, .n = b->n};
}

static int add_row(struct apply_context *w, const struct change *c, const struct change *row,
                   struct conflict *k)
{
    struct buf room = {0}, incoming = {0}, here = {0};
    put_incoming(&incoming, w, c);
    k->incoming = blob(&incoming);
    if (row) {
        record_put(&here, row);
        k->row = blob(&here);
    }
    k->table = c->table->name;
    struct val key = change_packed_key(c, &room);
    k->key = key;
    if (key.n > KEY_MOST && key.type != VAL_INT && key.type != VAL_REAL)
        k->key = (struct val){.type = VAL_NULL};
    int rc = add(w, k);
    buf_free(&room);
    buf_free(&incoming);
    buf_free(&here);
    return rc;
}

static int record_row(struct apply_context *w, struct target *t, const struct change *c, bool here,
                      const char *kind, const char *outcome, const char *reason)
{
    struct arena arena = {0};
    struct conflict k = {.kind = kind, .outcome = outcome, .reason = reason};
    struct val *none = arena_alloc(&arena, t->table->ncol * sizeof *none);
    memset(none, 0, t->table->ncol * sizeof *none);
    struct change row = {.table = t->table, .op = CHANGE_INSERT, .old = none, .new = t->now};
    int rc = add_row(w, c, here ? &row : NULL, &k);
    arena_free(&arena);
    return rc;
}

int conflict_row(struct apply_context *w, struct target *t, const struct change *c, bool here,
                 const char *kind, const char *outcome, const char *reason)
{
    /* The record is the row inserted last: others look for it there. */
    int rc = verdict_send(w, c, -1, kind, outcome, reason);
    return rc ? rc : record_row(w, t, c, here, kind, outcome, reason);
}

int conflict_rekeyed(struct apply_context *w, struct target *t, const struct change *c)
{
    int64_t before = w->count->conflicts;
    if (record_row(w, t, c, true, CONFLICT_REKEY, CONFLICT_THEIRS, "its row got another key"))
        return -1;
    w->count->conflicts = before; /* both rows live: nothing to look at */
    return db_exec(w->db, "UPDATE dx_conflict SET resolved = 'rekeyed' WHERE id = last_insert_rowid()");
}

/* Whether the insert has a value that the row in t->now does not. */
static bool says_more(const struct target *t, const struct change *c)
{
    for (size_t i = 0; i < t->table->ncol; i++) {
        const struct val *v = &c->new[i];
        if (!t->table->pk[i] && v->type != VAL_NONE && v->type != VAL_NULL && !val_same(v, &t->now[i]))
            return true;
    }
    return false;
}

int conflict_adopted(struct apply_context *w, struct target *t, const struct change *c)
{
    int64_t before = w->count->conflicts;
    bool more = says_more(t, c);
    if ((more && verdict_send(w, c, -1, CONFLICT_DUPLICATE, CONFLICT_OURS, NULL)) ||
        record_row(w, t, c, true, CONFLICT_DUPLICATE, CONFLICT_OURS,
                   "what refers to it refers to this row now"))
        return -1;
    if (!more)
        w->count->conflicts = before; /* nobody has to look */
    return db_exec(w->db, "UPDATE dx_conflict SET resolved = 'adopted' WHERE id = last_insert_rowid()");
}

int conflict_dropped(struct apply_context *w, struct target *t, const struct change *c, bool here)
{
    int64_t before = w->count->conflicts;
    if (conflict_row(w, t, c, here, CONFLICT_PARENT, CONFLICT_OURS,
                     "it belongs to a row that was decided against"))
        return -1;
    w->count->conflicts = before; /* it was decided with that row */
    return db_exec(w->db, "UPDATE dx_conflict SET resolved = 'ours' WHERE id = last_insert_rowid()");
}

int conflict_stranger(struct apply_context *w, const struct change *c, const char *reason)
{
    struct conflict k = {.kind = CONFLICT_PERMISSION, .outcome = CONFLICT_OURS, .reason = reason};
    int rc = verdict_send(w, c, -1, k.kind, k.outcome, "the server has no such table or column");
    return rc ? rc : add_row(w, c, NULL, &k);
}

static const char sql_same[] = "SELECT count(*) FROM dx_conflict WHERE own AND resolved IS NULL AND kind = "
                               "?1 AND tbl = ?2 AND col IS ?3 "
                               "AND key IS ?4 AND incoming IS ?5 AND outcome = ?6";

/* A change that waited at the server is decided now. */
static const char sql_decided[] =
    "UPDATE dx_conflict SET resolved = 'decided' WHERE own AND resolved IS NULL AND "
    "outcome = 'waits' AND tbl = ?1 AND key IS ?2";

/* Whether the same verdict is open already: a server that does not know that it was read tells it again. */
static int known(struct apply_context *w, const struct conflict *k)
{
    struct stmt *s = db_exec(w->db, sql_make) ? NULL : db_prepare(w->db, sql_same);
    if (s == NULL)
        return -1;
    const char *const text[] = {k->kind, k->table, k->column};
    for (int i = 0; i < 3; i++)
        stmt_bind_text(s, 1 + i, text[i]);
    stmt_bind(s, 4, &k->key);
    stmt_bind(s, 5, &k->incoming);
    stmt_bind_text(s, 6, k->outcome);
    int got = stmt_step(s) == STEP_ROW ? stmt_int(s, 0) > 0 : -1;
    stmt_free(s);
    return got;
}

static int settle_waiting(struct apply_context *w, const struct conflict *k)
{
    struct stmt *s = db_prepare(w->db, sql_decided);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, k->table);
    stmt_bind(s, 2, &k->key);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int conflict_own(struct apply_context *w, const struct change *c, struct conflict *k)
{
    struct buf room = {0};
    k->own = true;
    if (strcmp(k->outcome, CONFLICT_OURS) == 0) /* of the server */
        k->outcome = CONFLICT_THEIRS;
    k->key = c ? change_packed_key(c, &room) : (struct val){.type = VAL_NULL};
    int there = known(w, k);
    int rc = there ? (there > 0 ? 0 : -1) : settle_waiting(w, k) || add(w, k) ? -1 : 0;
    buf_free(&room);
    return rc;
}

/* ---- reading ---- */

static struct conflict take(struct stmt *s)
{
    return (struct conflict){.id = stmt_int(s, 0),
                             .kind = stmt_text(s, 1),
                             .table = stmt_text(s, 2),
                             .column = stmt_text(s, 3),
                             .outcome = stmt_text(s, 4),
                             .reason = stmt_text(s, 5),
                             .origin = stmt_text(s, 6),
                             .archive = stmt_text(s, 7),
                             .resolved = stmt_text(s, 8),
                             .key = stmt_val(s, 9),
                             .base = stmt_val(s, 10),
                             .ours = stmt_val(s, 11),
                             .theirs = stmt_val(s, 12),
                             .incoming = stmt_val(s, 13),
                             .row = stmt_val(s, 14),
                             .made = stmt_text(s, 15),
                             .own = stmt_int(s, 16) != 0};
}

/* 1, 0, -1 */
static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

/* A statement over the table, which is there; NULL on failure. */
static struct stmt *prepare_read(struct db *db, const char *which)
{
    char *sql = mem_printf(sql_read, which);
    struct stmt *s = db_prepare(db, sql);
    free(sql);
    return s;
}

int conflict_each(struct db *db, bool open, conflict_fn *fn, void *ctx)
{
    int there = present(db), rc = 0;
    if (there <= 0)
        return there;
    struct stmt *s = prepare_read(db, open ? sql_open : sql_all);
    enum step step = STEP_ERROR;
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct conflict c = take(s);
        rc = fn(ctx, &c);
    }
    stmt_free(s);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}

int conflict_get(struct db *db, int64_t id, conflict_fn *fn, void *ctx)
{
    int there = present(db);
    struct stmt *s = there > 0 ? prepare_read(db, sql_one) : NULL;
    enum step step = there < 0 || (there && s == NULL) ? STEP_ERROR : STEP_DONE;
    int rc = -1;
    if (s) {
        stmt_bind_int(s, 1, id);
        step = stmt_step(s);
    }
    if (step == STEP_ROW) {
        struct conflict c = take(s);
        rc = fn(ctx, &c);
    } else if (step == STEP_DONE)
        rc = fail(ERR_REFUSED, "%s: there is no conflict %lld; `dxapply conflicts` lists them", db_path(db),
                  (long long)id);
    stmt_free(s);
    return rc;
}

int conflict_note_resolved(struct db *db, int64_t id, const char *how)
{
    return db_execf(db, "UPDATE dx_conflict SET resolved = %Q WHERE id = %lld", how, (long long)id);
}
