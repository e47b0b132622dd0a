/* fk_parents: see apply/fk_parents.h. */
#include "apply/fk_parents.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One that names no columns of its parent means the primary key. */
static const char sql_keys[] =
    "SELECT k.id, k.seq, k.\"table\", k.\"from\", coalesce(k.\"to\", (SELECT i.name FROM "
    "pragma_table_info(k.\"table\") AS i WHERE i.pk = k.seq + 1)) "
    "FROM pragma_foreign_key_list(?1) AS k ORDER BY k.id, k.seq";
static const char sql_is_table[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE";

/* One foreign key. */
struct reference {
    char *parent;
    size_t n;
    size_t *from; /* columns of the child */
    char **to;    /* columns of the parent; NULL: not known */
    struct stmt *find;
    struct val *asked; /* n, those being looked for */
    struct val *last;  /* of the parent found last: rows that come together often have the same one */
};

struct fk_parents {
    size_t n;
    struct reference *reference;
    char missing[256];
    struct fk_parents_row row; /* what is missing */
};

static void add_column(struct fk_parents *p, struct target *t, struct stmt *s)
{
    if (stmt_int(s, 1) == 0) {
        p->reference = mem_grow(p->reference, p->n + 1, sizeof *p->reference);
        p->reference[p->n++] = (struct reference){.parent = mem_text(stmt_text(s, 2))};
    }
    struct reference *r = &p->reference[p->n - 1];
    int from = table_column(t->table, stmt_text(s, 3));
    r->from = mem_grow(r->from, r->n + 1, sizeof *r->from);
    r->to = mem_grow(r->to, r->n + 1, sizeof *r->to);
    r->from[r->n] = from < 0 ? 0 : (size_t)from;
    r->to[r->n] = from < 0 ? NULL : mem_text(stmt_text(s, 4));
    r->n++;
}

/* Prepares the search for the parent; a key whose parent table is not here, or that stands in a generated column, is
 * not looked after. */
static int prepare(struct reference *r, struct target *t)
{
    struct buf sql = {0};
    int64_t there;
    if (db_get_int(t->db, &there, sql_is_table, r->parent))
        return -1;
    for (size_t i = 0; i < r->n; i++)
        there = there && r->to[i];
    if (!there)
        return 0;
    buf_puts(&sql, "SELECT 1 FROM main.");
    buf_name(&sql, r->parent);
    for (size_t i = 0; i < r->n; i++) {
        buf_puts(&sql, i ? " AND " : " WHERE ");
        buf_name(&sql, r->to[i]);
        buf_puts(&sql, " = ?");
    }
    r->find = db_prepare(t->db, buf_text(&sql));
    r->asked = mem_zero(r->n, sizeof *r->asked);
    buf_free(&sql);
    return r->find ? 0 : -1;
}

struct fk_parents *fk_parents_open(struct target *t)
{
    struct fk_parents *p = mem_zero(1, sizeof *p);
    struct stmt *s = db_prepare(t->db, sql_keys);
    enum step step = STEP_ERROR;
    if (s)
        stmt_bind_text(s, 1, t->table->name);
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add_column(p, t, s);
    stmt_free(s);
    int rc = step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < p->n && rc == 0; i++)
        rc = prepare(&p->reference[i], t);
    if (rc == 0)
        return p;
    fk_parents_free(p);
    return NULL;
}

void fk_parents_free(struct fk_parents *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->n; i++) {
        struct reference *r = &p->reference[i];
        for (size_t k = 0; k < r->n; k++)
            free(r->to[k]);
        free(r->to);
        free(r->from);
        free(r->asked);
        free(r->last);
        free(r->parent);
        stmt_free(r->find);
    }
    free(p->reference);
    free(p);
}

/* The value that the row will have in column i, as far as the change says. */
static const struct val *value(const struct change *c, size_t i)
{
    return c->new[i].type != VAL_NONE ? &c->new[i] : &c->old[i];
}

/* The values of the reference in r->asked; whether they must be looked for: 1, 0 (NULL in them, or not changed), -1. */
static int gather(struct reference *r, struct target *t, const struct change *c)
{
    struct val *v = r->asked;
    bool assigned = false, whole = true;
    for (size_t i = 0; i < r->n; i++) {
        v[i] = *value(c, r->from[i]);
        assigned |= c->new[r->from[i]].type != VAL_NONE;
        whole &= v[i].type != VAL_NONE;
    }
    if (!assigned)
        return 0;
    if (!whole) {
        int got = target_row(t, c, NULL);
        if (got <= 0)
            return got;
        for (size_t i = 0; i < r->n; i++)
            if (v[i].type == VAL_NONE)
                v[i] = t->now[r->from[i]];
    }
    for (size_t i = 0; i < r->n; i++)
        if (v[i].type == VAL_NULL)
            return 0;
    return 1;
}

static bool same_as_last(const struct reference *r)
{
    for (size_t i = 0; r->last && i < r->n; i++)
        if (!val_same(&r->last[i], &r->asked[i]))
            return false;
    return r->last != NULL;
}

/* A row may refer to itself. */
static bool is_itself(const struct reference *r, const struct target *t, const struct change *c)
{
    if (strcasecmp(r->parent, t->table->name) != 0)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        int at = table_column(t->table, r->to[i]);
        if (at < 0 || !val_same(value(c, (size_t)at), &r->asked[i]))
            return false;
    }
    return true;
}

static int find(struct reference *r)
{
    for (size_t i = 0; i < r->n; i++)
        stmt_bind(r->find, 1 + (int)i, &r->asked[i]);
    enum step step = stmt_step(r->find);
    stmt_reset(r->find);
    if (step == STEP_ROW) {
        free(r->last);
        r->last = vals_copy(r->asked, r->n);
    }
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

int fk_parents_there(struct fk_parents *p, struct target *t, const struct change *c)
{
    for (size_t i = 0; i < p->n && c->op != CHANGE_DELETE; i++) {
        struct reference *r = &p->reference[i];
        if (r->find == NULL)
            continue;
        int wanted = gather(r, t, c);
        if (wanted < 0)
            return -1;
        if (wanted == 0 || same_as_last(r) || is_itself(r, t, c))
            continue;
        int found = find(r);
        if (found < 0)
            return -1;
        if (found == 0) {
            snprintf(p->missing, sizeof p->missing, "it refers to %.80s %.120s, which is not there",
                     r->parent, vals_show(r->asked, r->n));
            p->row = (struct fk_parents_row){r->parent, r->n, r->to, r->asked};
            return 0;
        }
    }
    return 1;
}

const char *fk_parents_missing(const struct fk_parents *p)
{
    return p->missing;
}

const struct fk_parents_row *fk_parents_missing_row(const struct fk_parents *p)
{
    return p->row.table ? &p->row : NULL;
}

void fk_parents_forget(struct fk_parents *p, const char *table)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->reference[i].last && (table == NULL || strcasecmp(p->reference[i].parent, table) == 0)) {
            free(p->reference[i].last);
            p->reference[i].last = NULL;
        }
}
