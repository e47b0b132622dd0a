/* rule_compile: see rules/rule_compile.h. */
#include "rules/rule_compile.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "rules/fixed_now.h"
#include "rules/package_nodes.h"
#include "rules/read_set.h"
#include "rules/rule_check.h"
#include "rules/rule_fence.h"
#include "rules/table_refs.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct analysis {
    struct db *db;
    struct transition_tables *im;
    struct rule *rule;
    const char *now;
};

/* ---- the frame around an arm ---- */

static void frame_head(struct buf *b, const struct table *t)
{
    buf_puts(b, "WITH dx_r(dx_n");
    for (size_t k = 0; k < t->nkey; k++)
        buf_addf(b, ", dx_k%zu", k);
    buf_puts(b, ") AS (");
}

/* Behind the arm: joins the object's table, so that only existing rows count, with their own keys, and the
 * nodes. The places of both are noted as occurrences. */
static void frame_tail(struct buf *b, const struct analysis *an, struct arm *a)
{
    const struct table *t = an->rule->object->sent;
    bool known;
    buf_puts(b, "\n) SELECT ");
    for (size_t k = 0; k < t->nkey; k++) {
        buf_puts(b, "dx_x.");
        buf_name(b, t->col[t->key[k]]);
        buf_addf(b, " AS k%zu, ", k);
    }
    buf_puts(b, "dx_y.dx_id AS node FROM dx_r JOIN ");
    if (an->rule->keep) {
        buf_puts(b, "(SELECT ");
        layout_keys(b, t, "");
        buf_puts(b, " FROM ");
    }
    struct occurrence x = {.relation = an->rule->relation, .at = b->n, .dual = -1, .frame = true};
    buf_name(b, t->name);
    x.end = b->n;
    x.as = an->rule->keep != NULL;
    if (an->rule->keep)
        buf_addf(b, " WHERE (%s\n))", an->rule->keep);
    buf_puts(b, " AS dx_x ON ");
    for (size_t k = 0; k < t->nkey; k++) {
        buf_puts(b, k ? " AND dx_x." : "dx_x.");
        buf_name(b, t->col[t->key[k]]);
        buf_addf(b, " = dx_r.dx_k%zu", k);
    }
    buf_puts(b, " JOIN ");
    struct occurrence y = {
        .relation = transition_relation(an->im, IMAGE_NODE, &known), .at = b->n, .dual = -1};
    buf_puts(b, PACKAGE_NODES);
    y.end = b->n;
    buf_puts(b, " AS dx_y ON dx_y.name = dx_r.dx_n");
    a->occurrence = mem_grow(a->occurrence, a->noccurrence + 2, sizeof *a->occurrence);
    a->occurrence[a->noccurrence++] = x;
    a->occurrence[a->noccurrence++] = y;
}

/* ---- what the rule reads ---- */

static struct reading *reading_of(struct rule *r, struct relation *relation)
{
    for (size_t i = 0; i < r->nreading; i++)
        if (r->reading[i].relation == relation)
            return &r->reading[i];
    r->reading = mem_grow(r->reading, r->nreading + 1, sizeof *r->reading);
    struct reading *x = &r->reading[r->nreading++];
    *x = (struct reading){relation, mem_zero(relation->ncol, sizeof(bool))};
    return x;
}

static void read_column(struct rule *r, struct relation *relation, const char *column)
{
    struct reading *x = reading_of(r, relation);
    transition_read(relation, column);
    for (size_t i = 0; i < relation->ncol; i++)
        if (strcasecmp(relation->col[i], column) == 0)
            x->column[i] = true;
}

static int not_captured(const struct relation *r)
{
    return fail(ERR_REFUSED, "table %s is read, but its changes are not captured; run `txnlog attach`",
                r->name);
}

/* Of what a table's name in SQLite's report is: a relation, or NULL for something that never changes (a view, whose
 * tables are reported too; a table-valued function). -1 in *bad with a message for what no rule may read. */
static struct relation *relation_read(const struct analysis *an, const struct read_set_table *t, int *bad)
{
    bool known = false;
    *bad = 0;
    if (strcasecmp(t->table, PACKAGE_NODES_NAME) == 0 || strcasecmp(t->table, "dx_nodes") == 0 ||
        strcasecmp(t->table, IMAGE_NODE) == 0) {
        if (strcasecmp(t->table, "dx_nodes") == 0 && t->through == NULL)
            *bad = fail(ERR_REFUSED, "dx_nodes in a rule: use the view dx_node");
        return transition_relation(an->im, IMAGE_NODE, &known);
    }
    int64_t hidden;
    if (strncasecmp(t->table, "dx_", 3) == 0 || strncasecmp(t->table, "sqlite_", 7) == 0) {
        *bad =
            db_get_int(an->db, &hidden, "SELECT count(*) FROM pragma_table_list WHERE name = %Q", t->table);
        if (*bad == 0 && hidden)
            *bad =
                fail(ERR_REFUSED,
                     "%s in a rule: of the tables dx_* only dx_node may be read, of sqlite_* none", t->table);
        return NULL;
    }
    struct relation *r = transition_relation(an->im, t->table, &known);
    if (r == NULL && known)
        *bad = -1;
    if (r == NULL && !known) {
        *bad =
            db_get_int(an->db, &hidden,
                       "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type IN ('virtual', "
                       "'shadow') AND name = %Q COLLATE NOCASE",
                       t->table);
        if (*bad == 0 && hidden)
            *bad = fail(ERR_REFUSED,
                        "%s is a virtual table: its changes cannot be captured, so no rule can read it",
                        t->table);
    }
    if (r && !r->captured)
        *bad = not_captured(r);
    return r;
}

static void read_columns(struct rule *r, struct relation *relation)
{
    for (size_t i = 0; i < relation->ncol; i++)
        read_column(r, relation, relation->col[i]);
}

/* Notes a table of which any column may be read. */
static int note_relation(const struct analysis *an, struct relation *r)
{
    if (!r->captured)
        return not_captured(r);
    read_columns(an->rule, r);
    return 0;
}

static const char *const before_table[] = {"FROM", "JOIN", ",", "(", "IN", NULL};

/* Notes all tables that the text of a view may name; SQLite does not report one that is joined by names alone. */
static int note_named(const struct analysis *an, const char *sql)
{
    size_t n;
    struct token *t = tokens_of(sql, &n);
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < n; i++) {
        bool known = false;
        char *name = token_in(sql, &t[i - 1], before_table) ? token_name(sql, &t[i]) : NULL;
        struct relation *r = name ? transition_relation(an->im, name, &known) : NULL;
        if (r)
            rc = note_relation(an, r);
        else if (known)
            rc = -1;
        free(name);
    }
    free(t);
    return rc;
}

/* Whether that is a view of the application's; then notes what its text names, where it joins by names. 1, 0, -1. */
static int note_view(const struct analysis *an, const char *name)
{
    char *text = NULL;
    if (name == NULL || strcasecmp(name, IMAGE_NODE) == 0)
        return 0;
    int rc = db_get_text(
        an->db, &text, "SELECT sql FROM main.sqlite_schema WHERE type = 'view' AND name = %Q COLLATE NOCASE",
        name);
    bool view = rc == 0 && text;
    if (view && rule_joins_by_name(text))
        rc = note_named(an, text);
    free(text);
    return rc ? -1 : view;
}

/* Whether views of the application's are among what is read, whose texts are noted: 1, 0, -1. */
static int reads_view(const struct analysis *an, const struct read_set *seen)
{
    int64_t views = 0;
    int found = 0;
    if (db_get_int(an->db, &views,
                   "SELECT count(*) FROM main.sqlite_schema WHERE type = 'view' AND name <> 'dx_node'"))
        return -1;
    for (size_t i = 0; views && i < seen->n; i++) {
        int table = note_view(an, seen->t[i].table),
            through = table < 0 ? -1 : note_view(an, seen->t[i].through);
        if (through < 0)
            return -1;
        found |= table | through;
    }
    return found;
}

/* Notes all that the statement reads. By name: it joins by shared names, which may be those of any columns; and so may
 * what stands in a view. */
static int note_reads(const struct analysis *an, const char *sql, bool by_name)
{
    struct read_set seen = {0};
    int bad = read_set_of(an->db, sql, &seen), view = bad ? 0 : reads_view(an, &seen);
    if (view < 0)
        bad = -1;
    for (size_t i = 0; bad == 0 && i < seen.n; i++) {
        struct relation *r = relation_read(an, &seen.t[i], &bad);
        if (r && bad == 0)
            read_column(an->rule, r, seen.t[i].column);
        if (r && bad == 0 && (by_name || view))
            read_columns(an->rule, r);
    }
    read_set_free(&seen);
    return bad ? -1 : 0;
}

/* With every occurrence replaced, no table may be read any more: what still is, was not found in the text (a view, a
 * name in another form). 1 when something escapes, 0, -1. */
static int escapes(const struct analysis *an, const struct arm *a)
{
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    struct buf sql = {0};
    struct read_set seen = {0};
    int64_t real = 0;
    for (size_t i = 0; i < a->noccurrence; i++)
        use[i] = a->occurrence[i].relation->old_name;
    rule_sql(&sql, a, use);
    int rc = read_set_of(an->db, buf_text(&sql), &seen) ? 1 : 0;
    for (size_t i = 0; rc == 0 && i < seen.n; i++) {
        if (strncasecmp(seen.t[i].table, "dx_o_", 5) == 0)
            continue;
        rc = db_get_int(an->db, &real,
                        "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name = %Q COLLATE "
                        "NOCASE",
                        seen.t[i].table);
        rc = rc ? -1 : real > 0;
    }
    read_set_free(&seen);
    buf_free(&sql);
    free(use);
    return rc;
}

/* Aggregates betray themselves by what SQLite would run. 1, 0, -1. */
static int aggregates(const struct analysis *an, const char *sql)
{
    struct stmt *s = db_preparef(an->db, "EXPLAIN %s", sql);
    enum step step = STEP_ERROR;
    bool found = false;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        found |= strncmp(stmt_text(s, 1), "Agg", 3) == 0;
    stmt_free(s);
    return step == STEP_DONE ? found : -1;
}

/* ---- one arm ---- */

static int check_columns(const struct analysis *an, const char *text)
{
    size_t want = 1 + an->rule->object->sent->nkey;
    char *sql = mem_printf("SELECT * FROM (%s\n)", text);
    struct stmt *s = rule_fence_prepare(an->db, sql);
    free(sql);
    int n = s ? stmt_columns(s) : -1;
    stmt_free(s);
    if (n < 0)
        return -1;
    return (size_t)n == want
               ? 0
               : fail(ERR_REFUSED, "the rule yields %d columns; (node, key) makes %zu for table %s", n, want,
                      an->rule->object->table);
}

static void note_whole(struct rule *r, char *why)
{
    r->full_refresh = true;
    if (r->why)
        free(why);
    else
        r->why = why;
}

/* All tables an arm names are read: what is joined by name alone touches no column SQLite would tell of. */
static int note_occurrences(const struct analysis *an, const struct arm *a)
{
    for (size_t i = 0; i < a->noccurrence; i++)
        if (note_relation(an, a->occurrence[i].relation))
            return -1;
    return 0;
}

static int add_arm(const struct analysis *an, const char *text)
{
    struct rule *r = an->rule;
    struct arm *a = &r->arm[r->narm++];
    struct buf b = {0};
    if (check_columns(an, text))
        return -1;
    frame_head(&b, r->object->sent);
    size_t from = b.n;
    buf_puts(&b, text);
    size_t to = b.n;
    frame_tail(&b, an, a);
    a->sql = buf_take(&b);
    struct placing placing = {an->db, an->im, r->relation, r->object->sent};
    if (table_refs_tables(&placing, a, from, to))
        return -1;
    for (size_t i = 0; i < a->noccurrence; i++)
        if (!a->occurrence[i].frame && !a->occurrence[i].anchor)
            transition_both(a->occurrence[i].relation);
    struct buf now = {0};
    const char **none = mem_zero(a->noccurrence, sizeof *none);
    rule_sql(&now, a, none);
    free(none);
    bool by_name = rule_joins_by_name(text);
    int rc = by_name ? note_occurrences(an, a) : 0;
    rc =
        rc || note_reads(an, buf_text(&now), by_name) || (!by_name && table_refs_class(&placing, a)) ? -1 : 0;
    char *why = rule_whole(text);
    int escape = rc ? 0 : escapes(an, a), aggregate = rc ? 0 : aggregates(an, buf_text(&now));
    buf_free(&now);
    if (why == NULL && escape > 0)
        why = mem_text("a view, or a table named in a way that hides it");
    if (why == NULL && aggregate > 0)
        why = mem_text("an aggregate");
    if (why)
        note_whole(r, why);
    return rc || escape < 0 || aggregate < 0 ? -1 : 0;
}

/* ---- the whole rule ---- */

static int analyse_select(struct analysis *an)
{
    struct rule *r = an->rule;
    size_t n;
    if (rule_allowed(r->object->rule))
        return -1;
    char *fixed = fixed_now_set(r->object->rule, an->now, &r->terms);
    char **arm = rule_arms(fixed, &n);
    int rc = 0;
    r->arm = mem_zero(n, sizeof *r->arm);
    for (size_t i = 0; i < n; i++) {
        rc = rc || add_arm(an, arm[i]) ? -1 : 0;
        free(arm[i]);
    }
    free(arm);
    free(fixed);
    return rc;
}

static int analyse_keep(struct analysis *an)
{
    struct rule *r = an->rule;
    const struct object *o = r->object;
    if (o->keep[0] == 0)
        return 0;
    if (rule_keep_allowed(o->keep))
        return -1;
    struct buf sql = {0};
    r->keep = fixed_now_set(o->keep, an->now, &r->terms);
    buf_puts(&sql, "SELECT 1 FROM ");
    buf_name(&sql, o->table);
    buf_addf(&sql, " WHERE (%s\n)", r->keep);
    struct read_set seen = {0};
    int rc = read_set_of(an->db, buf_text(&sql), &seen);
    for (size_t i = 0; rc == 0 && i < seen.n; i++)
        if (strcasecmp(seen.t[i].table, o->table) != 0)
            rc = fail(ERR_REFUSED,
                      "keep reads table %s; a time filter is a condition on the row's own columns",
                      seen.t[i].table);
    read_set_free(&seen);
    struct stmt *s = rc ? NULL : rule_fence_prepare(an->db, buf_text(&sql));
    rc = s == NULL || note_reads(an, buf_text(&sql), false) ? -1 : 0;
    stmt_free(s);
    buf_free(&sql);
    return rc;
}

static void analyse_via(struct analysis *an)
{
    const char *list = an->rule->object->via_column;
    while (*list) {
        size_t n = strcspn(list, ",");
        char *column = mem_printf("%.*s", (int)n, list);
        read_column(an->rule, an->rule->relation, column);
        free(column);
        list += n;
        list += strspn(list, ", ");
    }
}

static int analyse(struct analysis *an)
{
    struct rule *r = an->rule;
    const struct object *o = r->object;
    bool known = false;
    r->relation = transition_relation(an->im, o->table, &known);
    if (r->relation == NULL)
        return known ? -1 : fail(ERR_REFUSED, "there is no table %s any more", o->table);
    if (!r->relation->captured)
        return fail(ERR_REFUSED, "changes of table %s are not captured; run `txnlog attach`", o->table);
    if (o->visible == VISIBLE_NONE)
        return 0;
    if (o->sent->nkey > MEMBER_KEY_MAX)
        return fail(ERR_REFUSED, "the key of table %s has %zu columns, %d are the most that can be routed",
                    o->table, o->sent->nkey, MEMBER_KEY_MAX);
    if (analyse_keep(an))
        return -1;
    if (!membership_whole(o))
        read_column(r, r->relation, "");
    if (o->visible == VISIBLE_VIA)
        analyse_via(an);
    return o->visible == VISIBLE_SELECT ? analyse_select(an) : 0;
}

struct rule *rule_compile(struct db *db, struct transition_tables *im, const struct object *o,
                          const char *now)
{
    struct rule *r = mem_zero(1, sizeof *r);
    struct analysis an = {db, im, r, now};
    r->object = o;
    if (analyse(&an) == 0)
        return r;
    fail_in("object %s", o->name);
    rule_free(r);
    return NULL;
}
