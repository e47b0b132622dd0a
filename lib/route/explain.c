/* explain: see route/explain.h. */
#include "route/explain.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"
#include "route/package_run.h"
#include "route/set_aside.h"
#include "rules/fixed_now.h"
#include "rules/package_nodes.h"
#include "rules/rule_fence.h"
#include "sql/key_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct asking {
    struct db *db;
    const struct package_run *plan;
    struct node node;
    struct buf *out;
};

/* ---- keys ---- */

/* "account 'A-1'" */
static char *show_row(const struct object_delta *w, const struct val *key)
{
    size_t n = w->object->sent->nkey;
    struct val *part = mem_zero(n, sizeof *part);
    char *text = key_unpack(key, n, part) ? mem_printf("%s %s", w->object->table, vals_show(part, n))
                                          : mem_text(w->object->table);
    free(part);
    return text;
}

/* ---- now ---- */

/* Runs a query with the key as ?1: its first row, or NULL (no row, or *rc -1). */
static struct stmt *ask(struct asking *a, struct buf *sql, const struct val *key, int *rc)
{
    struct stmt *s = rule_fence_prepare(a->db, buf_text(sql));
    buf_free(sql);
    if (s)
        stmt_bind(s, 1, key);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    *rc = step == STEP_ERROR ? -1 : 0;
    if (step == STEP_ROW)
        return s;
    stmt_free(s);
    return NULL;
}

/* Whether the row is there (and passes the time filter): 1, 0, -1. */
static int row_there(struct asking *a, const struct object_delta *w, const struct val *key, bool kept)
{
    struct buf sql = {0}, name = {0};
    int rc;
    buf_name(&name, w->object->table);
    buf_puts(&sql, "SELECT 1 FROM main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " WHERE ");
    membership_where(&sql, w->object->sent, buf_text(&name), "?1");
    if (kept && w->rule->keep)
        buf_addf(&sql, " AND (%s\n)", w->rule->keep);
    buf_free(&name);
    struct stmt *s = ask(a, &sql, key, &rc);
    bool found = s != NULL;
    stmt_free(s);
    return rc ? -1 : found;
}

/* The rows through which an arm yields the pair, each table of its FROM with its key. */
static void add_through(struct buf *sql, const struct arm *arm)
{
    for (size_t i = 0; i < arm->noccurrence; i++) {
        const struct occurrence *o = &arm->occurrence[i];
        if (o->alias == NULL)
            continue;
        buf_puts(sql, " || ', ");
        for (const char *p = o->relation->name; *p; p++)
            buf_addf(sql, *p == '\'' ? "''" : "%c", *p);
        const struct layout *l = o->relation->layout;
        for (size_t k = 0; k < (l ? l->table->nkey : 1); k++) {
            buf_addf(sql, "%s' || quote(", k ? " || ' " : " ");
            buf_name(sql, o->alias);
            buf_puts(sql, ".");
            buf_name(sql, l ? l->table->col[l->table->key[k]] : "name");
            buf_puts(sql, ")");
        }
    }
}

/* Whether arm number i yields the pair: 1 with the rows through which, if they are to be shown, 0, -1. */
static int ask_arm(struct asking *a, const struct object_delta *w, size_t i, const struct val *key,
                   bool shown, char **through)
{
    const struct arm *arm = &w->rule->arm[i];
    const char **now = mem_zero(arm->noccurrence, sizeof *now);
    struct buf list = {0}, sql = {0};
    int rc;
    buf_puts(&list, ", ''");
    if (shown)
        add_through(&list, arm);
    struct cut cut = {arm->list_end, arm->list_end, buf_text(&list)};
    buf_puts(&sql, "WITH dx_q(dx_n");
    for (size_t k = 0; k < w->object->sent->nkey; k++)
        buf_addf(&sql, ", dx_k%zu", k);
    buf_puts(&sql, shown ? ", dx_through) AS (SELECT " : ") AS (SELECT ");
    rule_cut_sql(&sql, arm, now, arm->list, arm->end, &cut, shown);
    buf_addf(&sql, "\n) SELECT %s FROM dx_q JOIN main.", shown ? "dx_through" : "''");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x ON ");
    for (size_t k = 0; k < w->object->sent->nkey; k++) {
        buf_puts(&sql, k ? " AND x." : "x.");
        buf_name(&sql, w->object->sent->col[w->object->sent->key[k]]);
        buf_addf(&sql, " = dx_q.dx_k%zu", k);
    }
    buf_puts(&sql, " JOIN " PACKAGE_NODES " AS y ON y.name = dx_q.dx_n WHERE y.name = ");
    buf_quote(&sql, a->node.name);
    buf_puts(&sql, " AND ");
    membership_where(&sql, w->object->sent, "x", "?1");
    buf_puts(&sql, " LIMIT 1");
    struct stmt *s = ask(a, &sql, key, &rc);
    *through = s ? mem_text(stmt_text(s, 0)) : NULL;
    bool found = s != NULL;
    stmt_free(s);
    buf_free(&list);
    free(now);
    return rc ? -1 : found;
}

/* Of a rule that is evaluated whole the rows can be shown unless one more column in its list makes no sense there. */
static int arm_yields(struct asking *a, const struct object_delta *w, size_t i, const struct val *key,
                      char **through)
{
    bool shown = w->rule->arm[i].list_end > 0;
    int yields = ask_arm(a, w, i, key, shown, through);
    return yields < 0 && shown && w->rule->full_refresh ? ask_arm(a, w, i, key, false, through) : yields;
}

static int tell_rule(struct asking *a, const struct object_delta *w, const struct val *key)
{
    for (size_t i = 0; i < w->rule->narm; i++) {
        char *through;
        int yields = arm_yields(a, w, i, key, &through);
        if (yields < 0)
            return -1;
        if (yields) {
            buf_addf(a->out, "  by the rule of object %s", w->object->name);
            if (w->rule->narm > 1)
                buf_addf(a->out, ", arm %zu", i + 1);
            if (through && strlen(through) > 2)
                buf_addf(a->out, ", through %s", through + 2);
            buf_puts(a->out, "\n");
        }
        free(through);
        if (yields)
            return 1;
    }
    buf_addf(a->out, "  the rule of object %s does not give it to this node (user %s)\n", w->object->name,
             *a->node.user ? a->node.user : "none");
    return 0;
}

static int tell_now(struct asking *a, const struct object_delta *w, const struct val *key);

static int tell_parent(struct asking *a, const struct object_delta *w, const struct val *key)
{
    struct buf sql = {0}, packed = {0};
    int rc;
    buf_puts(&sql, "SELECT ");
    object_delta_parent_key(&sql, w, "x");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x WHERE ");
    membership_where(&sql, w->object->sent, "x", "?1");
    struct stmt *s = ask(a, &sql, key, &rc);
    struct val parent = s ? stmt_val(s, 0) : (struct val){.type = VAL_NULL};
    val_put(&packed, &parent);
    stmt_free(s);
    struct wire wire = wire_over(packed.p, packed.n);
    parent = val_get(&wire);
    if (rc == 0 && parent.type == VAL_NULL)
        buf_addf(a->out, "  %s is NULL: it belongs to no %s\n", w->object->via_column, w->object->via_object);
    else if (rc == 0) {
        char *row = show_row(w->parent, &parent);
        buf_addf(a->out, "  by its %s, to %s\n", w->object->via_column, row);
        free(row);
        rc = tell_now(a, w->parent, &parent);
    }
    buf_free(&packed);
    return rc;
}

/* Whether the definitions give the row to the node now: 1, 0, -1. */
static int tell_now(struct asking *a, const struct object_delta *w, const struct val *key)
{
    const struct object *o = w->object;
    int there = row_there(a, w, key, false);
    if (there <= 0) {
        if (there == 0)
            buf_puts(a->out, "  there is no such row\n");
        return there;
    }
    if (o->visible == VISIBLE_NONE) {
        buf_addf(a->out, "  object %s is visible to nobody\n", o->name);
        return 0;
    }
    if ((there = row_there(a, w, key, true)) <= 0) {
        if (there == 0)
            buf_addf(a->out, "  its time filter leaves it out: keep = %s\n", o->keep);
        return there;
    }
    if (o->visible == VISIBLE_SELECT)
        return tell_rule(a, w, key);
    if (o->visible == VISIBLE_VIA)
        return tell_parent(a, w, key);
    buf_addf(a->out, "  object %s is visible to every node of package %s\n", o->name, a->plan->package->name);
    return 1;
}

/* ---- as held ---- */

/* Moves before the snapshot that its copy began with are no news to the copy. Rows that all nodes hold do not move. */
static int tell_since(struct asking *a, const struct object_delta *w, const struct val *key, bool holds)
{
    struct membership_log_entry e;
    struct membership_log_archive s;
    int moved = membership_log_of(a->db, a->node.id, w->object->id, key, &e);
    int began = moved < 0 ? -1 : membership_log_snapshot(a->db, a->node.id, &s);
    if (began < 0)
        return -1;
    bool since = moved && e.gained == holds && !(began && e.run <= s.run);
    if (since && e.archive)
        buf_addf(a->out, "  %s since archive %lld, journal entry %lld\n", holds ? "held" : "gone",
                 (long long)e.archive, (long long)e.position);
    else if (since)
        buf_addf(a->out, "  %s since journal entry %lld; no archive carried it%s\n", holds ? "held" : "gone",
                 (long long)e.position,
                 a->node.suspended_at < 0 ? ": the node did it itself" : " yet: they are set aside");
    else if (holds && began)
        buf_addf(a->out, "  held since its snapshot, archive %lld, journal entry %lld%s\n",
                 (long long)s.number, (long long)s.position,
                 membership_whole(w->object) ? ", or since the row was inserted" : "");
    return 0;
}

static int tell_position(struct asking *a, bool holds, bool now)
{
    int64_t routed, end;
    if (meta_get_int(a->db, "routed", &routed) || journal_end(a->db, &end))
        return -1;
    if (holds != now)
        buf_addf(a->out, "  the next run %s (routed up to journal entry %lld, the journal ends at %lld)\n",
                 now ? "sends it" : "takes it away", (long long)routed, (long long)end);
    return 0;
}

static int tell(struct asking *a, const struct object_delta *w, char *const *text, size_t n)
{
    struct buf packed = {0};
    struct val key;
    if (w->aside)
        return fail(ERR_REFUSED, "object %s is set aside; `txnroute status` says why", w->object->name);
    if (key_from_text(a->db, w->rule->relation->layout, text, n, &packed, &key)) {
        buf_free(&packed);
        return -1;
    }
    int holds = membership_holds(a->db, &a->node, w->object, &key);
    char *row = show_row(w, &key);
    if (w->retry)
        buf_addf(a->out, "object %s is set aside; `txnroute status` says why\n", w->object->name);
    buf_addf(a->out, "%s %s %s\n", a->node.name, holds ? "holds" : "does not hold", row);
    free(row);
    int now = holds < 0 ? -1 : tell_now(a, w, &key);
    int rc =
        now < 0 || tell_since(a, w, &key, holds > 0) || tell_position(a, holds > 0, now > 0) ? -1 : holds;
    buf_free(&packed);
    return rc;
}

static int find_and_tell(struct asking *a, const char *table, char *const *key, size_t n)
{
    for (size_t i = 0; i < a->plan->n; i++)
        if (!a->plan->viewed[i].gone && strcasecmp(a->plan->viewed[i].object->table, table) == 0)
            return tell(a, &a->plan->viewed[i], key, n);
    int64_t there;
    if (db_get_int(a->db, &there,
                   "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name = %Q "
                   "COLLATE NOCASE",
                   table))
        return -1;
    if (!there)
        return fail(ERR_REFUSED, "%s: there is no table %s", db_path(a->db), table);
    buf_addf(a->out, "%s does not hold %s\n  package %s has no object for table %s\n", a->node.name, table,
             a->plan->package->name, table);
    return 0;
}

int explain_row(struct db *db, const char *node, const char *table, char *const *key, size_t nkey,
                struct buf *out)
{
    struct asking a = {.db = db, .out = out};
    char now[MOMENT_ROOM];
    struct package_run *plan = NULL;
    size_t n = 0;
    struct set_aside aside = {0};
    struct object_deltas views = {.db = db, .aside = &aside};
    fixed_now_now(now);
    if (meta_require(db) || node_require(db, node, &a.node))
        return -1;
    struct transition_tables *im = transition_open(db);
    int rc =
        im && membership_functions(db) == 0 && package_runs_open(&views, im, now, &plan, &n) == 0 ? 0 : -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(plan[i].package->name, a.node.package) == 0)
            a.plan = &plan[i];
    if (rc == 0)
        rc = package_nodes_fill(db, a.node.package);
    if (rc == 0)
        rc = a.plan ? find_and_tell(&a, table, key, nkey)
                    : fail(ERR_REFUSED, "package %s of node %s is not loaded", a.node.package, node);
    package_runs_close(plan, n);
    set_aside_free(&aside);
    transition_close(im);
    node_free(&a.node);
    return rc;
}
