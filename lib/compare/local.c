/* local: see compare/local.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "compare/local.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/pack.h"
#include "compare/version.h"
#include "compare/writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Links as they are needed while rows of mine are read and written. */
static const char sql_links[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_link (object INTEGER, mine, theirs, PRIMARY KEY (object, mine));"
    "CREATE UNIQUE INDEX IF NOT EXISTS temp.dx_link_theirs ON dx_link (object, theirs);"
    "DELETE FROM temp.dx_link";

static struct local_side *local(struct side *s)
{
    return (struct local_side *)s;
}

/* ---- what it is ---- */

static int describe(struct side *s, struct described *out)
{
    return described_of(local(s)->db, out);
}

static int identify(struct side *s, const char *pair, struct side_identity *out)
{
    const char *path = db_path(local(s)->db);
    char *whole = realpath(path, NULL);
    out->writable = access(path, W_OK) == 0;
    out->path = whole ? whole : mem_text(path);
    return pair_record_get(local(s)->db, pair, &out->record);
}

/* Text order in SQL is that of the bytes as stored; the comparison goes by UTF-8. */
static struct val utf8_bytes(void *ctx, const struct val *args, size_t n)
{
    (void)ctx;
    (void)n;
    struct val v = args[0];
    if (v.type == VAL_TEXT)
        v.type = VAL_BLOB;
    return v;
}

static int find_encoding(struct local_side *l)
{
    char *encoding;
    if (db_get_text(l->db, &encoding, "PRAGMA encoding"))
        return -1;
    l->utf16 = encoding && strncmp(encoding, "UTF-16", 6) == 0;
    free(encoding);
    return l->utf16 ? db_function(l->db, "dx_utf8", 1, utf8_bytes, NULL) : 0;
}

/* ---- objects ---- */

static int set_fixed(struct local_side *l, struct local_object *o)
{
    const struct table *row = o->spec->row;
    struct buf sql = {0};
    for (size_t i = 0; i < row->ncol; i++)
        buf_addf(&sql, "%s%s", i ? ", " : "SELECT ", o->at->fixed[i] ? o->at->fixed[i] : "NULL");
    struct stmt *s = db_prepare(l->db, buf_text(&sql));
    int rc = s && stmt_step(s) == STEP_ROW ? 0 : -1;
    struct val *v = mem_zero(row->ncol, sizeof *v);
    for (size_t i = 0; rc == 0 && i < row->ncol; i++)
        v[i] = stmt_val(s, (int)i);
    if (rc == 0)
        o->fixed = vals_copy(v, row->ncol);
    free(v);
    stmt_free(s);
    buf_free(&sql);
    return rc;
}

static int use_object(struct local_side *l, struct local_object *o, const struct spec *s)
{
    o->spec = s;
    o->at = &s->at[l->side.which];
    o->target = targets_named(&l->targets, o->at->table);
    if (o->target == NULL)
        return -1;
    o->column = mem_zero(s->row->ncol, sizeof *o->column);
    o->row = mem_zero(s->row->ncol, sizeof *o->row);
    for (size_t i = 0; i < s->row->ncol; i++) {
        o->column[i] = o->at->column[i] ? table_column(o->target->table, o->at->column[i]) : -1;
        if (o->at->column[i] && o->column[i] < 0)
            return fail(ERR_REFUSED, "%s: table %s has no column %s any more", l->side.name, o->at->table,
                        o->at->column[i]);
    }
    return set_fixed(l, o);
}

static int use(struct side *side, const struct specs *specs)
{
    struct local_side *l = local(side);
    l->specs = specs;
    l->object = mem_zero(specs->n, sizeof *l->object);
    l->side.unkeyed = mem_zero(specs->n, sizeof *l->side.unkeyed);
    for (size_t i = 0; i < specs->n; i++)
        if (use_object(l, &l->object[i], &specs->spec[i]))
            return -1;
    return 0;
}

/* ---- links ---- */

static int add_link(void *ctx, size_t object, const struct val *mine, const struct val *theirs)
{
    return local_link(ctx, object, mine, theirs);
}

/* The keys of rows that have another one in mine. */
static int agreed(struct side *s, struct base *b)
{
    struct local_side *l = local(s);
    if (s->which != MINE)
        return 0;
    if (db_exec(l->db, sql_links))
        return -1;
    if (l->to_mine == NULL) {
        l->to_theirs = db_prepare(l->db, "SELECT theirs FROM temp.dx_link WHERE object = ?1 AND mine = ?2");
        l->to_mine = db_prepare(l->db, "SELECT mine FROM temp.dx_link WHERE object = ?1 AND theirs = ?2");
        if (l->to_mine == NULL || l->to_theirs == NULL)
            return -1;
    }
    return base_links(b, add_link, l);
}

int local_link(struct local_side *l, size_t object, const struct val *mine, const struct val *theirs)
{
    struct stmt *s = db_prepare(l->db, "INSERT OR IGNORE INTO temp.dx_link VALUES (?1, ?2, ?3)");
    if (s) {
        stmt_bind_int(s, 1, (int64_t)object);
        stmt_bind(s, 2, mine);
        stmt_bind(s, 3, theirs);
    }
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    l->object[object].linked = true;
    return rc;
}

/* The value that the link gives, in the arena: 1, 0 when there is none, -1. */
static int follow(struct stmt *link, size_t object, const struct val *v, struct val *out, struct arena *a)
{
    stmt_bind_int(link, 1, (int64_t)object);
    stmt_bind(link, 2, v);
    enum step step = stmt_step(link);
    if (step == STEP_ROW) {
        struct val found = stmt_val(link, 0);
        *out = arena_val(a, &found);
        stmt_reset(link);
    }
    return step == STEP_ROW ? 1 : step == STEP_DONE ? 0 : -1;
}

static bool translates(const struct local_side *l, size_t object)
{
    return l->to_mine && l->object[object].linked;
}

int local_key(struct local_side *l, size_t object, const struct val *key, struct val *out, struct arena *a)
{
    const struct table *t = l->object[object].spec->row;
    struct val other;
    memcpy(out, key, t->nkey * sizeof *out);
    if (!translates(l, object))
        return 1;
    int found = follow(l->to_mine, object, key, out, a);
    if (found)
        return found;
    found = follow(l->to_theirs, object, key, &other, a);
    return found < 0 ? -1 : !found;
}

int local_reference(struct local_side *l, size_t parent, const struct val *canonical, struct val *out,
                    struct arena *a)
{
    *out = *canonical;
    if (canonical->type == VAL_NULL || canonical->type == VAL_NONE || !translates(l, parent))
        return 0;
    return follow(l->to_mine, parent, canonical, out, a) < 0 ? -1 : 0;
}

/* ---- rows by key ---- */

/* Puts theirs' keys into a row of mine. */
static int translate(struct local_side *l, struct local_object *o)
{
    const struct spec *s = o->spec;
    size_t number = (size_t)(o - l->object);
    struct val *key = &o->row[s->row->key[0]];
    arena_clear(&l->translated);
    if (translates(l, number) && follow(l->to_theirs, number, key, key, &l->translated) < 0)
        return -1;
    for (size_t i = 0; i < s->nref; i++) {
        struct val *v = &o->row[s->ref[i].column];
        if (translates(l, s->ref[i].parent) && v->type != VAL_NULL &&
            follow(l->to_theirs, s->ref[i].parent, v, v, &l->translated) < 0)
            return -1;
    }
    return 0;
}

int local_canonical(struct local_side *l, struct local_object *o)
{
    const struct spec *s = o->spec;
    for (size_t i = 0; i < s->row->ncol; i++)
        o->row[i] = o->column[i] >= 0 ? o->target->now[o->column[i]] : o->fixed[i];
    return l->to_mine ? translate(l, o) : 0;
}

int local_row(struct local_side *l, size_t object, const struct val *key)
{
    struct local_object *o = &l->object[object];
    const struct table *row = o->spec->row;
    struct arena arena = {0};
    struct val *here = mem_zero(row->nkey, sizeof *here),
               *old = mem_zero(o->target->table->ncol, sizeof *old);
    int can = local_key(l, object, key, here, &arena);
    for (size_t i = 0; i < row->nkey; i++)
        old[o->column[row->key[i]]] = here[i];
    struct change c = {.table = o->target->table, .op = CHANGE_UPDATE, .origin = "", .old = old};
    int got = can > 0 ? target_row(o->target, &c, NULL) : can;
    free(here);
    free(old);
    arena_free(&arena);
    return got > 0 ? (local_canonical(l, o) ? -1 : 1) : got;
}

void local_row_done(struct local_side *l, size_t object)
{
    struct target *t = l->object[object].target;
    if (t && t->row)
        stmt_reset(t->row);
    if (l->to_mine) {
        stmt_reset(l->to_mine);
        stmt_reset(l->to_theirs);
    }
}

/* ---- listing ---- */

static int begin(struct side *s)
{
    struct local_side *l = local(s);
    if (db_begin_read(l->db))
        return -1;
    l->reading = true;
    return 0;
}

static int end(struct side *s)
{
    struct local_side *l = local(s);
    stmt_free(l->list);
    l->list = NULL;
    for (size_t i = 0; l->object && i < l->specs->n; i++)
        local_row_done(l, i);
    if (l->reading)
        db_rollback(l->db);
    l->reading = false;
    return 0;
}

static int marks(struct side *s, int64_t since, pair_record_fn *fn, void *ctx)
{
    return pair_record_marks(local(s)->db, since, fn, ctx);
}

/* The column as an expression, by its canonical number: a reference of mine by theirs' key. */
static void put_column(struct local_side *l, const struct local_object *o, size_t i, struct buf *sql)
{
    const struct spec *s = o->spec;
    size_t by = (size_t)(o - l->object);
    bool link = s->row->nkey == 1 && s->row->pk[i] && translates(l, by);
    for (size_t k = 0; k < s->nref && !link; k++)
        if (s->ref[k].column == i && translates(l, s->ref[k].parent)) {
            link = true;
            by = s->ref[k].parent;
        }
    if (o->column[i] < 0) {
        buf_puts(sql, o->at->fixed[i]);
        return;
    }
    if (link)
        buf_puts(sql, "coalesce((SELECT theirs FROM temp.dx_link WHERE dx_link.object = ");
    if (link)
        buf_addf(sql, "%zu AND dx_link.mine = t.", by);
    else
        buf_puts(sql, "t.");
    buf_name(sql, o->at->column[i]);
    if (link) {
        buf_puts(sql, "), t.");
        buf_name(sql, o->at->column[i]);
        buf_puts(sql, ")");
    }
}

static void put_order(struct local_side *l, const struct local_object *o, struct buf *sql)
{
    const struct table *row = o->spec->row;
    for (size_t i = 0; i < row->nkey; i++) {
        struct buf column = {0};
        put_column(l, o, row->key[i], &column);
        const char *text = buf_text(&column);
        buf_puts(sql, i ? ", " : " ORDER BY ");
        if (l->utf16)
            buf_addf(sql, "CASE typeof(%s) WHEN 'text' THEN 1 WHEN 'blob' THEN 2 ELSE 0 END, dx_utf8(%s)",
                     text, text);
        else
            buf_addf(sql, "%s COLLATE BINARY", text);
        buf_free(&column);
    }
}

/* Key and change key, or all columns where they are hashed. */
static void put_select(struct local_side *l, const struct local_object *o, struct buf *sql)
{
    const struct spec *s = o->spec;
    size_t n = 0;
    for (size_t i = 0; i < s->row->ncol; i++) {
        bool wanted = s->nchange == 0 || s->row->pk[i];
        for (size_t k = 0; k < s->nchange; k++)
            wanted |= s->change[k] == i;
        buf_puts(sql, n++ ? ", " : "SELECT ");
        if (wanted)
            put_column(l, o, i, sql);
        else
            buf_puts(sql, "NULL");
    }
    buf_puts(sql, " FROM main.");
    buf_name(sql, o->at->table);
    buf_puts(sql, " AS t");
    if (*o->at->filter)
        buf_addf(sql, " WHERE (%s\n)", o->at->filter);
    put_order(l, o, sql);
}

/* Key and version of the row at hand, in l->given. */
static void give(struct local_side *l, const struct local_object *o)
{
    const struct table *t = o->spec->row;
    for (size_t i = 0; i < t->nkey; i++)
        l->given[i] = o->row[t->key[i]];
    buf_clear(&l->version);
    version_of(o->spec, o->row, &l->version);
    l->given[t->nkey] = (struct val){.type = VAL_BLOB, .p = l->version.p, .n = l->version.n};
}

int local_listed(struct local_side *l, size_t object, const struct val *key, const struct val **row)
{
    struct local_object *o = &l->object[object];
    int got = local_row(l, object, key);
    if (got <= 0)
        return got;
    l->given = mem_grow(l->given, o->spec->row->nkey + 1, sizeof *l->given);
    give(l, o);
    *row = l->given;
    return 1;
}

static int list(struct side *side, size_t object)
{
    struct local_side *l = local(side);
    struct local_object *o = &l->object[object];
    struct buf sql = {0};
    put_select(l, o, &sql);
    stmt_free(l->list);
    l->list = db_prepare(l->db, buf_text(&sql));
    l->listed = object;
    l->given = mem_grow(l->given, o->spec->row->nkey + 1, sizeof *l->given);
    l->side.unkeyed[object] = 0;
    buf_free(&sql);
    return l->list ? 0 : fail_in("%s: object %s", l->side.name, o->spec->name);
}

static bool has_null(const struct table *t, const struct val *row)
{
    for (size_t i = 0; i < t->nkey; i++)
        if (row[t->key[i]].type == VAL_NULL)
            return true;
    return false;
}

static int next(struct side *side, const struct val **row)
{
    struct local_side *l = local(side);
    struct local_object *o = &l->object[l->listed];
    const struct table *t = o->spec->row;
    for (;;) {
        enum step step = stmt_step(l->list);
        if (step != STEP_ROW)
            return step == STEP_DONE ? 0 : -1;
        for (size_t i = 0; i < t->ncol; i++)
            o->row[i] = stmt_val(l->list, (int)i);
        if (!has_null(t, o->row))
            break;
        l->side.unkeyed[l->listed]++;
    }
    give(l, o);
    *row = l->given;
    return 1;
}

/* ---- fetching ---- */

enum { ROW_MAX = 100 << 20 }; /* what an archive, that of undoing too, takes with room to spare */

struct fetching {
    struct local_side *l;
    struct work *work;
};

static size_t row_bytes(const struct val *row, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += row[i].type == VAL_TEXT || row[i].type == VAL_BLOB ? row[i].n : 9;
    return bytes;
}

static int fetch_one(void *ctx, struct item *i)
{
    struct fetching *f = ctx;
    struct local_side *l = f->l;
    const struct spec *s = &l->specs->spec[i->object];
    int which = l->side.which, got = local_row(l, i->object, i->key);
    if (got < 0)
        return -1;
    if (got == 0)
        return 0;
    struct local_object *o = &l->object[i->object];
    struct buf version = {0};
    if (row_bytes(o->row, s->row->ncol) > ROW_MAX) {
        i->outcome = OUTCOME_LEFT;
        i->op[MINE] = i->op[THEIRS] = 0;
        i->reason[which] = "the row is over 100 MB; it is left alone";
        return work_put(f->work, i);
    }
    i->row[which] = o->row;
    version_of(s, o->row, &version);
    i->version[which] = (struct val){.type = VAL_BLOB, .p = version.p, .n = version.n};
    int rc = work_put(f->work, i);
    buf_free(&version);
    return rc;
}

static int fetch(struct side *side, struct work *w, const char *condition)
{
    struct fetching f = {local(side), w};
    return work_each(w, fetch_one, &f, condition);
}

/* ---- the whole ---- */

static int write_side(struct side *s, struct work *w, const struct side_write *how, struct side_written *out)
{
    return writer_run(local(s), w, how, out);
}

static void close_side(struct side *s)
{
    struct local_side *l = local(s);
    end(s);
    for (size_t i = 0; l->object && i < l->specs->n; i++) {
        free(l->object[i].column);
        free(l->object[i].fixed);
        free(l->object[i].row);
    }
    free(l->object);
    if (l->targets.db)
        targets_free(&l->targets);
    free(l->side.unkeyed);
    buf_free(&l->version);
    arena_free(&l->translated);
    free(l->given);
    db_close(l->db);
    free(l->side.name);
    free(l);
}

static const struct side_ops ops = {describe, identify, use,   agreed, begin,      marks,
                                    list,     next,     fetch, end,    write_side, close_side};

struct local_side *local_of(struct side *s)
{
    return s->ops == &ops ? local(s) : NULL;
}

struct side *local_open(const char *path, int which)
{
    struct local_side *l = mem_zero(1, sizeof *l);
    l->side = (struct side){.ops = &ops, .which = which, .name = mem_text(path)};
    l->db = db_open(path, DB_WRITE);
    if (l->db && find_encoding(l) == 0) {
        targets_init(&l->targets, l->db);
        return &l->side;
    }
    close_side(&l->side);
    return NULL;
}
