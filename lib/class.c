/* class: see class.h. */
#include "class.h"

#include "mem.h"
#include "member.h"

#include <stdlib.h>
#include <string.h>

/* The columns that make a class: all that some arm reads of the row. */
static bool *class_columns(const struct viewed *w)
{
    const struct relation *r = w->rule->relation;
    bool *column = mem_zero(r->ncol, sizeof *column);
    for (size_t a = 0; a < w->rule->narm; a++)
        for (size_t i = 0; i < r->ncol; i++)
            column[i] |= w->rule->arm[a].class_column[i];
    return column;
}

bool class_able(const struct viewed *w)
{
    for (size_t a = 0; a < w->rule->narm; a++)
        if (w->rule->arm[a].class_column == NULL)
            return false;
    return w->rule->narm > 0 && !w->rule->whole;
}

/* Columns without a type hold 2 and 2.0, which compare equal and are not the same. */
static bool untyped(const struct relation *r, size_t i)
{
    return r->layout->column[i].affinity == AFFINITY_BLOB;
}

/* The class table has the object's columns, declared alike, so that the rule compares there as it does in the table;
 * the class's number stands in the place of the key. */
static void add_table(struct buf *sql, const struct viewed *w, const bool *column)
{
    const struct relation *r = w->rule->relation;
    const struct table *t = r->layout->table;
    buf_puts(sql, "DROP TABLE IF EXISTS temp.dx_class; CREATE TEMP TABLE dx_class (");
    buf_name(sql, t->col[t->key[0]]);
    buf_puts(sql, " INTEGER PRIMARY KEY");
    for (size_t i = 0; i < r->ncol; i++) {
        if (t->pk[i] != 1 && (column[i] || t->pk[i])) {
            buf_puts(sql, ", ");
            buf_name(sql, r->col[i]);
            buf_addf(sql, " %s COLLATE %s", r->layout->column[i].type, r->layout->column[i].collation);
        }
        if (column[i] && untyped(r, i))
            buf_addf(sql, ", dx_t%zu", i);
    }
    buf_puts(sql, ");");
}

/* Appends for each column of the class: the column, and its type where that counts. */
static void add_columns(struct buf *sql, const struct relation *r, const bool *column, const char *form)
{
    bool first = true;
    for (size_t i = 0; i < r->ncol; i++) {
        if (!column[i])
            continue;
        buf_puts(sql, first ? "" : ", ");
        first = false;
        buf_name(sql, r->col[i]);
        buf_puts(sql, form);
        if (untyped(r, i) && *form) {
            buf_puts(sql, ", typeof(");
            buf_name(sql, r->col[i]);
            buf_puts(sql, ")");
        } else if (untyped(r, i))
            buf_addf(sql, ", dx_t%zu", i);
    }
    if (first)
        buf_puts(sql, "1");
}

static bool any(const struct relation *r, const bool *column)
{
    for (size_t i = 0; i < r->ncol; i++)
        if (column[i])
            return true;
    return false;
}

static void add_fill(struct buf *sql, const struct viewed *w, const bool *column, const char *source)
{
    const struct relation *r = w->rule->relation;
    const struct table *t = r->layout->table;
    buf_puts(sql, "INSERT INTO temp.dx_class (");
    if (any(r, column))
        add_columns(sql, r, column, "");
    else
        buf_name(sql, t->col[t->key[0]]);
    buf_puts(sql, ") SELECT DISTINCT ");
    add_columns(sql, r, column, " COLLATE BINARY");
    buf_addf(sql, " FROM %s", source);
    if (w->rule->keep)
        buf_addf(sql, " WHERE (%s\n)", w->rule->keep);
    buf_puts(sql, ";");
    if (any(r, column)) {
        buf_puts(sql, "CREATE INDEX temp.dx_class_columns ON dx_class (");
        bool first = true;
        for (size_t i = 0; i < r->ncol; i++)
            if (column[i]) {
                buf_puts(sql, first ? "" : ", ");
                first = false;
                buf_name(sql, r->col[i]);
                buf_puts(sql, " COLLATE BINARY");
            }
        buf_puts(sql, ");");
    }
    buf_puts(sql, "ANALYZE temp.dx_class; DELETE FROM temp.dx_pair;");
}

/* The arm with the class table in the place of the rows. */
static void add_arm(struct buf *sql, const struct viewed *w, const struct arm *a)
{
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    for (size_t i = 0; i < a->noccurrence; i++)
        use[i] = a->occurrence[i].anchor ? "temp.dx_class" : NULL;
    buf_puts(sql, "INSERT INTO temp.dx_pair (key, node) WITH r(n");
    for (size_t k = 0; k < w->object->sent->nkey; k++)
        buf_addf(sql, ", k%zu", k);
    buf_puts(sql, ") AS (SELECT ");
    rule_cut_sql(sql, a, use, a->list, a->end, NULL, 0);
    buf_puts(sql, "\n) SELECT r.k0, y.dx_id FROM r JOIN " IMAGE_NODE_NOW " AS y ON y.name = r.n;");
    free(use);
}

void class_join(struct buf *sql, const struct viewed *w, const char *alias, bool outer)
{
    const struct relation *r = w->rule->relation;
    const struct table *t = r->layout->table;
    bool *column = class_columns(w);
    buf_puts(sql, " CROSS JOIN temp.dx_class AS dx_c ON 1");
    for (size_t i = 0; i < r->ncol; i++) {
        if (!column[i])
            continue;
        buf_puts(sql, " AND dx_c.");
        buf_name(sql, r->col[i]);
        buf_addf(sql, " COLLATE BINARY IS %s.", alias);
        buf_name(sql, r->col[i]);
        if (untyped(r, i)) {
            buf_addf(sql, " AND dx_c.dx_t%zu = typeof(%s.", i, alias);
            buf_name(sql, r->col[i]);
            buf_puts(sql, ")");
        }
    }
    buf_addf(sql, " %s JOIN temp.dx_class_next AS dx_n ON dx_n.key = dx_c.", outer ? "LEFT" : "CROSS");
    buf_name(sql, t->col[t->key[0]]);
    free(column);
}

int class_find(struct views *v, const struct viewed *w, const char *source)
{
    struct buf sql = {0};
    bool *column = class_columns(w);
    add_table(&sql, w, column);
    add_fill(&sql, w, column, source);
    for (size_t a = 0; a < w->rule->narm; a++)
        add_arm(&sql, w, &w->rule->arm[a]);
    v->statements += (int64_t)w->rule->narm;
    int rc = db_exec(v->db, buf_text(&sql)) || view_group(v, "dx_class_next") ? -1 : 0;
    buf_free(&sql);
    free(column);
    return rc;
}

/* From classes to rows. */
int class_next(struct views *v, const struct viewed *w, const char *source)
{
    struct buf sql = {0};
    if (class_find(v, w, source))
        return -1;
    buf_puts(&sql, "INSERT INTO temp.dx_next (key, audience) SELECT ");
    member_key(&sql, w->object->sent, "x");
    buf_puts(&sql, ", dx_n.audience FROM ");
    if (w->rule->keep)
        buf_addf(&sql, "(SELECT * FROM %s WHERE (%s\n)) AS x", source, w->rule->keep);
    else
        buf_addf(&sql, "%s AS x", source);
    class_join(&sql, w, "x", false);
    int rc = db_exec(v->db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}
