/* evaluate: see route/evaluate.h. */
#include "route/evaluate.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "route/next_audience.h"
#include "route/row_class.h"
#include "rules/rule_fence.h"

#include <stdlib.h>

/* The table itself, as SQL. */
static char *table_of(const struct object_delta *w)
{
    struct buf b = {0};
    buf_puts(&b, "main.");
    buf_name(&b, w->object->table);
    return buf_take(&b);
}

static int run_sql(struct object_deltas *v, struct buf *sql)
{
    int rc = rule_fence_exec(v->db, buf_text(sql));
    buf_free(sql);
    return rc;
}

/* One arm, with the source where the object's table yields the key. */
static int ask_arm(struct object_deltas *v, const struct object_delta *w, const struct arm *a,
                   const char *source)
{
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    struct buf sql = {0};
    for (size_t i = 0; i < a->noccurrence; i++)
        if (a->occurrence[i].frame || a->occurrence[i].anchor)
            use[i] = source;
    next_audience_insert_pairs(&sql);
    buf_puts(&sql, "SELECT ");
    object_delta_arm_key(&sql, w);
    buf_puts(&sql, ", node FROM (");
    rule_sql(&sql, a, use);
    buf_puts(&sql, ")");
    free(use);
    v->statements++;
    return run_sql(v, &sql);
}

static int by_rule(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    char *table = table_of(w);
    int found = row_class_next(v, w, source ? source : table);
    free(table);
    if (found)
        return found < 0 ? -1 : 0;
    int rc = next_audience_clear_pairs(v->db);
    for (size_t i = 0; rc == 0 && i < w->rule->narm; i++)
        rc = ask_arm(v, w, &w->rule->arm[i], source);
    return rc ? fail_in("object %s", w->object->name) : next_audience_group(v, NEXT_ROWS);
}

/* Everybody has every row that the time filter keeps. */
static int by_all(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    struct buf sql = {0};
    next_audience_insert(&sql);
    membership_key(&sql, w->object->sent, "x");
    buf_addf(&sql, ", %d FROM ", AUDIENCE_ALL);
    object_delta_kept(&sql, w, source);
    buf_puts(&sql, " AS x");
    return run_sql(v, &sql);
}

static int by_parent(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    struct buf sql = {0};
    next_audience_insert(&sql);
    buf_puts(&sql, "dx_key, dx_audience FROM (SELECT dx_key, ");
    object_delta_audience(&sql, w->parent, "dx_c.dx_parent");
    buf_puts(&sql, " AS dx_audience FROM (SELECT ");
    membership_key(&sql, w->object->sent, "x");
    buf_puts(&sql, " AS dx_key, ");
    object_delta_parent_key(&sql, w, "x");
    buf_puts(&sql, " AS dx_parent FROM ");
    object_delta_kept(&sql, w, source);
    buf_puts(&sql, " AS x) AS dx_c) WHERE dx_audience <> 0");
    return run_sql(v, &sql);
}

int evaluate_fill(struct object_deltas *v, const struct object_delta *w, const char *source)
{
    if (next_audience_clear(v->db))
        return -1;
    if (w->gone || w->object->visible == VISIBLE_NONE)
        return 0;
    if (w->object->visible == VISIBLE_SELECT)
        return by_rule(v, w, source);
    char *table = table_of(w);
    const char *from = source ? source : table;
    int rc = w->object->visible == VISIBLE_ALL ? by_all(v, w, from) : by_parent(v, w, from);
    free(table);
    return rc;
}
