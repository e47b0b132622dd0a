/* what_if: see route/what_if.h. The package is loaded in a transaction that is rolled back. */
#include "route/what_if.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "route/full_refresh.h"
#include "route/moves.h"
#include "route/package_run.h"
#include "route/route.h"
#include "route/row_class.h"
#include "route/set_aside.h"
#include "rules/fixed_now.h"
#include "rules/package_nodes.h"

#include <stdlib.h>
#include <string.h>

struct trying {
    struct db *db;
    struct object_deltas views;
    const struct package_run *plan;
    struct what_if_line *line; /* one for each node and object */
    int64_t *node;             /* ids, ascending; a row of lines each */
    size_t nnode;
};

static void tell_nothing(const char *fmt, ...)
{
    (void)fmt;
}

static struct what_if_line *line_of(struct trying *t, int64_t node, size_t object)
{
    for (size_t i = 0; i < t->nnode; i++)
        if (t->node[i] == node)
            return &t->line[i * t->plan->n + object];
    return NULL;
}

static int list_nodes(struct trying *t)
{
    struct stmt *s = db_prepare(t->db, "SELECT dx_id, name FROM " PACKAGE_NODES " ORDER BY dx_id");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        t->node = mem_grow(t->node, t->nnode + 1, sizeof *t->node);
        t->line = mem_grow(t->line, (t->nnode + 1) * t->plan->n, sizeof *t->line);
        for (size_t i = 0; i < t->plan->n; i++)
            t->line[t->nnode * t->plan->n + i] = (struct what_if_line){
                .node = mem_text(stmt_text(s, 1)), .object = mem_text(t->plan->viewed[i].object->name)};
        t->node[t->nnode++] = stmt_int(s, 0);
    }
    stmt_free(s);
    if (step == STEP_DONE)
        audience_all(t->views.audiences, t->node, t->nnode);
    return step == STEP_DONE ? 0 : -1;
}

/* Adds up rows and bytes of what moved of one object, by its audiences before and after. */
static struct stmt *prepare_sums(struct trying *t, const struct object_delta *w)
{
    struct buf sql = {0};
    const struct table *sent = w->object->sent;
    buf_puts(&sql, "SELECT m.old, m.new, count(*), total(0");
    for (size_t i = 0; i < sent->ncol; i++) {
        buf_puts(&sql, " + coalesce(length(CAST(x.");
        buf_name(&sql, sent->col[i]);
        buf_puts(&sql, " AS BLOB)), 0)");
    }
    buf_puts(&sql, ") FROM ");
    moves_table(&sql, w);
    buf_puts(&sql, " AS m LEFT JOIN main.");
    buf_name(&sql, sent->name);
    buf_puts(&sql, " AS x ON ");
    membership_where(&sql, sent, "x", "m.key");
    buf_puts(&sql, " WHERE m.old <> m.new GROUP BY m.old, m.new");
    struct stmt *s = db_prepare(t->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static int add_sums(struct trying *t, size_t object, struct stmt *s)
{
    int64_t old = stmt_int(s, 0), new = stmt_int(s, 1);
    for (int lost = 0; lost < 2; lost++) {
        int64_t who = audience_minus(t->views.audiences, lost ? old : new, lost ? new : old);
        const struct audience *set = who == AUDIENCE_ERROR ? NULL : audience_get(t->views.audiences, who);
        if (set == NULL)
            return -1;
        for (size_t i = 0; i < set->n; i++) {
            struct what_if_line *l = line_of(t, set->node[i], object);
            if (l) {
                *(lost ? &l->lost : &l->gained) += stmt_int(s, 2);
                *(lost ? &l->lost_bytes : &l->gained_bytes) += stmt_int(s, 3);
            }
        }
    }
    return 0;
}

static int evaluate(struct trying *t)
{
    for (size_t i = 0; i < t->plan->n; i++) {
        const struct object_delta *w = &t->plan->viewed[i];
        enum step step = STEP_ERROR;
        if (w->aside)
            continue;
        bool all = !w->gone && membership_whole(w->object) && w->was == WAS_SAME;
        if (!all && (full_refresh_needed(w) || w->parent) && full_refresh_move(&t->views, w))
            return -1;
        struct stmt *s = prepare_sums(t, w);
        int rc = s ? 0 : -1;
        while (rc == 0 && (step = stmt_step(s)) == STEP_ROW)
            rc = add_sums(t, i, s);
        stmt_free(s);
        if (rc || step == STEP_ERROR)
            return -1;
    }
    return 0;
}

/* The lines that say something, in the order of nodes and objects. */
static void keep_lines(struct trying *t, struct what_if_line **out, size_t *n)
{
    *out = t->line;
    *n = 0;
    for (size_t i = 0; i < t->nnode * t->plan->n; i++) {
        if (t->line[i].gained || t->line[i].lost)
            t->line[(*n)++] = t->line[i];
        else {
            free(t->line[i].node);
            free(t->line[i].object);
        }
    }
}

static int try_plan(struct trying *t, const char *package, const struct package_run *plan, size_t n,
                    struct what_if *out)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(plan[i].package->name, package) == 0)
            t->plan = &plan[i];
    if (t->plan == NULL)
        return fail(ERR_REFUSED, "package %s is not loaded", package);
    if (package_nodes_fill(t->db, package) || list_nodes(t) || evaluate(t))
        return -1;
    keep_lines(t, &out->line, &out->n);
    return schema_effects(t->db, package, &out->effect, &out->neffect);
}

int what_if_package(struct db *db, const char *directory, struct what_if *out)
{
    struct trying t = {.db = db};
    struct set_aside aside = {0};
    char now[MOMENT_ROOM];
    struct package_run *plan = NULL;
    size_t nplan = 0;
    fixed_now_now(now);
    *out = (struct what_if){0};
    if (db_begin_write(db))
        return -1;
    struct transition_tables *im = NULL;
    struct package *p = route_init(db) ? NULL : package_read(db, directory);
    int rc = p ? route_load(db, directory, tell_nothing) : -1;
    t.views.db = db;
    t.views.aside = &aside;
    if (rc == 0 && ((im = transition_open(db)) == NULL || (t.views.audiences = audiences_open(db)) == NULL ||
                    (t.views.classes = row_classes_open(db)) == NULL || membership_functions(db) ||
                    object_delta_init(db) || package_runs_open(&t.views, im, now, &plan, &nplan)))
        rc = -1;
    rc = rc || try_plan(&t, p->name, plan, nplan, out) ? -1 : 0;
    db_rollback(db);
    free(t.node);
    package_runs_close(plan, nplan);
    set_aside_free(&aside);
    transition_close(im);
    row_classes_close(t.views.classes);
    audiences_close(t.views.audiences);
    package_free(p);
    return rc;
}

void what_if_free(struct what_if *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->line[i].node);
        free(w->line[i].object);
    }
    free(w->line);
    schema_effects_free(w->effect, w->neffect);
    *w = (struct what_if){0};
}
