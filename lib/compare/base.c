/* base: see compare/base.h. */
#include "compare/base.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha.h"
#include "compare/pack.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, PAIR_BYTES = 16 };

static const char sql_make[] =
    "CREATE TABLE dx_base (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE dx_object (id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, layout BLOB, shape "
    "TEXT);"
    "CREATE TABLE dx_link (object INTEGER, mine, theirs, PRIMARY KEY (object, mine), UNIQUE (object, "
    "theirs));"
    "CREATE TABLE dx_conflict (id INTEGER PRIMARY KEY AUTOINCREMENT, object INTEGER, key BLOB, layout BLOB,"
    " what_mine INTEGER, what_theirs INTEGER, mine BLOB, theirs BLOB, version_mine BLOB, version_theirs BLOB,"
    " answer TEXT, old INTEGER DEFAULT 0, UNIQUE (object, key));"
    "CREATE TABLE dx_issue (object INTEGER, key BLOB, layout BLOB, side INTEGER, reason TEXT);";

static const char sql_rows[] =
    "CREATE TABLE \"dx_agreed_%lld\" (%s, version BLOB, content BLOB, PRIMARY KEY (%s)) WITHOUT ROWID";

static const char sql_conflict[] = "INSERT INTO dx_conflict (object, key, layout, what_mine, what_theirs, "
                                   "mine, theirs, version_mine, version_theirs)"
                                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (object, key) "
                                   "DO UPDATE SET layout = ?3, what_mine = ?4,"
                                   " what_theirs = ?5, mine = ?6, theirs = ?7, answer = iif(version_mine IS "
                                   "?8 AND version_theirs IS ?9, answer, NULL),"
                                   " version_mine = ?8, version_theirs = ?9, old = 0";

static const char sql_answer[] = "SELECT answer FROM dx_conflict WHERE object = ?1 AND key = ?2 AND "
                                 "version_mine IS ?3 AND version_theirs IS ?4";

static int set_int(struct base *b, const char *name, int64_t v)
{
    return db_execf(b->db, "INSERT OR REPLACE INTO dx_base VALUES (%Q, %lld)", name, (long long)v);
}

static int set_text(struct base *b, const char *name, const char *v)
{
    return db_execf(b->db, "INSERT OR REPLACE INTO dx_base VALUES (%Q, %Q)", name, v);
}

static int get_int(struct base *b, const char *name, int64_t *v)
{
    return db_get_int(b->db, v, "SELECT value FROM dx_base WHERE name = %Q", name);
}

static int get_text(struct base *b, const char *name, char **v)
{
    return db_get_text(b->db, v, "SELECT value FROM dx_base WHERE name = %Q", name);
}

/* ---- opening ---- */

static int make(struct base *b)
{
    char pair[2 * PAIR_BYTES + 1];
    b->fresh = true;
    sha_random_hex(PAIR_BYTES, pair);
    return db_exec(b->db, sql_make) || set_int(b, "format", FORMAT) || set_text(b, "pair", pair) ? -1 : 0;
}

static int load(struct base *b)
{
    static const char *const path[SIDES] = {"path_mine", "path_theirs"},
                             *const run[SIDES] = {"run_mine", "run_theirs"},
                             *const mark[SIDES] = {"mark_mine", "mark_theirs"};
    int rc = get_text(b, "pair", &b->pair) || get_text(b, "digest", &b->digest) ||
             get_int(b, "run", &b->run) || get_int(b, "running", &b->running);
    for (int side = 0; side < SIDES && !rc; side++)
        rc = get_text(b, path[side], &b->side[side].path) || get_int(b, run[side], &b->side[side].run) ||
             get_int(b, mark[side], &b->side[side].mark);
    return rc ? -1 : 0;
}

static int check(struct base *b)
{
    int64_t tables, ours, format;
    if (db_get_int(b->db, &tables, "SELECT count(*) FROM sqlite_schema") ||
        db_get_int(b->db, &ours,
                   "SELECT count(*) FROM sqlite_schema WHERE name IN ('dx_base', 'dx_link', 'dx_conflict')"))
        return -1;
    if (tables == 0)
        return make(b);
    if (ours != 3)
        return fail(ERR_REFUSED, "%s: a database, but no base of a comparison; name another file", b->path);
    if (get_int(b, "format", &format))
        return -1;
    return format == FORMAT ? 0
                            : fail(ERR_REFUSED, "%s: a base of format %lld; this program knows %d", b->path,
                                   (long long)format, FORMAT);
}

static struct base *open_at(const char *path, bool write, enum db_mode mode)
{
    struct base *b = mem_zero(1, sizeof *b);
    b->path = mem_text(path);
    b->db = db_open(path, mode);
    if (b->db && (write ? db_begin_write(b->db) : db_begin_read(b->db)) == 0 && check(b) == 0 && load(b) == 0)
        return b;
    base_close(b);
    return NULL;
}

struct base *base_open(const char *path, bool write)
{
    if (!write && !file_exists(path)) {
        fail(ERR_SYSTEM, "%s: no such file", path);
        return NULL;
    }
    return open_at(path, write, write ? DB_CREATE : DB_READ);
}

struct base *base_none(void)
{
    return open_at("", true, DB_CREATE);
}

void base_close(struct base *b)
{
    if (b == NULL)
        return;
    db_close(b->db); /* with it the statements */
    for (int side = 0; side < SIDES; side++)
        free(b->side[side].path);
    free(b->object);
    free(b->pair);
    free(b->digest);
    free(b->path);
    free(b);
}

/* ---- objects ---- */

/* What must be the same for what is known of rows to count: key and what a version is made of. */
static char *shape_of(const struct spec *s)
{
    struct buf b = {0};
    char hex[SHA_HEX];
    pack_table(&b, s->row);
    pack_int(&b, s->by_column);
    for (size_t i = 0; i < s->nchange; i++)
        pack_int(&b, (int64_t)s->change[i]);
    sha_hex(b.p, b.n, hex);
    buf_free(&b);
    return mem_text(hex);
}

static void key_columns(struct buf *b, const struct table *t, const char *fmt)
{
    for (size_t i = 0; i < t->nkey; i++) {
        buf_puts(b, i ? ", " : "");
        buf_addf(b, "k%zu", i + 1);
        buf_puts(b, fmt);
    }
}

static int add_object(struct base *b, const struct spec *s, int64_t *id)
{
    struct buf keys = {0}, layout = {0};
    char *shape = shape_of(s);
    key_columns(&keys, s->row, "");
    pack_table(&layout, s->row);
    struct stmt *add = db_prepare(b->db, "INSERT INTO dx_object (name, layout, shape) VALUES (?1, ?2, ?3)");
    int rc = add ? 0 : -1;
    if (add) {
        struct val v = {.type = VAL_BLOB, .p = layout.p, .n = layout.n};
        stmt_bind_text(add, 1, s->row->name);
        stmt_bind(add, 2, &v);
        stmt_bind_text(add, 3, shape);
        rc = stmt_run(add);
        *id = db_last_rowid(b->db);
    }
    stmt_free(add);
    if (rc == 0)
        rc = db_execf(b->db, sql_rows, (long long)*id, buf_text(&keys), buf_text(&keys));
    buf_free(&keys);
    buf_free(&layout);
    free(shape);
    return rc;
}

static int drop_object(struct base *b, int64_t id)
{
    return db_execf(b->db,
                    "DROP TABLE \"dx_agreed_%lld\"; DELETE FROM dx_object WHERE id = %lld;"
                    "DELETE FROM dx_link WHERE object = %lld; DELETE FROM dx_conflict WHERE object = %lld;"
                    "DELETE FROM dx_issue WHERE object = %lld",
                    (long long)id, (long long)id, (long long)id, (long long)id, (long long)id);
}

/* The keys of an object stay where its shape is another, if they have as many columns. */
static int reshape(struct base *b, const struct spec *s, struct base_object *o)
{
    char *shape = shape_of(s);
    struct buf layout = {0};
    int64_t nkey;
    pack_table(&layout, s->row);
    int rc = db_get_int(b->db, &nkey, "SELECT count(*) FROM pragma_table_info('dx_agreed_%lld') WHERE pk",
                        (long long)o->id);
    if (rc == 0 && (size_t)nkey != s->row->nkey)
        rc = drop_object(b, o->id) || add_object(b, s, &o->id) ? -1 : 0;
    else if (rc == 0) {
        struct stmt *put = db_preparef(b->db, "UPDATE dx_object SET layout = ?1, shape = %Q WHERE id = %lld",
                                       shape, (long long)o->id);
        struct val v = {.type = VAL_BLOB, .p = layout.p, .n = layout.n};
        if (put)
            stmt_bind(put, 1, &v);
        rc = put ? stmt_run(put) : -1;
        stmt_free(put);
        o->blind = true;
    }
    buf_free(&layout);
    free(shape);
    return rc;
}

static int prepare(struct base *b, const struct spec *s, struct base_object *o)
{
    struct buf keys = {0}, where = {0}, marks = {0};
    key_columns(&keys, s->row, "");
    for (size_t i = 0; i < s->row->nkey; i++) {
        buf_addf(&where, "%sk%zu = ?%zu", i ? " AND " : "", i + 1, i + 1);
        buf_puts(&marks, "?, ");
    }
    long long id = o->id;
    o->rows = db_preparef(b->db, "SELECT %s, version, content FROM \"dx_agreed_%lld\" ORDER BY %s",
                          buf_text(&keys), id, buf_text(&keys));
    o->again = db_preparef(b->db, "SELECT %s, version, content FROM \"dx_agreed_%lld\" ORDER BY %s",
                           buf_text(&keys), id, buf_text(&keys));
    o->put =
        db_preparef(b->db, "INSERT OR REPLACE INTO \"dx_agreed_%lld\" VALUES (%s?, ?)", id, buf_text(&marks));
    o->drop = db_preparef(b->db, "DELETE FROM \"dx_agreed_%lld\" WHERE %s", id, buf_text(&where));
    buf_free(&keys);
    buf_free(&where);
    buf_free(&marks);
    return o->rows && o->again && o->put && o->drop ? 0 : -1;
}

static int find_object(struct base *b, const struct spec *s, struct base_object *o, bool renew)
{
    char *shape = NULL, *now = shape_of(s);
    int rc =
        db_get_int(b->db, &o->id, "SELECT id FROM dx_object WHERE name = %Q", s->row->name) ||
                db_get_text(b->db, &shape, "SELECT shape FROM dx_object WHERE id = %lld", (long long)o->id)
            ? -1
            : 0;
    if (rc == 0 && o->id == 0) {
        o->initial = true;
        rc = add_object(b, s, &o->id);
    } else if (rc == 0 && renew && (shape == NULL || strcmp(shape, now) != 0))
        rc = reshape(b, s, o);
    free(shape);
    free(now);
    return rc || prepare(b, s, o) ? -1 : 0;
}

static int forget_all(struct base *b)
{
    int64_t id = 0;
    int rc = 0;
    while (rc == 0 && (rc = db_get_int(b->db, &id, "SELECT id FROM dx_object LIMIT 1")) == 0 && id)
        rc = drop_object(b, id);
    return rc;
}

int base_objects(struct base *b, const struct specs *s, bool renew, bool forget)
{
    if (forget && forget_all(b))
        return -1;
    b->nobject = s->n;
    b->object = mem_zero(s->n, sizeof *b->object);
    for (size_t i = 0; i < s->n; i++)
        if (find_object(b, &s->spec[i], &b->object[i], renew))
            return -1;
    return 0;
}

/* ---- rows ---- */

static int next_row(const struct base_object *o, struct stmt *rows, const struct spec *s, struct val *row)
{
    enum step step = stmt_step(rows);
    if (step != STEP_ROW)
        return step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < s->row->nkey + 2; i++)
        row[i] = stmt_val(rows, (int)i);
    if (o->blind)
        row[s->row->nkey] = row[s->row->nkey + 1] = (struct val){.type = VAL_NULL};
    return 1;
}

int base_rows_begin(struct base *b, size_t object)
{
    stmt_reset(b->object[object].rows);
    return 0;
}

int base_rows_next(struct base *b, const struct spec *s, size_t object, struct val *row)
{
    return next_row(&b->object[object], b->object[object].rows, s, row);
}

int base_again_begin(struct base *b, size_t object)
{
    stmt_reset(b->object[object].again);
    return 0;
}

int base_again_next(struct base *b, const struct spec *s, size_t object, struct val *row)
{
    return next_row(&b->object[object], b->object[object].again, s, row);
}

int base_agree(struct base *b, const struct spec *s, size_t object, const struct val *key,
               const struct val *version, const struct val *content)
{
    struct stmt *put = b->object[object].put;
    static const struct val null = {.type = VAL_NULL};
    int n = 1;
    for (size_t i = 0; i < s->row->nkey; i++)
        stmt_bind(put, n++, &key[i]);
    stmt_bind(put, n++, version);
    stmt_bind(put, n, content ? content : &null);
    return stmt_run(put);
}

int base_drop(struct base *b, const struct spec *s, size_t object, const struct val *key)
{
    struct stmt *drop = b->object[object].drop;
    for (size_t i = 0; i < s->row->nkey; i++)
        stmt_bind(drop, (int)i + 1, &key[i]);
    if (stmt_run(drop))
        return -1;
    if (s->row->nkey != 1)
        return 0;
    struct stmt *link = db_preparef(b->db, "DELETE FROM dx_link WHERE object = %lld AND theirs = ?1",
                                    (long long)b->object[object].id);
    if (link)
        stmt_bind(link, 1, &key[0]);
    int rc = link ? stmt_run(link) : -1;
    stmt_free(link);
    return rc;
}

int base_link(struct base *b, size_t object, const struct val *mine, const struct val *theirs)
{
    struct stmt *s = db_prepare(b->db, "INSERT OR IGNORE INTO dx_link VALUES (?1, ?2, ?3)");
    if (s) {
        stmt_bind_int(s, 1, b->object[object].id);
        stmt_bind(s, 2, mine);
        stmt_bind(s, 3, theirs);
    }
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    return rc;
}

int base_links(struct base *b, base_link_fn *fn, void *ctx)
{
    int rc = 0;
    for (size_t i = 0; i < b->nobject && rc == 0; i++) {
        struct stmt *s = db_preparef(b->db, "SELECT mine, theirs FROM dx_link WHERE object = %lld",
                                     (long long)b->object[i].id);
        enum step step = STEP_ERROR;
        rc = s ? 0 : -1;
        while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
            struct val mine = stmt_val(s, 0), theirs = stmt_val(s, 1);
            rc = fn(ctx, i, &mine, &theirs);
        }
        stmt_free(s);
        rc = rc ? rc : step == STEP_ERROR ? -1 : 0;
    }
    return rc;
}

/* ---- conflicts and issues ---- */

int base_clear_lists(struct base *b)
{
    return db_exec(b->db, "DELETE FROM dx_issue; UPDATE dx_conflict SET old = 1");
}

/* Rows and layouts as blobs; the caller frees the buffers. */
static struct val packed(struct buf *b, const struct val *row, size_t n)
{
    if (row == NULL)
        return (struct val){.type = VAL_NULL};
    pack_row(b, row, n);
    return (struct val){.type = VAL_BLOB, .p = b->p, .n = b->n};
}

static struct val layout_blob(struct buf *b, const struct table *t)
{
    pack_table(b, t);
    return (struct val){.type = VAL_BLOB, .p = b->p, .n = b->n};
}

int base_conflict(struct base *b, const struct specs *specs, const struct item *i)
{
    const struct spec *spec = &specs->spec[i->object];
    struct buf room[4] = {{0}};
    struct val key = packed(&room[0], i->key, spec->row->nkey), layout = layout_blob(&room[1], spec->row),
               row[SIDES] = {packed(&room[2], i->row[MINE], spec->row->ncol),
                             packed(&room[3], i->row[THEIRS], spec->row->ncol)};
    struct stmt *s = db_prepare(b->db, sql_conflict);
    int rc = s ? 0 : -1;
    if (s) {
        stmt_bind_int(s, 1, b->object[i->object].id);
        stmt_bind(s, 2, &key);
        stmt_bind(s, 3, &layout);
        stmt_bind_int(s, 4, i->what[MINE]);
        stmt_bind_int(s, 5, i->what[THEIRS]);
        for (int side = 0; side < SIDES; side++) {
            stmt_bind(s, 6 + side, &row[side]);
            stmt_bind(s, 8 + side, &i->version[side]);
        }
        rc = stmt_run(s);
    }
    stmt_free(s);
    for (size_t k = 0; k < 4; k++)
        buf_free(&room[k]);
    return rc;
}

int base_issue(struct base *b, const struct specs *specs, const struct item *i, int side)
{
    const struct spec *spec = &specs->spec[i->object];
    struct buf room[2] = {{0}};
    struct val key = packed(&room[0], i->key, spec->row->nkey), layout = layout_blob(&room[1], spec->row);
    struct stmt *s = db_prepare(b->db, "INSERT INTO dx_issue VALUES (?1, ?2, ?3, ?4, ?5)");
    if (s) {
        stmt_bind_int(s, 1, b->object[i->object].id);
        stmt_bind(s, 2, &key);
        stmt_bind(s, 3, &layout);
        stmt_bind_int(s, 4, side);
        stmt_bind_text(s, 5, i->reason[side == SIDES ? MINE : side]);
    }
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    buf_free(&room[0]);
    buf_free(&room[1]);
    return rc;
}

bool base_has_issue(struct base *b, const struct specs *specs, const struct item *i)
{
    struct buf room = {0};
    struct val key = packed(&room, i->key, specs->spec[i->object].row->nkey);
    struct stmt *s = db_prepare(b->db, "SELECT 1 FROM dx_issue WHERE object = ?1 AND key = ?2");
    if (s) {
        stmt_bind_int(s, 1, b->object[i->object].id);
        stmt_bind(s, 2, &key);
    }
    bool has = s && stmt_step(s) == STEP_ROW;
    stmt_free(s);
    buf_free(&room);
    return has;
}

int base_answer(struct base *b, const struct specs *specs, const struct item *i, char **answer)
{
    const struct spec *spec = &specs->spec[i->object];
    struct buf room = {0};
    struct val key = packed(&room, i->key, spec->row->nkey);
    struct stmt *s = db_prepare(b->db, sql_answer);
    enum step step = STEP_ERROR;
    *answer = NULL;
    if (s) {
        stmt_bind_int(s, 1, b->object[i->object].id);
        stmt_bind(s, 2, &key);
        stmt_bind(s, 3, &i->version[MINE]);
        stmt_bind(s, 4, &i->version[THEIRS]);
        step = stmt_step(s);
    }
    if (step == STEP_ROW)
        *answer = mem_text(stmt_text(s, 0));
    stmt_free(s);
    buf_free(&room);
    if (*answer && strlen(*answer) != spec->row->ncol) { /* of another layout */
        free(*answer);
        *answer = NULL;
    }
    return step == STEP_ERROR ? -1 : *answer != NULL;
}

/* ---- runs ---- */

int base_begin_run(struct base *b)
{
    b->running = b->run + 1;
    return set_int(b, "running", b->running) || base_commit(b) ? -1 : 0;
}

int base_end_run(struct base *b, const char *digest)
{
    b->run = b->running;
    b->running = 0;
    return set_int(b, "run", b->run) || set_int(b, "running", 0) || set_text(b, "digest", digest) ||
                   set_text(b, "path_mine", b->side[MINE].path) ||
                   set_text(b, "path_theirs", b->side[THEIRS].path) ||
                   set_int(b, "run_mine", b->side[MINE].run) ||
                   set_int(b, "run_theirs", b->side[THEIRS].run) ||
                   set_int(b, "mark_mine", b->side[MINE].mark) ||
                   set_int(b, "mark_theirs", b->side[THEIRS].mark) ||
                   db_exec(b->db, "DELETE FROM dx_conflict WHERE old")
               ? -1
               : base_commit(b);
}

int base_commit(struct base *b)
{
    return db_commit(b->db) || db_begin_write(b->db) ? -1 : 0;
}

/* ---- for people ---- */

static const struct val *take_row(struct stmt *s, int column, size_t n, struct arena *a)
{
    struct val blob = stmt_val(s, column);
    if (blob.type != VAL_BLOB)
        return NULL;
    struct wire w = wire_over(blob.p, blob.n);
    struct val *row = arena_alloc(a, n * sizeof *row);
    return unpack_row(&w, row, n) ? row : NULL;
}

static struct table *take_layout(struct base *b, struct stmt *s, int column)
{
    struct val blob = stmt_val(s, column);
    struct wire w = wire_over(blob.type == VAL_BLOB ? blob.p : NULL, blob.type == VAL_BLOB ? blob.n : 0);
    struct table *t = unpack_table(&w);
    if (t == NULL)
        fail(ERR_REFUSED, "%s: is damaged", b->path);
    return t;
}

int base_each_conflict(struct base *b, base_conflict_fn *fn, void *ctx)
{
    struct stmt *s = db_prepare(
        b->db, "SELECT c.id, c.layout, c.what_mine, c.what_theirs, c.key, c.mine, c.theirs, c.answer"
               " FROM dx_conflict AS c ORDER BY c.id");
    struct arena arena = {0};
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct base_conflict c = {
            .id = stmt_int(s, 0), .layout = take_layout(b, s, 1), .answer = stmt_text(s, 7)};
        if (c.layout == NULL) {
            rc = -1;
            break;
        }
        arena_clear(&arena);
        c.table = c.layout->name;
        c.key = take_row(s, 4, c.layout->nkey, &arena);
        for (int side = 0; side < SIDES; side++) {
            c.what[side] = (enum what)stmt_int(s, 2 + side);
            c.row[side] = take_row(s, 5 + side, c.layout->ncol, &arena);
        }
        rc = c.key ? fn(ctx, &c) : fail(ERR_REFUSED, "%s: is damaged", b->path);
        table_free(c.layout);
    }
    stmt_free(s);
    arena_free(&arena);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}

int base_each_issue(struct base *b, base_issue_fn *fn, void *ctx)
{
    struct stmt *s = db_prepare(b->db, "SELECT layout, key, side, reason FROM dx_issue ORDER BY rowid");
    struct arena arena = {0};
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct table *t = take_layout(b, s, 0);
        if (t == NULL) {
            rc = -1;
            break;
        }
        arena_clear(&arena);
        struct base_issue i = {.table = t->name,
                               .nkey = t->nkey,
                               .key = take_row(s, 1, t->nkey, &arena),
                               .side = (int)stmt_int(s, 2),
                               .reason = stmt_text(s, 3)};
        rc = i.key ? fn(ctx, &i) : fail(ERR_REFUSED, "%s: is damaged", b->path);
        table_free(t);
    }
    stmt_free(s);
    arena_free(&arena);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}

int base_set_answer(struct base *b, int64_t id, const char *answer)
{
    if (db_execf(b->db, "UPDATE dx_conflict SET answer = %Q WHERE id = %lld", answer, (long long)id))
        return -1;
    return db_changes(b->db)
               ? 0
               : fail(ERR_REFUSED, "%s: no conflict %lld; see `syncdiff conflicts`", b->path, (long long)id);
}
