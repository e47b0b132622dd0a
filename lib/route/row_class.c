/* row_class: see route/row_class.h. Classes are numbered in memory, in the order in which they come; SQL asks for that of a row by
 * dx_class(columns). */
#include "route/row_class.h"

#include "base/mem.h"
#include "data/row_intern.h"
#include "nodes/membership.h"
#include "route/next_audience.h"
#include "rules/package_nodes.h"
#include "rules/rule_fence.h"

#include <assert.h>
#include <stdlib.h>

struct row_classes {
    struct row_intern tuples;
    bool full;                       /* not all could be numbered */
    const struct object_delta *many; /* the object that was so: it is not tried again */
};

/* dx_class(columns that make a class): its number, a new one for a new class; 0 when there are too many. */
static struct val sql_class(void *ctx, const struct val *args, size_t n)
{
    struct row_classes *c = ctx;
    size_t number = n == c->tuples.width ? row_intern_number(&c->tuples, args) : 0;
    c->full |= number == 0;
    return val_int((int64_t)number);
}

/* dx_class_new(the same): whether it has become a class by that. */
static struct val sql_class_new(void *ctx, const struct val *args, size_t n)
{
    const struct row_classes *c = ctx;
    size_t before = c->tuples.n;
    return val_int(sql_class(ctx, args, n).i > (int64_t)before);
}

struct row_classes *row_classes_open(struct db *db)
{
    struct row_classes *c = mem_zero(1, sizeof *c);
    if (db_function(db, "dx_class", -1, sql_class, c) == 0 &&
        db_function(db, "dx_class_new", -1, sql_class_new, c) == 0)
        return c;
    row_classes_close(c);
    return NULL;
}

void row_classes_close(struct row_classes *c)
{
    if (c)
        row_intern_free(&c->tuples);
    free(c);
}

/* The columns that make a class: all that some arm reads of the row. */
static size_t class_columns(const struct object_delta *w, bool **column)
{
    const struct relation *r = w->rule->relation;
    size_t n = 0;
    *column = mem_zero(r->ncol, sizeof **column);
    for (size_t i = 0; i < r->ncol; i++) {
        for (size_t a = 0; a < w->rule->narm; a++)
            (*column)[i] |= w->rule->arm[a].class_column[i];
        n += (*column)[i];
    }
    return n;
}

/* Whether the object's rule allows it. */
static bool able(const struct object_delta *w)
{
    for (size_t a = 0; a < w->rule->narm; a++)
        if (w->rule->arm[a].class_column == NULL)
            return false;
    return w->rule->narm > 0 && !w->rule->full_refresh;
}

/* The class table has the object's columns, declared alike, so that the rule compares there as it does in the table;
 * the class's number stands in the place of the key. */
static void add_table(struct buf *sql, const struct object_delta *w, const bool *column)
{
    const struct relation *r = w->rule->relation;
    const struct table *t = r->layout->table;
    buf_puts(sql, "DROP TABLE IF EXISTS temp.dx_class; CREATE TEMP TABLE dx_class (");
    buf_name(sql, t->col[t->key[0]]);
    buf_puts(sql, " INTEGER PRIMARY KEY");
    for (size_t i = 0; i < r->ncol; i++)
        if (t->pk[i] != 1 && (column[i] || t->pk[i])) {
            buf_puts(sql, ", ");
            buf_name(sql, r->col[i]);
            buf_addf(sql, " %s COLLATE %s", r->layout->column[i].type, r->layout->column[i].collation);
        }
    buf_puts(sql, ");");
}

/* Appends the columns of the class, with what stands before each. */
static void add_columns(struct buf *sql, const struct relation *r, const bool *column, const char *before)
{
    const char *comma = "";
    for (size_t i = 0; i < r->ncol; i++)
        if (column[i]) {
            buf_addf(sql, "%s%s", comma, before);
            buf_name(sql, r->col[i]);
            comma = ", ";
        }
}

/* A class goes in without its number, which is that of its row by then: so SQLite adds the row at the end, and need not
 * look for its place. */
static void add_fill(struct buf *sql, const struct object_delta *w, const bool *column, const char *source)
{
    const struct relation *r = w->rule->relation;
    const char *keep = w->rule->keep;
    buf_puts(sql, "INSERT INTO temp.dx_class (");
    add_columns(sql, r, column, "");
    buf_puts(sql, ") SELECT ");
    add_columns(sql, r, column, "");
    buf_addf(sql, " FROM %s AS ", source);
    buf_name(sql, w->object->table);
    buf_puts(sql, " WHERE ");
    if (keep) /* before anything becomes a class */
        buf_addf(sql, "CASE WHEN (%s\n) THEN ", keep);
    buf_puts(sql, "dx_class_new(");
    add_columns(sql, r, column, "");
    buf_puts(sql, keep ? ") END;" : ");");
}

/* No column makes a class: all rows are of one, if there are any. */
static void add_only(struct buf *sql, const struct object_delta *w, const char *source)
{
    const struct table *t = w->rule->relation->layout->table;
    buf_puts(sql, "INSERT INTO temp.dx_class (");
    buf_name(sql, t->col[t->key[0]]);
    buf_puts(sql, ") SELECT 1 FROM ");
    object_delta_kept(sql, w, source);
    buf_puts(sql, " LIMIT 1;");
}

/* The arm with the class table in the place of the rows. That has no index, nor is SQLite to make one: a look for each
 * class at what stands in the tables of the rule takes less than putting the classes in order. */
static void add_arm(struct buf *sql, const struct object_delta *w, const struct arm *a)
{
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    for (size_t i = 0; i < a->noccurrence; i++)
        use[i] = a->occurrence[i].anchor ? "(SELECT * FROM temp.dx_class NOT INDEXED)" : NULL;
    next_audience_insert_pairs(sql);
    buf_puts(sql, "WITH dx_r(dx_n");
    for (size_t k = 0; k < w->object->sent->nkey; k++)
        buf_addf(sql, ", dx_k%zu", k);
    buf_puts(sql, ") AS (SELECT ");
    rule_cut_sql(sql, a, use, a->list, a->end, NULL, 0);
    buf_puts(sql, "\n) SELECT dx_r.dx_k0, dx_y.dx_id FROM dx_r JOIN " PACKAGE_NODES
                  " AS dx_y ON dx_y.name = dx_r.dx_n;");
    free(use);
}

static int run_sql(struct object_deltas *v, struct buf *sql)
{
    int rc = rule_fence_exec(v->db, buf_text(sql));
    buf_free(sql);
    return rc;
}

/* Fills temp.dx_class. 1, 0 when there are too many, -1. */
static int number_classes(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    struct row_classes *c = v->classes;
    struct buf sql = {0};
    bool *column;
    size_t n = class_columns(w, &column);
    row_intern_clear(&c->tuples, n);
    c->full = false;
    add_table(&sql, w, column);
    if (n)
        add_fill(&sql, w, column, source);
    else
        add_only(&sql, w, source);
    free(column);
    if (run_sql(v, &sql))
        return -1;
    assert(n == 0 || db_changes(v->db) == (int64_t)c->tuples.n);
    if (c->full)
        c->many = w;
    return !c->full;
}

void row_class_join(struct buf *sql, const struct object_delta *w, const char *alias, bool outer)
{
    bool *column;
    char *before = mem_printf("%s.", alias);
    class_columns(w, &column);
    buf_addf(sql, " %s JOIN %s AS dx_n ON dx_n.key = dx_class(", outer ? "LEFT" : "CROSS",
             next_audience_table(NEXT_CLASSES));
    add_columns(sql, w->rule->relation, column, before);
    buf_puts(sql, ")");
    free(column);
    free(before);
}

int row_class_find(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    int found = able(w) && w != v->classes->many ? number_classes(v, w, source) : 0;
    if (found <= 0)
        return found;
    struct buf sql = {0};
    buf_puts(&sql, "ANALYZE temp.dx_class;");
    for (size_t a = 0; a < w->rule->narm; a++)
        add_arm(&sql, w, &w->rule->arm[a]);
    v->statements += (int64_t)w->rule->narm;
    return next_audience_clear_pairs(v->db) || run_sql(v, &sql) || next_audience_group(v, NEXT_CLASSES) ? -1
                                                                                                        : 1;
}

/* From classes to rows. */
int row_class_next(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    struct buf sql = {0};
    int found = row_class_find(v, w, source);
    if (found <= 0)
        return found;
    next_audience_insert(&sql);
    membership_key(&sql, w->object->sent, "x");
    buf_puts(&sql, ", dx_n.audience FROM ");
    object_delta_kept(&sql, w, source);
    buf_puts(&sql, " AS x");
    row_class_join(&sql, w, "x", false);
    return run_sql(v, &sql) ? -1 : 1;
}
