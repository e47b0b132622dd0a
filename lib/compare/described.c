/* described: see compare/described.h. */
#include "compare/described.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/pack.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Virtual tables, and what is no table but stands where one could: the shadow tables of a virtual table are left out. */
static const char sql_virtual[] =
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'"
    " AND name NOT LIKE 'dx\\_%' ESCAPE '\\' ORDER BY name";

/* What another program named like the toolkit's own tables. */
static const char sql_reserved[] =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'dx\\_%' ESCAPE '\\'"
    " AND name NOT LIKE 'dx\\_sync%' ESCAPE '\\' AND NOT EXISTS"
    " (SELECT 1 FROM sqlite_schema WHERE name IN ('dx_meta', 'dx_table', 'dx_source')) ORDER BY name";

/* Foreign keys of one column. */
static const char sql_refs[] =
    "SELECT \"from\", \"table\", coalesce(\"to\", '') FROM pragma_foreign_key_list(?1) AS f"
    " WHERE NOT EXISTS (SELECT 1 FROM pragma_foreign_key_list(?1) WHERE id = f.id AND seq > 0) ORDER BY id";

struct filling {
    struct db *db;
    struct described *d;
};

static struct described_table *add(struct described *d, const char *name, enum described_kind kind)
{
    d->table = mem_grow(d->table, d->n + 1, sizeof *d->table);
    struct described_table *t = &d->table[d->n++];
    *t = (struct described_table){.kind = kind, .name = mem_text(name)};
    return t;
}

static void add_ref(struct described_table *t, const char *column, const char *parent, const char *to)
{
    t->ref = mem_grow(t->ref, t->nref + 1, sizeof *t->ref);
    t->ref[t->nref++] = (struct described_ref){mem_text(column), mem_text(parent), mem_text(to)};
}

static int add_refs(struct described_table *t, struct db *db)
{
    struct stmt *s = db_prepare(db, sql_refs);
    enum step step = STEP_ERROR;
    if (s)
        stmt_bind_text(s, 1, t->name);
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add_ref(t, stmt_text(s, 0), stmt_text(s, 1), stmt_text(s, 2));
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* Whether its rows can be listed and found by key: not where that needs a function or a collation of the application's. */
static bool readable(struct db *db, const struct table *t)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, t, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, t->name);
    for (size_t i = 0; i < t->nkey; i++) {
        buf_puts(&sql, i ? " AND " : " WHERE ");
        buf_name(&sql, t->col[t->key[i]]);
        buf_puts(&sql, " = ?");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    bool can = s != NULL;
    stmt_free(s);
    buf_free(&sql);
    return can;
}

static int add_table(void *ctx, const char *name, bool has_key)
{
    struct filling *f = ctx;
    if (!has_key) {
        add(f->d, name, DESCRIBED_NO_KEY);
        return 0;
    }
    struct layout *l = layout_of(f->db, name);
    if (l == NULL && err_code() != ERR_REFUSED)
        return -1;
    if (l == NULL || !readable(f->db, l->table)) {
        layout_free(l);
        add(f->d, name, DESCRIBED_UNFIT)->reason = mem_text(err_message());
        return 0;
    }
    struct described_table *t = add(f->d, name, DESCRIBED_TABLE);
    t->table = table_copy(l->table);
    t->affinity = mem_zero(t->table->ncol, sizeof *t->affinity);
    t->binary = mem_zero(t->table->ncol, sizeof *t->binary);
    for (size_t i = 0; i < t->table->ncol; i++) {
        t->affinity[i] = l->column[i].affinity;
        t->binary[i] = strcasecmp(l->column[i].collation, "BINARY") == 0;
    }
    t->rowid_key = l->rowid_key;
    layout_free(l);
    return add_refs(t, f->db);
}

static int add_named(struct described *d, struct db *db, const char *sql, enum described_kind kind)
{
    struct stmt *s = db_prepare(db, sql);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add(d, stmt_text(s, 0), kind);
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

int described_of(struct db *db, struct described *out)
{
    *out = (struct described){0};
    struct filling f = {db, out};
    if (layout_each(db, add_table, &f))
        return -1;
    return add_named(out, db, sql_virtual, DESCRIBED_VIRTUAL) ||
                   add_named(out, db, sql_reserved, DESCRIBED_RESERVED)
               ? -1
               : 0;
}

void described_free(struct described *d)
{
    for (size_t i = 0; i < d->n; i++) {
        struct described_table *t = &d->table[i];
        for (size_t k = 0; k < t->nref; k++) {
            free(t->ref[k].column);
            free(t->ref[k].parent);
            free(t->ref[k].parent_column);
        }
        free(t->ref);
        free(t->name);
        free(t->reason);
        table_free(t->table);
        free(t->affinity);
        free(t->binary);
    }
    free(d->table);
    *d = (struct described){0};
}

const struct described_table *described_find(const struct described *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcasecmp(d->table[i].name, name) == 0)
            return &d->table[i];
    return NULL;
}

/* ---- as bytes ---- */

void described_put(struct buf *b, const struct described *d)
{
    pack_int(b, (int64_t)d->n);
    for (size_t i = 0; i < d->n; i++) {
        const struct described_table *t = &d->table[i];
        pack_text(b, t->name);
        pack_int(b, t->kind);
        if (t->kind == DESCRIBED_UNFIT)
            pack_text(b, t->reason);
        if (t->kind != DESCRIBED_TABLE)
            continue;
        pack_table(b, t->table);
        for (size_t c = 0; c < t->table->ncol; c++) {
            pack_int(b, t->affinity[c]);
            pack_int(b, t->binary[c]);
        }
        pack_int(b, t->rowid_key);
        pack_int(b, (int64_t)t->nref);
        for (size_t k = 0; k < t->nref; k++) {
            pack_text(b, t->ref[k].column);
            pack_text(b, t->ref[k].parent);
            pack_text(b, t->ref[k].parent_column);
        }
    }
}

static bool get_table(struct wire *w, struct described *d)
{
    char *name = unpack_text(w);
    int64_t kind = unpack_int(w, DESCRIBED_UNFIT);
    struct described_table *t = add(d, name, (enum described_kind)kind);
    free(name);
    if (kind == DESCRIBED_UNFIT)
        t->reason = unpack_text(w);
    if (kind != DESCRIBED_TABLE)
        return w->state == WIRE_OK;
    t->table = unpack_table(w);
    if (t->table == NULL)
        return false;
    t->affinity = mem_zero(t->table->ncol, sizeof *t->affinity);
    t->binary = mem_zero(t->table->ncol, sizeof *t->binary);
    for (size_t c = 0; c < t->table->ncol; c++) {
        t->affinity[c] = (enum affinity)unpack_int(w, AFFINITY_REAL);
        t->binary[c] = unpack_int(w, 1) != 0;
    }
    t->rowid_key = unpack_int(w, 1) != 0;
    int64_t n = unpack_int(w, PACK_MANY);
    for (int64_t k = 0; k < n && w->state == WIRE_OK; k++) {
        char *column = unpack_text(w), *parent = unpack_text(w), *to = unpack_text(w);
        add_ref(t, column, parent, to);
        free(column);
        free(parent);
        free(to);
    }
    return w->state == WIRE_OK;
}

bool described_get(struct wire *w, struct described *out)
{
    *out = (struct described){0};
    int64_t n = unpack_int(w, PACK_MANY);
    for (int64_t i = 0; i < n; i++)
        if (!get_table(w, out))
            return false;
    return w->state == WIRE_OK;
}
