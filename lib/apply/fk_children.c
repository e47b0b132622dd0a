/* fk_children: see apply/fk_children.h. */
#include "apply/fk_children.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The foreign keys that refer to a table; NULL as the column: its primary key. */
static const char sql_keys[] =
    "SELECT s.name, f.id, f.\"from\", coalesce(f.\"to\", (SELECT name FROM pragma_table_info(?1)"
    " WHERE pk = f.seq + 1)), f.on_delete FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f"
    " WHERE s.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE ORDER BY s.name, f.id, f.seq";

/* One foreign key. */
struct referrer {
    struct target *target;
    enum children_action action;
    int64_t id; /* SQLite's number of it */
    size_t n;
    size_t *from; /* columns of the child */
    size_t *to;   /* columns of the parent */
    struct stmt *find;
    int64_t asked;
    char *index; /* made for this transaction, or NULL */
};

struct fk_children {
    struct target *parent;
    size_t n;
    struct referrer *referrer;
};

static enum children_action action_of(const char *word)
{
    return strcasecmp(word, "CASCADE") == 0    ? CHILDREN_CASCADE
           : strcasecmp(word, "SET NULL") == 0 ? CHILDREN_SET_NULL
                                               : CHILDREN_RESTRICT;
}

/* Whether the toolkit looks after the table: it has a key, and is none of its own. */
static int cared_for(struct target *parent, const char *table)
{
    if (strncasecmp(table, "dx_", 3) == 0 || strncasecmp(table, "sqlite_", 7) == 0)
        return 0;
    return layout_has_key(parent->db, table);
}

static int add_column(struct fk_children *c, struct targets *ts, struct stmt *s)
{
    int cared = cared_for(c->parent, stmt_text(s, 0));
    struct target *t = cared > 0 ? targets_named(ts, stmt_text(s, 0)) : NULL;
    if (t == NULL)
        return cared ? -1 : 0;
    struct referrer *last = c->n ? &c->referrer[c->n - 1] : NULL;
    if (last == NULL || last->target != t || last->id != stmt_int(s, 1)) {
        c->referrer = mem_grow(c->referrer, c->n + 1, sizeof *c->referrer);
        last = &c->referrer[c->n++];
        *last = (struct referrer){.target = t, .action = action_of(stmt_text(s, 4)), .id = stmt_int(s, 1)};
    }
    int from = table_column(t->table, stmt_text(s, 2));
    int to = stmt_text(s, 3) ? table_column(c->parent->table, stmt_text(s, 3)) : -1;
    if (from < 0 || to < 0)
        return 0; /* a generated column, or a key that does not fit: SQLite would not follow it either */
    last->from = mem_grow(last->from, last->n + 1, sizeof *last->from);
    last->to = mem_grow(last->to, last->n + 1, sizeof *last->to);
    last->from[last->n] = (size_t)from;
    last->to[last->n++] = (size_t)to;
    return 0;
}

static int prepare(struct referrer *r, struct db *db)
{
    const struct table *t = r->target->table;
    struct buf sql = {0};
    if (r->n == 0)
        return 0;
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, t, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, t->name);
    for (size_t i = 0; i < r->n; i++) {
        buf_puts(&sql, i ? " AND " : " WHERE ");
        buf_name(&sql, t->col[r->from[i]]);
        buf_puts(&sql, " = ?");
    }
    r->find = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return r->find ? 0 : -1;
}

struct fk_children *fk_children_open(struct targets *ts, struct target *t)
{
    struct fk_children *c = mem_zero(1, sizeof *c);
    struct stmt *s = db_prepare(t->db, sql_keys);
    enum step step = STEP_ERROR;
    int rc = 0;
    c->parent = t;
    if (s)
        stmt_bind_text(s, 1, t->table->name);
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = add_column(c, ts, s);
    stmt_free(s);
    for (size_t i = 0; i < c->n && rc == 0; i++)
        rc = prepare(&c->referrer[i], t->db);
    if (rc == 0 && step == STEP_DONE)
        return c;
    fk_children_free(c);
    return NULL;
}

void fk_children_free(struct fk_children *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->referrer[i].from);
        free(c->referrer[i].to);
        stmt_free(c->referrer[i].find);
        free(c->referrer[i].index);
    }
    free(c->referrer);
    free(c);
}

bool fk_children_none(const struct fk_children *c)
{
    return c->n == 0;
}

/* ---- an index for the length of the transaction ---- */

enum { SCANS = 100 }; /* so often a table without an index is read from one end to the other */

/* Whether finding the rows means to read the whole table. */
static int scans(const struct referrer *r, struct db *db)
{
    const struct table *t = r->target->table;
    struct buf sql = {0};
    buf_puts(&sql, "EXPLAIN QUERY PLAN SELECT 1 FROM main.");
    buf_name(&sql, t->name);
    for (size_t i = 0; i < r->n; i++) {
        buf_puts(&sql, i ? " AND " : " WHERE ");
        buf_name(&sql, t->col[r->from[i]]);
        buf_puts(&sql, " = ?");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    int scan = step == STEP_ROW ? strncmp(stmt_text(s, 3), "SCAN", 4) == 0 : -1;
    stmt_free(s);
    buf_free(&sql);
    return scan;
}

static int make_index(struct referrer *r, struct db *db)
{
    const struct table *t = r->target->table;
    int scan = scans(r, db);
    if (scan <= 0)
        return scan;
    r->index = mem_printf("dx_children_%s_%lld", t->name, (long long)r->id);
    struct buf sql = {0};
    buf_puts(&sql, "CREATE INDEX main.");
    buf_name(&sql, r->index);
    buf_puts(&sql, " ON ");
    buf_name(&sql, t->name);
    for (size_t i = 0; i < r->n; i++) {
        buf_puts(&sql, i ? ", " : " (");
        buf_name(&sql, t->col[r->from[i]]);
    }
    buf_puts(&sql, ")");
    int rc = db_exec(db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

int fk_children_end(struct fk_children *c)
{
    int rc = 0;
    for (size_t i = 0; c && i < c->n && rc == 0; i++) {
        struct referrer *r = &c->referrer[i];
        if (r->index == NULL)
            continue;
        db_rest(c->parent->db);
        rc = db_execf(c->parent->db, "DROP INDEX IF EXISTS main.\"%w\"", r->index);
        free(r->index);
        r->index = NULL;
        r->asked = 0;
    }
    return rc;
}

/* ---- finding ---- */

static bool is_itself(const struct fk_children *c, const struct referrer *r, const struct val *row)
{
    const struct table *t = c->parent->table;
    bool same = r->target == c->parent;
    for (size_t i = 0; same && i < t->nkey; i++) {
        struct val v = stmt_val(r->find, (int)t->key[i]);
        same = val_same(&row[t->key[i]], &v);
    }
    return same;
}

static void add(const struct referrer *r, struct arena *a, struct child **list, size_t *n, size_t *room)
{
    size_t ncol = r->target->table->ncol;
    if (*n == *room) {
        size_t more = *room ? 2 * *room : 8;
        struct child *bigger = arena_alloc(a, more * sizeof *bigger);
        if (*n)
            memcpy(bigger, *list, *n * sizeof *bigger);
        *list = bigger;
        *room = more;
    }
    struct val *row = arena_alloc(a, ncol * sizeof *row);
    for (size_t i = 0; i < ncol; i++) {
        struct val v = stmt_val(r->find, (int)i);
        row[i] = arena_val(a, &v);
    }
    (*list)[(*n)++] = (struct child){.action = r->action,
                                     .target = r->target,
                                     .row = row,
                                     .column = r->from,
                                     .to = r->to,
                                     .ncolumn = r->n};
}

int fk_children_load(struct fk_children *c, const struct val *row, struct arena *a, struct child **out,
                     size_t *n)
{
    size_t room = 0;
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct referrer *r = &c->referrer[i];
        enum step step = STEP_DONE;
        if (r->find && ++r->asked == SCANS && make_index(r, c->parent->db))
            return -1;
        for (size_t k = 0; k < r->n; k++)
            stmt_bind(r->find, (int)k + 1, &row[r->to[k]]);
        while (r->find && (step = stmt_step(r->find)) == STEP_ROW)
            if (!is_itself(c, r, row))
                add(r, a, out, n, &room);
        if (step == STEP_ERROR)
            return -1;
    }
    return 0;
}
