/* work: see compare/work.h. */
#include "compare/work.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/pack.h"

#include <stdlib.h>
#include <string.h>

/* Columns ending in 0 are mine's, in 1 theirs'. Rows and keys are packed (compare/pack.h). */
static const char sql_make[] =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
    "CREATE TABLE item (id INTEGER PRIMARY KEY, object INTEGER, key BLOB, outcome INTEGER, taken INTEGER,"
    " base BLOB, content BLOB, out BLOB,"
    " what0 INTEGER, version0 BLOB, row0 BLOB, op0 INTEGER, state0 INTEGER, reason0 TEXT, given0,"
    " fresh0 INTEGER, backwards0 INTEGER,"
    " what1 INTEGER, version1 BLOB, row1 BLOB, op1 INTEGER, state1 INTEGER, reason1 TEXT, given1,"
    " fresh1 INTEGER, backwards1 INTEGER);"
    "CREATE INDEX item_key ON item (object, key);";

enum { SHARED = 8, PER_SIDE = 9 };

static const char sql_add[] = "INSERT OR REPLACE INTO item VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                              "?11, ?12, ?13, ?14, ?15, ?16, "
                              "?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)";
static const char sql_get[] = "SELECT * FROM item WHERE id = ?1";
static const char sql_find[] = "SELECT * FROM item WHERE object = ?1 AND key = ?2";

int work_open(struct work *w, const struct specs *specs)
{
    *w = (struct work){.specs = specs, .db = db_open("", DB_CREATE)};
    if (w->db == NULL || db_exec(w->db, sql_make))
        return -1;
    w->add = db_prepare(w->db, sql_add);
    w->get = db_prepare(w->db, sql_get);
    w->find = db_prepare(w->db, sql_find);
    return w->add && w->get && w->find ? db_exec(w->db, "BEGIN") : -1;
}

void work_close(struct work *w)
{
    db_close(w->db);
    arena_free(&w->arena);
    *w = (struct work){0};
}

int work_clear(struct work *w)
{
    return db_exec(w->db, "DELETE FROM item");
}

/* ---- writing ---- */

static struct val blob_of(const struct buf *b, size_t from)
{
    return (struct val){.type = VAL_BLOB, .p = b->p + from, .n = b->n - from};
}

/* A row as a blob in b, or NULL. b has room enough, so that it does not move. */
static struct val row_blob(struct buf *b, const struct val *row, size_t n)
{
    size_t from = b->n;
    if (row == NULL)
        return (struct val){.type = VAL_NULL};
    pack_row(b, row, n);
    return blob_of(b, from);
}

static size_t row_room(const struct val *row, size_t n)
{
    size_t room = 0;
    for (size_t i = 0; row && i < n; i++)
        room += 16 + (row[i].type == VAL_TEXT || row[i].type == VAL_BLOB ? row[i].n : 0);
    return room;
}

static struct val or_null(struct val v)
{
    if (v.type == VAL_NONE)
        v.type = VAL_NULL;
    return v;
}

static void bind_side(struct stmt *s, const struct item *i, int side, struct buf *b, size_t ncol)
{
    int at = SHARED + side * PER_SIDE;
    struct val row = row_blob(b, i->row[side], ncol), version = or_null(i->version[side]),
               given = or_null(i->given[side]);
    stmt_bind_int(s, at + 1, i->what[side]);
    stmt_bind(s, at + 2, &version);
    stmt_bind(s, at + 3, &row);
    stmt_bind_int(s, at + 4, i->op[side]);
    stmt_bind_int(s, at + 5, i->state[side]);
    stmt_bind_text(s, at + 6, i->reason[side]);
    stmt_bind(s, at + 7, &given);
    stmt_bind_int(s, at + 8, i->fresh[side]);
    stmt_bind_int(s, at + 9, i->backwards[side]);
}

int work_put(struct work *w, const struct item *i)
{
    const struct table *t = w->specs->spec[i->object].row;
    struct buf b = {0};
    buf_reserve(&b, row_room(i->key, t->nkey) + row_room(i->row[0], t->ncol) + row_room(i->row[1], t->ncol) +
                        row_room(i->out, t->ncol));
    struct val key = row_blob(&b, i->key, t->nkey), out = row_blob(&b, i->out, t->ncol);
    struct val base = or_null(i->base), content = or_null(i->content);
    stmt_bind_int(w->add, 1, i->id);
    stmt_bind_int(w->add, 2, (int64_t)i->object);
    stmt_bind(w->add, 3, &key);
    stmt_bind_int(w->add, 4, i->outcome);
    stmt_bind_int(w->add, 5, i->taken);
    stmt_bind(w->add, 6, &base);
    stmt_bind(w->add, 7, &content);
    stmt_bind(w->add, 8, &out);
    for (int side = 0; side < SIDES; side++)
        bind_side(w->add, i, side, &b, t->ncol);
    int rc = stmt_run(w->add);
    buf_free(&b);
    return rc;
}

int work_add(struct work *w, struct item *i)
{
    if (i->id == 0)
        i->id = ++w->next;
    return work_put(w, i);
}

/* ---- reading ---- */

static const struct val *take_row(struct stmt *s, int column, size_t n, struct arena *a)
{
    struct val blob = stmt_val(s, column);
    if (blob.type != VAL_BLOB)
        return NULL;
    struct wire w = wire_over(arena_copy(a, blob.p, blob.n), blob.n);
    struct val *row = arena_alloc(a, n * sizeof *row);
    return unpack_row(&w, row, n) ? row : NULL;
}

static struct val take_val(struct stmt *s, int column, struct arena *a)
{
    struct val v = stmt_val(s, column);
    return arena_val(a, &v);
}

static void take_side(struct stmt *s, struct item *i, int side, size_t ncol, struct arena *a)
{
    int at = SHARED + side * PER_SIDE;
    const char *reason = stmt_text(s, at + 5);
    i->what[side] = (enum what)stmt_int(s, at);
    i->version[side] = take_val(s, at + 1, a);
    i->row[side] = take_row(s, at + 2, ncol, a);
    i->op[side] = (enum change_op)stmt_int(s, at + 3);
    i->state[side] = (enum state)stmt_int(s, at + 4);
    i->reason[side] = reason ? arena_copy(a, reason, strlen(reason) + 1) : NULL;
    i->given[side] = take_val(s, at + 6, a);
    i->fresh[side] = stmt_int(s, at + 7) != 0;
    i->backwards[side] = stmt_int(s, at + 8) != 0;
}

static void take(struct work *w, struct stmt *s, struct arena *a, struct item *i)
{
    *i = (struct item){.id = stmt_int(s, 0), .object = (size_t)stmt_int(s, 1)};
    const struct table *t = w->specs->spec[i->object].row;
    i->key = take_row(s, 2, t->nkey, a);
    i->outcome = (enum outcome)stmt_int(s, 3);
    i->taken = (enum take)stmt_int(s, 4);
    i->base = take_val(s, 5, a);
    i->content = take_val(s, 6, a);
    i->out = take_row(s, 7, t->ncol, a);
    for (int side = 0; side < SIDES; side++)
        take_side(s, i, side, t->ncol, a);
}

int work_each(struct work *w, work_fn *fn, void *ctx, const char *condition)
{
    struct arena arena = {0};
    struct item item;
    struct stmt *s = db_preparef(w->db, "SELECT * FROM item WHERE %s", condition);
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        arena_clear(&arena);
        take(w, s, &arena, &item);
        rc = fn(ctx, &item);
    }
    stmt_free(s);
    arena_free(&arena);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}

static int get(struct work *w, struct stmt *s, struct item *i)
{
    enum step step = stmt_step(s);
    if (step == STEP_ROW) {
        arena_clear(&w->arena);
        take(w, s, &w->arena, i);
        stmt_reset(s);
    }
    return step == STEP_ROW ? 1 : step == STEP_DONE ? 0 : -1;
}

int work_get(struct work *w, int64_t id, struct item *i)
{
    stmt_bind_int(w->get, 1, id);
    return get(w, w->get, i);
}

int work_find(struct work *w, size_t object, const struct val *key, struct item *i)
{
    struct buf b = {0};
    pack_row(&b, key, w->specs->spec[object].row->nkey);
    struct val packed = blob_of(&b, 0);
    stmt_bind_int(w->find, 1, (int64_t)object);
    stmt_bind(w->find, 2, &packed);
    int rc = get(w, w->find, i);
    buf_free(&b);
    return rc;
}

int64_t work_count(struct work *w, const char *condition)
{
    int64_t n;
    return db_get_int(w->db, &n, "SELECT count(*) FROM item WHERE %s", condition) ? -1 : n;
}
