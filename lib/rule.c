/* rule: see rule.h. */
#include "rule.h"

#include "err.h"
#include "mem.h"
#include "member.h"
#include "moment.h"
#include "ruleparse.h"
#include "token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct analysis {
    struct db *db;
    struct images *im;
    struct rule *rule;
    const char *now;
};

/* ---- what SQLite says that a statement reads ---- */

struct touched {
    char *table, *column, *through;
};

struct touches {
    struct touched *t;
    size_t n;
    bool recursive;
};

static void note_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                       const char *through)
{
    struct touches *s = ctx;
    (void)database;
    s->recursive |= action == DB_ACTION_RECURSIVE;
    if (action != DB_ACTION_READ)
        return;
    s->t = mem_grow(s->t, s->n + 1, sizeof *s->t);
    s->t[s->n++] = (struct touched){mem_text(a), mem_text(b), mem_text(through)};
}

static void free_touches(struct touches *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->t[i].table);
        free(s->t[i].column);
        free(s->t[i].through);
    }
    free(s->t);
    *s = (struct touches){0};
}

static bool reads(const struct touches *s, const char *table)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcasecmp(s->t[i].table, table) == 0)
            return true;
    return false;
}

/* ---- the frame around an arm ---- */

static void frame_head(struct buf *b, const struct table *t)
{
    buf_puts(b, "WITH dx_r(dx_n");
    for (size_t k = 0; k < t->nkey; k++)
        buf_addf(b, ", dx_k%zu", k);
    buf_puts(b, ") AS (");
}

/* Behind the arm: joins the object's table, so that only rows that there are count, told by their own keys, and the
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
    buf_puts(b, "dx_y.id AS node FROM dx_r JOIN ");
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
    struct occurrence y = {.relation = images_relation(an->im, IMAGE_NODE, &known), .at = b->n, .dual = -1};
    buf_puts(b, IMAGE_NODE_NOW);
    y.end = b->n;
    buf_puts(b, " AS dx_y ON dx_y.name = dx_r.dx_n");
    a->occurrence = mem_grow(a->occurrence, a->noccurrence + 2, sizeof *a->occurrence);
    a->occurrence[a->noccurrence++] = x;
    a->occurrence[a->noccurrence++] = y;
}

/* ---- occurrences ---- */

static void add_replaced(struct buf *b, const struct occurrence *o, const char *name)
{
    buf_puts(b, name);
    if (o->as) {
        buf_puts(b, " AS ");
        buf_name(b, o->relation->name);
    }
}

void rule_sql(struct buf *sql, const struct arm *a, const char *const *use)
{
    rule_cut_sql(sql, a, use, 0, strlen(a->sql), NULL, 0);
}

void rule_cut_sql(struct buf *sql, const struct arm *a, const char *const *use, size_t from, size_t to,
                  const struct cut *cut, size_t ncut)
{
    size_t at = from, c = 0;
    for (size_t i = 0; i <= a->noccurrence; i++) {
        const struct occurrence *o = i < a->noccurrence ? &a->occurrence[i] : NULL;
        size_t next = o && o->at < to ? o->at : to;
        for (; c < ncut && cut[c].at < next; c++) {
            if (cut[c].at < at)
                continue;
            buf_add(sql, a->sql + at, cut[c].at - at);
            buf_puts(sql, cut[c].text);
            at = cut[c].end;
        }
        const char *name = o == NULL ? NULL : use[i] ? use[i] : o->relation->layout ? NULL : IMAGE_NODE_NOW;
        if (o == NULL || o->at < at || o->at >= to || name == NULL)
            continue;
        buf_add(sql, a->sql + at, o->at - at);
        add_replaced(sql, o, name);
        at = o->end;
    }
    buf_add(sql, a->sql + at, to - at);
}

/* Whether the token, replaced by the relation's old image, makes a statement that reads that image. */
static bool try_token(const struct analysis *an, const char *sql, struct occurrence *o)
{
    const char *image = strchr(o->relation->old_name, '"') + 1; /* temp."dx_o_NAME" */
    char *bare = mem_printf("%.*s", (int)strlen(image) - 1, image);
    bool found = false;
    for (int as = 0; as < 2 && !found; as++) {
        struct buf trial = {0};
        struct touches seen = {0};
        o->as = as;
        buf_add(&trial, sql, o->at);
        add_replaced(&trial, o, o->relation->old_name);
        buf_puts(&trial, sql + o->end);
        found = db_touches(an->db, buf_text(&trial), note_touch, &seen) == 0 && reads(&seen, bare);
        free_touches(&seen);
        buf_free(&trial);
    }
    free(bare);
    return found;
}

static int by_place(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Finds the places of tables in the arm's own text, which is bytes [from, to) of its SQL, by trial. */
static int find_occurrences(const struct analysis *an, struct arm *a, size_t from, size_t to)
{
    size_t n;
    struct token *t = tokens_of(a->sql, &n);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        bool known = false;
        if (t[i].at < from || t[i].end > to || (i + 1 < n && a->sql[t[i + 1].at] == '.') ||
            (i > 0 && a->sql[t[i - 1].at] == '.'))
            continue;
        char *name = token_name(a->sql, &t[i]);
        struct occurrence o = {.at = t[i].at, .end = t[i].end, .dual = -1};
        o.relation = name ? images_relation(an->im, name, &known) : NULL;
        free(name);
        if (o.relation == NULL) {
            rc = known ? -1 : 0;
            continue;
        }
        if (!try_token(an, a->sql, &o))
            continue;
        a->occurrence = mem_grow(a->occurrence, a->noccurrence + 1, sizeof *a->occurrence);
        a->occurrence[a->noccurrence++] = o;
    }
    free(t);
    qsort(a->occurrence, a->noccurrence, sizeof *a->occurrence, by_place);
    return rc;
}

/* Finds the NOT EXISTS (...) terms, and which occurrences stand in them. */
static void find_duals(struct arm *a, size_t from, size_t to)
{
    size_t n;
    struct token *t = tokens_of(a->sql, &n);
    for (size_t i = 0; i + 2 < n; i++) {
        if (t[i].at < from || t[i].end > to || !token_is(a->sql, &t[i], "NOT") ||
            !token_is(a->sql, &t[i + 1], "EXISTS") || a->sql[t[i + 2].at] != '(')
            continue;
        struct dual d = {t[i].at, t[token_close(a->sql, t, n, i + 2)].end, t[i].end};
        for (size_t k = 0; k < a->noccurrence; k++)
            if (a->occurrence[k].at > d.at && a->occurrence[k].at < d.end && a->occurrence[k].dual < 0)
                a->occurrence[k].dual = (int)a->ndual;
        a->dual = mem_grow(a->dual, a->ndual + 1, sizeof *a->dual);
        a->dual[a->ndual++] = d;
    }
    free(t);
}

/* The key's expressions in the result list of a SELECT: tokens [first, last) of each, from the second on. Their
 * number, or 0 when there is another number than wanted. */
static size_t key_expressions(const char *sql, const struct token *t, size_t n, size_t from, size_t want,
                              size_t *first, size_t *last)
{
    size_t i = 0, k = 0;
    while (i < n && t[i].at < from)
        i++;
    int depth = i < n ? t[i].depth : 0;
    size_t begin = i + 1;
    for (i++; i < n && !(t[i].depth == depth && token_is(sql, &t[i], "FROM")); i++) {
        if (t[i].depth != depth || sql[t[i].at] != ',')
            continue;
        if (k > 0 && k <= want) {
            first[k - 1] = begin;
            last[k - 1] = i;
        }
        begin = i + 1;
        k++;
    }
    if (k != want)
        return 0;
    first[k - 1] = begin;
    last[k - 1] = i;
    return k;
}

/* The words that may follow a table's name and are no alias. */
static const char *const no_alias[] = {"JOIN",  "INNER", "CROSS",  "LEFT",      "NATURAL",
                                       "ON",    "USING", "WHERE",  "GROUP",     "HAVING",
                                       "UNION", "SET",   "EXCEPT", "INTERSECT", NULL};

/* Finds the names by which the tables in the arm's own FROM go. */
static void find_aliases(struct arm *a, const struct token *t, size_t n, size_t from)
{
    size_t first = 0;
    while (first < n && t[first].at < from)
        first++;
    for (size_t k = 0, i = first; k < a->noccurrence; k++) {
        struct occurrence *o = &a->occurrence[k];
        while (i < n && t[i].at < o->at)
            i++;
        if (o->frame || i >= n || t[i].at != o->at || t[i].depth != t[first].depth || o->at > a->end)
            continue;
        size_t next = i + 1 < n && token_is(a->sql, &t[i + 1], "AS") ? i + 2 : i + 1;
        bool named = !o->as && next < n && t[next].at < a->end && !token_in(a->sql, &t[next], no_alias);
        o->alias = named ? token_name(a->sql, &t[next]) : NULL;
        if (o->alias == NULL)
            o->alias = mem_text(o->relation->name);
    }
}

/* The anchor yields the key: its alias, a dot, the key's column, for each column of the key. */
static void find_anchor(const struct analysis *an, struct arm *a, size_t from)
{
    const struct table *sent = an->rule->object->sent;
    size_t n, *first = mem_zero(sent->nkey, sizeof *first), *last = mem_zero(sent->nkey, sizeof *last);
    struct token *t = tokens_of(a->sql, &n);
    size_t k = key_expressions(a->sql, t, n, from, sent->nkey, first, last);
    find_aliases(a, t, n, from);
    a->list_end = k ? t[last[k - 1] - 1].end : 0;
    a->keys = k ? t[first[0]].at : 0;
    for (size_t c = 0; k && c < a->noccurrence; c++) {
        struct occurrence *o = &a->occurrence[c];
        bool yields = o->alias && o->relation == an->rule->relation;
        for (size_t i = 0; yields && i < k; i++) {
            bool dotted = last[i] - first[i] == 3 && a->sql[t[first[i] + 1].at] == '.';
            char *name = dotted ? token_name(a->sql, &t[first[i]]) : NULL;
            char *column = dotted ? token_name(a->sql, &t[first[i] + 2]) : NULL;
            yields = name && column && strcasecmp(name, o->alias) == 0 &&
                     strcasecmp(column, sent->col[sent->key[i]]) == 0;
            free(name);
            free(column);
        }
        o->anchor = yields;
        if (yields)
            break;
    }
    free(first);
    free(last);
    free(t);
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
    image_read(relation, column);
    for (size_t i = 0; i < relation->ncol; i++)
        if (strcasecmp(relation->col[i], column) == 0)
            x->column[i] = true;
}

/* Of what a table's name in SQLite's report is: a relation, or NULL for something that never changes (a view, whose
 * tables are reported too; a table-valued function). -1 in *bad with a message for what no rule may read. */
static struct relation *relation_read(const struct analysis *an, const struct touched *t, int *bad)
{
    bool known = false;
    *bad = 0;
    if (strcasecmp(t->table, "dx_node_now") == 0 || strcasecmp(t->table, "dx_nodes") == 0 ||
        strcasecmp(t->table, IMAGE_NODE) == 0) {
        if (strcasecmp(t->table, "dx_nodes") == 0 && t->through == NULL)
            *bad = fail(ERR_REFUSED, "dx_nodes in a rule: use the view dx_node");
        return images_relation(an->im, IMAGE_NODE, &known);
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
    struct relation *r = images_relation(an->im, t->table, &known);
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
        *bad = fail(ERR_REFUSED, "table %s is read, but its changes are not captured; run `txnlog attach`",
                    r->name);
    return r;
}

/* Notes all that the statement reads. */
static int note_reads(const struct analysis *an, const char *sql)
{
    struct touches seen = {0};
    int bad = db_touches(an->db, sql, note_touch, &seen);
    for (size_t i = 0; bad == 0 && i < seen.n; i++) {
        struct relation *r = relation_read(an, &seen.t[i], &bad);
        if (r && bad == 0)
            read_column(an->rule, r, seen.t[i].column);
    }
    free_touches(&seen);
    return bad ? -1 : 0;
}

/* With every occurrence replaced, no table may be read any more: what still is, was not found in the text (a view, a
 * name in another form). 1 when something escapes, 0, -1. */
static int escapes(const struct analysis *an, const struct arm *a)
{
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    struct buf sql = {0};
    struct touches seen = {0};
    int64_t real = 0;
    for (size_t i = 0; i < a->noccurrence; i++)
        use[i] = a->occurrence[i].relation->old_name;
    rule_sql(&sql, a, use);
    int rc = db_touches(an->db, buf_text(&sql), note_touch, &seen) ? 1 : 0;
    for (size_t i = 0; rc == 0 && i < seen.n; i++) {
        if (strncasecmp(seen.t[i].table, "dx_o_", 5) == 0)
            continue;
        rc = db_get_int(an->db, &real,
                        "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name = %Q COLLATE "
                        "NOCASE",
                        seen.t[i].table);
        rc = rc ? -1 : real > 0;
    }
    free_touches(&seen);
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

/* Whether the arm uses the anchor's key only to name the row: with the key taken out of its result, it reads no key
 * column of the anchor. What it does read there makes the classes of rows (class.h). */
static int find_class(const struct analysis *an, struct arm *a)
{
    const struct relation *r = an->rule->relation;
    const char *image = strchr(r->new_name, '"') + 1; /* temp."dx_n_NAME" */
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    struct buf sql = {0}, none = {0};
    struct touches seen = {0};
    bool anchored = false;
    for (size_t i = 0; i < a->noccurrence; i++) {
        use[i] = a->occurrence[i].anchor ? r->new_name : NULL;
        anchored |= a->occurrence[i].anchor;
    }
    for (size_t k = 0; k < r->layout->table->nkey; k++)
        buf_puts(&none, k ? ", NULL" : "NULL");
    buf_puts(&sql, "SELECT ");
    struct cut cut = {a->keys, a->list_end, buf_text(&none)};
    rule_cut_sql(&sql, a, use, a->list, a->end, &cut, 1);
    int rc = anchored ? db_touches(an->db, buf_text(&sql), note_touch, &seen) : 0;
    bool *column = mem_zero(r->ncol, sizeof *column);
    for (size_t i = 0; i < seen.n; i++)
        for (size_t c = 0; c < r->ncol; c++)
            if (strncasecmp(seen.t[i].table, image, strlen(image) - 1) == 0 &&
                strlen(seen.t[i].table) == strlen(image) - 1 &&
                strcasecmp(seen.t[i].column, r->col[c]) == 0) {
                column[c] = true;
                anchored &= !r->layout->table->pk[c];
            }
    if (anchored && rc == 0)
        a->class_column = column;
    else
        free(column);
    free_touches(&seen);
    buf_free(&sql);
    buf_free(&none);
    free(use);
    return rc;
}

/* ---- one arm ---- */

static int check_columns(const struct analysis *an, const char *text)
{
    size_t want = 1 + an->rule->object->sent->nkey;
    struct stmt *s = db_preparef(an->db, "SELECT * FROM (%s\n)", text);
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
    r->whole = true;
    if (r->why)
        free(why);
    else
        r->why = why;
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
    a->list = from + strlen("SELECT");
    a->end = to;
    if (find_occurrences(an, a, from, to))
        return -1;
    find_duals(a, from, to);
    find_anchor(an, a, from);
    struct buf now = {0};
    const char **none = mem_zero(a->noccurrence, sizeof *none);
    rule_sql(&now, a, none);
    free(none);
    int rc = note_reads(an, buf_text(&now)) || find_class(an, a) ? -1 : 0;
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
    char *fixed = moment_fix(r->object->rule, an->now, &r->terms);
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
    struct buf sql = {0};
    r->keep = moment_fix(o->keep, an->now, &r->terms);
    buf_puts(&sql, "SELECT 1 FROM ");
    buf_name(&sql, o->table);
    buf_addf(&sql, " WHERE (%s\n)", r->keep);
    struct touches seen = {0};
    int rc = db_touches(an->db, buf_text(&sql), note_touch, &seen);
    for (size_t i = 0; rc == 0 && i < seen.n; i++)
        if (strcasecmp(seen.t[i].table, o->table) != 0)
            rc = fail(ERR_REFUSED,
                      "keep reads table %s; a time filter is a condition on the row's own columns",
                      seen.t[i].table);
    free_touches(&seen);
    rc = rc || note_reads(an, buf_text(&sql)) ? -1 : 0;
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
    r->relation = images_relation(an->im, o->table, &known);
    if (r->relation == NULL)
        return known ? -1 : fail(ERR_REFUSED, "there is no table %s any more", o->table);
    if (!r->relation->captured)
        return fail(ERR_REFUSED, "changes of table %s are not captured; run `txnlog attach`", o->table);
    if (o->visible == VISIBLE_NONE)
        return 0;
    if (analyse_keep(an))
        return -1;
    if (!member_whole(o))
        read_column(r, r->relation, "");
    if (o->visible == VISIBLE_VIA)
        analyse_via(an);
    return o->visible == VISIBLE_SELECT ? analyse_select(an) : 0;
}

struct rule *rule_new(struct db *db, struct images *im, const struct object *o, const char *now)
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

void rule_free(struct rule *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->narm; i++) {
        free(r->arm[i].sql);
        for (size_t k = 0; k < r->arm[i].noccurrence; k++)
            free(r->arm[i].occurrence[k].alias);
        free(r->arm[i].occurrence);
        free(r->arm[i].dual);
        free(r->arm[i].class_column);
    }
    for (size_t i = 0; i < r->nreading; i++)
        free(r->reading[i].column);
    free(r->arm);
    free(r->reading);
    free(r->why);
    free(r->keep);
    buf_free(&r->terms);
    free(r);
}

static bool touched(const struct reading *x)
{
    for (size_t c = 0; c < x->relation->ncol; c++)
        if (x->column[c] && x->relation->moved[c])
            return true;
    return x->relation->came;
}

bool rule_touched(const struct rule *r)
{
    for (size_t i = 0; i < r->nreading; i++)
        if (touched(&r->reading[i]))
            return true;
    return false;
}

bool rule_touched_by(const struct rule *r, const struct relation *relation)
{
    for (size_t i = 0; i < r->nreading; i++)
        if (r->reading[i].relation == relation)
            return touched(&r->reading[i]);
    return false;
}
