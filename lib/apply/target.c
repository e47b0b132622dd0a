/* target: see apply/target.h. */
#include "apply/target.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An archive's table and what its columns are here. */
struct target_source {
    const struct table *from;
    int *map;   /* column of `from` -> column here, or -1 */
    bool same;  /* the same columns in the same order */
    bool lacks; /* `from` has columns that are not here */
    struct val *old, *new;
};

enum verb { INSERT, UPDATE, UPDATE_CHECKED, DELETE, DELETE_CHECKED, DELETE_SAME };

/* A statement for one set of columns; mask holds a byte a column. */
struct target_statement {
    enum verb verb;
    bool rowid;
    uint8_t *mask;
    struct stmt *s;
};

enum { CACHE_MAX = 64 };

enum { GIVEN_OLD = 1, GIVEN_NEW = 2 };

/* ---- finding ---- */

void targets_init(struct targets *ts, struct db *db)
{
    *ts = (struct targets){.db = db};
}

static void free_source(struct target_source *s)
{
    free(s->map);
    free(s->old);
    free(s->new);
}

static void free_target(struct target *t)
{
    for (size_t i = 0; i < t->nsource; i++)
        free_source(&t->source[i]);
    free(t->source);
    for (size_t i = 0; i < t->ncache; i++) {
        stmt_free(t->cache[i].s);
        free(t->cache[i].mask);
    }
    free(t->cache);
    stmt_free(t->row);
    layout_free(t->layout);
    free(t->now);
    free(t->mask);
    free(t->expected);
    free(t);
}

void targets_free(struct targets *ts)
{
    for (size_t i = 0; i < ts->n; i++)
        free_target(ts->target[i]);
    free(ts->target);
    *ts = (struct targets){0};
}

void targets_forget(struct targets *ts, const struct table *from)
{
    for (size_t i = 0; i < ts->n; i++) {
        struct target *t = ts->target[i];
        for (size_t k = 0; k < t->nsource; k++)
            if (t->source[k].from == from) {
                free_source(&t->source[k]);
                t->source[k--] = t->source[--t->nsource];
            }
    }
}

static bool reserved(const char *table)
{
    return strncasecmp(table, "dx_", 3) == 0 || strncasecmp(table, "sqlite_", 7) == 0;
}

struct target *targets_named(struct targets *ts, const char *table)
{
    for (size_t i = 0; i < ts->n; i++)
        if (strcasecmp(ts->target[i]->table->name, table) == 0)
            return ts->target[i];
    if (reserved(table)) {
        fail(ERR_REFUSED, "%s: table %s is not for archives to change; refused", db_path(ts->db), table);
        return NULL;
    }
    struct layout *layout = layout_of(ts->db, table);
    if (layout == NULL)
        return NULL;
    struct target *t = mem_zero(1, sizeof *t);
    *t = (struct target){.db = ts->db, .index = ts->n, .layout = layout, .table = layout->table};
    t->now = mem_zero(t->table->ncol, sizeof *t->now);
    t->mask = mem_zero(t->table->ncol, 1);
    t->expected = mem_zero(t->table->ncol, sizeof *t->expected);
    for (size_t i = 0; i < t->table->nkey; i++)
        t->exact |= strcasecmp(layout->column[t->table->key[i]].collation, "BINARY") != 0;
    ts->target = mem_grow(ts->target, ts->n + 1, sizeof(struct target *));
    ts->target[ts->n++] = t;
    return t;
}

int target_writable(struct target *t)
{
    static const char *const verb[] = {"INSERT INTO main.", "DELETE FROM main.", "UPDATE main."};
    int rc = 0;
    for (size_t v = 0; v < 3 && rc == 0; v++) {
        struct buf sql = {0};
        buf_puts(&sql, verb[v]);
        buf_name(&sql, t->table->name);
        if (v == 0)
            buf_puts(&sql, " DEFAULT VALUES");
        for (size_t i = 0; v == 2 && i < t->table->ncol; i++) {
            buf_puts(&sql, i ? ", " : " SET ");
            buf_name(&sql, t->table->col[i]);
            buf_puts(&sql, " = NULL");
        }
        struct stmt *s = db_prepare(t->db, buf_text(&sql));
        rc = s ? 0 : -1;
        stmt_free(s);
        buf_free(&sql);
    }
    return rc;
}

static bool same_keys(const struct table *a, const struct table *b)
{
    if (a->nkey != b->nkey)
        return false;
    for (size_t i = 0; i < a->nkey; i++) {
        int at = table_column(b, a->col[a->key[i]]);
        if (at < 0 || !b->pk[at])
            return false;
    }
    return true;
}

static struct target *add_source(struct targets *ts, const struct table *from)
{
    struct target *t = targets_named(ts, from->name);
    if (t == NULL)
        return NULL;
    if (!same_keys(from, t->table)) {
        fail(ERR_REFUSED, "%s: table %s has another primary key than the archive's; nothing was changed",
             db_path(ts->db), from->name);
        return NULL;
    }
    t->source = mem_grow(t->source, t->nsource + 1, sizeof *t->source);
    struct target_source *s = &t->source[t->nsource++];
    *s = (struct target_source){
        .from = from, .map = table_map(from, t->table), .same = from->ncol == t->table->ncol};
    for (size_t i = 0; i < from->ncol; i++) {
        s->same &= s->map[i] == (int)i;
        s->lacks |= s->map[i] < 0;
    }
    s->old = mem_zero(t->table->ncol, sizeof *s->old);
    s->new = mem_zero(t->table->ncol, sizeof *s->new);
    return t;
}

struct target *targets_for(struct targets *ts, const struct table *from)
{
    for (size_t i = 0; i < ts->n; i++)
        for (size_t k = 0; k < ts->target[i]->nsource; k++)
            if (ts->target[i]->source[k].from == from)
                return ts->target[i];
    return add_source(ts, from);
}

void target_map(struct target *t, const struct table *from, const struct change *c, struct change *out)
{
    struct target_source *s = t->source;
    while (s->from != from)
        s++;
    *out = *c;
    out->table = t->table;
    if (s->same)
        return;
    memset(s->old, 0, t->table->ncol * sizeof *s->old);
    memset(s->new, 0, t->table->ncol * sizeof *s->new);
    for (size_t i = 0; i < from->ncol; i++)
        if (s->map[i] >= 0) {
            s->old[s->map[i]] = c->old[i];
            s->new[s->map[i]] = c->new[i];
        }
    out->old = s->old;
    out->new = s->new;
}

int target_unplaced(const struct target *t, const struct table *from, const struct change *c)
{
    const struct target_source *s = t->source;
    while (s->from != from)
        s++;
    for (size_t i = 0; s->lacks && i < from->ncol; i++)
        if (s->map[i] < 0 && c->new[i].type != VAL_NONE &&
            !(c->op == CHANGE_INSERT && c->new[i].type == VAL_NULL))
            return (int)i;
    return -1;
}

/* ---- statements ---- */

/* "column" = ?, with the comparison exact where the column's own collation is not. */
static void add_condition(struct buf *sql, const struct target *t, size_t i, const char *operator)
{
    buf_name(sql, t->table->col[i]);
    buf_addf(sql, " %s ?", operator);
    if (strcasecmp(t->layout->column[i].collation, "BINARY") != 0)
        buf_puts(sql, " COLLATE BINARY");
}

static void add_where(struct buf *sql, const struct target *t, bool checked)
{
    const struct table *table = t->table;
    buf_puts(sql, " WHERE ");
    for (size_t i = 0; i < table->nkey; i++) {
        buf_puts(sql, i ? " AND " : "");
        buf_name(sql, table->col[table->key[i]]);
        buf_puts(sql, " = ?");
    }
    for (size_t i = 0; t->exact && i < table->nkey; i++) {
        buf_puts(sql, " AND ");
        add_condition(sql, t, table->key[i], "=");
    }
    for (size_t i = 0; checked && i < table->ncol; i++)
        if (!table->pk[i] && (t->mask[i] & GIVEN_OLD)) {
            buf_puts(sql, " AND ");
            add_condition(sql, t, i, "IS");
        }
}

/* The same check as one call with all the row's columns: a parameter and an opcode for each would cost a delete as much
 * again as the delete itself. */
static void add_same(struct buf *sql, const struct target *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->table->ncol; i++)
        if (t->mask[i] & GIVEN_OLD) {
            buf_puts(sql, n++ ? ", " : " AND dx_same(");
            buf_name(sql, t->table->col[i]);
        }
    buf_puts(sql, ")");
}

/* OR ABORT where the table itself says what becomes of a conflict; only there, because it holds for the statements of
 * triggers too: INSERT OR REPLACE in them would be none. */
static void add_insert(struct buf *sql, const struct target *t, bool rowid)
{
    const struct table *table = t->table;
    size_t n = 0;
    buf_puts(sql, t->layout->replaces ? "INSERT OR ABORT INTO main." : "INSERT INTO main.");
    buf_name(sql, table->name);
    buf_puts(sql, " (");
    for (size_t i = 0; i < table->ncol; i++)
        if (t->mask[i] & GIVEN_NEW) {
            buf_puts(sql, n++ ? ", " : "");
            buf_name(sql, table->col[i]);
        }
    if (rowid) {
        buf_puts(sql, n++ ? ", rowid" : "rowid");
    }
    buf_puts(sql, ") VALUES (");
    for (size_t i = 0; i < n; i++)
        buf_puts(sql, i ? ", ?" : "?");
    buf_puts(sql, ")");
}

/* Whether an update sets column i. */
static bool sets(const struct target *t, size_t i)
{
    return (t->mask[i] & GIVEN_NEW) && !t->table->pk[i];
}

static void add_update(struct buf *sql, const struct target *t, enum verb verb)
{
    size_t n = 0;
    buf_puts(sql, t->layout->replaces ? "UPDATE OR ABORT main." : "UPDATE main.");
    buf_name(sql, t->table->name);
    buf_puts(sql, " SET ");
    for (size_t i = 0; i < t->table->ncol; i++)
        if (sets(t, i)) {
            buf_puts(sql, n++ ? ", " : "");
            buf_name(sql, t->table->col[i]);
            buf_puts(sql, " = ?");
        }
    add_where(sql, t, verb == UPDATE_CHECKED);
}

static struct stmt *prepare(struct target *t, enum verb verb, bool rowid)
{
    struct buf sql = {0};
    if (verb == INSERT)
        add_insert(&sql, t, rowid);
    else if (verb == DELETE || verb == DELETE_CHECKED || verb == DELETE_SAME) {
        buf_puts(&sql, "DELETE FROM main.");
        buf_name(&sql, t->table->name);
        add_where(&sql, t, verb == DELETE_CHECKED);
        if (verb == DELETE_SAME)
            add_same(&sql, t);
    } else
        add_update(&sql, t, verb);
    struct stmt *s = db_prepare(t->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

/* The statement for t->mask: the one used last, one kept, or a new one in the place of an old one. */
static struct stmt *statement(struct target *t, enum verb verb, bool rowid)
{
    size_t n = t->table->ncol;
    for (size_t i = 0; i < t->ncache; i++) {
        size_t at = (t->last + i) % t->ncache;
        const struct target_statement *k = &t->cache[at];
        if (k->verb == verb && k->rowid == rowid && memcmp(k->mask, t->mask, n) == 0) {
            t->last = at;
            return k->s;
        }
    }
    struct stmt *s = prepare(t, verb, rowid);
    if (s == NULL)
        return NULL;
    if (t->ncache < CACHE_MAX) {
        t->cache = mem_grow(t->cache, t->ncache + 1, sizeof *t->cache);
        t->last = t->ncache++;
    } else {
        t->last = (t->last + 1) % CACHE_MAX;
        stmt_free(t->cache[t->last].s);
        free(t->cache[t->last].mask);
    }
    t->cache[t->last] =
        (struct target_statement){.verb = verb, .rowid = rowid, .mask = mem_copy(t->mask, n), .s = s};
    return s;
}

/* ---- running ---- */

static void tell_new(struct target *t, const struct change *c)
{
    for (size_t i = 0; i < t->table->ncol; i++)
        t->mask[i] = c->new[i].type != VAL_NONE ? GIVEN_NEW : 0;
}

static void tell_old(struct target *t, const struct change *c)
{
    for (size_t i = 0; i < t->table->ncol; i++)
        if (c->old[i].type != VAL_NONE)
            t->mask[i] |= GIVEN_OLD;
}

static int bind_where(struct target *t, struct stmt *s, const struct val *key, const struct val *old, int n)
{
    const struct table *table = t->table;
    for (int pass = 0; pass < 1 + t->exact; pass++)
        for (size_t i = 0; i < table->nkey; i++)
            stmt_bind(s, n++, &key[table->key[i]]);
    for (size_t i = 0; old && i < table->ncol; i++)
        if (!table->pk[i] && (t->mask[i] & GIVEN_OLD))
            stmt_bind(s, n++, &old[i]);
    return n;
}

static enum done run(struct target *t, struct stmt *s)
{
    enum step step = stmt_step(s);
    if (step == STEP_DONE)
        return DONE;
    if (step != STEP_CONSTRAINT) {
        if (step == STEP_ROW)
            stmt_reset(s);
        return DONE_ERROR;
    }
    t->blocked = s;
    return stmt_constraint(s) == CONSTRAINT_KEY ? DONE_EXISTS : DONE_BLOCKED;
}

static enum done run_counted(struct target *t, struct stmt *s)
{
    enum done done = run(t, s);
    if (done == DONE && db_changes(t->db) == 0)
        return DONE_NOTHING;
    return done == DONE_EXISTS ? DONE_BLOCKED : done;
}

enum done target_insert(struct target *t, const struct change *c, const int64_t *rowid)
{
    int n = 1;
    tell_new(t, c);
    struct stmt *s = statement(t, INSERT, rowid != NULL);
    if (s == NULL)
        return DONE_ERROR;
    for (size_t i = 0; i < t->table->ncol; i++)
        if (t->mask[i])
            stmt_bind(s, n++, &c->new[i]);
    if (rowid)
        stmt_bind_int(s, n, *rowid);
    enum done done = run(t, s);
    return done == DONE && db_changes(t->db) == 0 ? DONE_NOTHING : done; /* RAISE(IGNORE) */
}

enum done target_update(struct target *t, const struct change *c, bool checked)
{
    int n = 1;
    tell_new(t, c);
    if (checked)
        tell_old(t, c);
    struct stmt *s = statement(t, checked ? UPDATE_CHECKED : UPDATE, false);
    if (s == NULL)
        return DONE_ERROR;
    for (size_t i = 0; i < t->table->ncol; i++)
        if (sets(t, i))
            stmt_bind(s, n++, &c->new[i]);
    bind_where(t, s, c->old, checked ? c->old : NULL, n);
    return run_counted(t, s);
}

static enum done run_delete(struct target *t, const struct change *c, enum verb verb)
{
    struct stmt *s = statement(t, verb, false);
    if (s == NULL)
        return DONE_ERROR;
    bind_where(t, s, c->old, verb == DELETE_CHECKED ? c->old : NULL, 1);
    return run_counted(t, s);
}

/* Leaves in t->expected the old values beside the key that the change gives, and in t->mask which they are. */
static size_t collect_old(struct target *t, const struct change *c)
{
    size_t n = 0;
    for (size_t i = 0; i < t->table->ncol; i++) {
        bool given = !t->table->pk[i] && c->old[i].type != VAL_NONE;
        t->mask[i] = given ? GIVEN_OLD : 0;
        if (given)
            t->expected[n++] = &c->old[i];
    }
    return n;
}

/* dx_same is stricter than IS, which takes 2 for 2.0 and heeds affinity: where it finds another row, IS decides. */
enum done target_delete(struct target *t, const struct change *c, bool checked)
{
    size_t n = checked ? collect_old(t, c) : 0;
    if (n == 0) {
        memset(t->mask, 0, t->table->ncol);
        return run_delete(t, c, DELETE);
    }
    if (n <= DB_EXPECT_MAX) {
        if (db_expect(t->db, t->expected, n))
            return DONE_ERROR;
        enum done done = run_delete(t, c, DELETE_SAME);
        if (done != DONE_NOTHING)
            return done;
    }
    return run_delete(t, c, DELETE_CHECKED);
}

static bool hidden_rowid(const struct target *t)
{
    return !t->layout->without_rowid && !t->layout->rowid_key && table_column(t->table, "rowid") < 0;
}

int target_row(struct target *t, const struct change *c, int64_t *rowid)
{
    if (t->row == NULL) {
        struct buf sql = {0};
        buf_puts(&sql, "SELECT ");
        layout_columns(&sql, t->table, "");
        buf_puts(&sql, hidden_rowid(t) ? ", rowid FROM main." : ", 0 FROM main.");
        buf_name(&sql, t->table->name);
        add_where(&sql, t, false);
        t->row = db_prepare(t->db, buf_text(&sql));
        buf_free(&sql);
        if (t->row == NULL)
            return -1;
    }
    stmt_reset(t->row);
    bind_where(t, t->row, c->op == CHANGE_INSERT ? c->new : c->old, NULL, 1);
    enum step step = stmt_step(t->row);
    if (step != STEP_ROW)
        return step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < t->table->ncol; i++)
        t->now[i] = stmt_val(t->row, (int)i);
    if (rowid)
        *rowid = stmt_int(t->row, (int)t->table->ncol);
    return 1;
}

const char *target_reason(const struct target *t)
{
    return t->blocked ? stmt_message(t->blocked) : "";
}

bool target_raised(const struct target *t)
{
    return t->blocked && stmt_constraint(t->blocked) == CONSTRAINT_TRIGGER;
}

bool target_taken(const struct target *t)
{
    if (t->blocked == NULL)
        return false;
    enum constraint kind = stmt_constraint(t->blocked);
    return kind == CONSTRAINT_UNIQUE || kind == CONSTRAINT_KEY;
}
