/* delta_join: see route/delta_join.h. */
#include "route/delta_join.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "route/delta_by_key.h"
#include "route/moves.h"
#include "rules/package_nodes.h"
#include "rules/rule_fence.h"

#include <stdlib.h>
#include <string.h>

enum {
    SUBSETS_MAX = 4
}; /* changed occurrences in one arm for which every combination is asked for by itself */

static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_plus (key, node INTEGER, PRIMARY KEY (key, node)) WITHOUT ROWID;"
    "CREATE TEMP TABLE IF NOT EXISTS dx_minus (key, node INTEGER, PRIMARY KEY (key, node)) WITHOUT ROWID;";

/* dx_holds(audience, node) */
static struct val sql_holds(void *ctx, const struct val *args, size_t n)
{
    return val_int(n == 2 && audience_has(ctx, args[0].i, args[1].i) > 0);
}

int delta_join_init(struct object_deltas *v)
{
    return db_exec(v->db, sql_make) || db_function(v->db, "dx_holds", 2, sql_holds, v->audiences) ? -1 : 0;
}

/* ---- statements over one arm ---- */

/* An arm with what stands in for each of its occurrences. */
struct asking {
    struct object_deltas *v;
    const struct object_delta *w;
    const struct arm *arm;
    const char **use;
    char **both; /* per occurrence: the table as it is now, and its old images; made when wanted */
};

static bool changed(const struct asking *q, size_t i)
{
    const struct occurrence *o = &q->arm->occurrence[i];
    return !o->frame && !o->anchor && rule_touched_by(q->w->rule, o->relation);
}

static bool has_old(const struct asking *q, size_t i)
{
    return changed(q, i) && q->arm->occurrence[i].relation->has_old;
}

static void add_insert(struct buf *sql, const struct asking *q, const char *into)
{
    buf_addf(sql, "INSERT OR IGNORE INTO temp.%s (key, node) SELECT ", into);
    object_delta_arm_key(sql, q->w);
    buf_puts(sql, ", node FROM (");
}

/* Runs the arm, changed by the cuts, into a table of pairs. */
static int ask(const struct asking *q, const char *into, const struct cut *cut, size_t ncut)
{
    struct buf sql = {0};
    add_insert(&sql, q, into);
    rule_cut_sql(&sql, q->arm, q->use, 0, strlen(q->arm->sql), cut, ncut);
    buf_puts(&sql, ")");
    q->v->statements++;
    int rc = rule_fence_exec(q->v->db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

/* All NOT EXISTS terms but one answered by yes: a superset, which the check mends. */
static size_t drop_duals(const struct asking *q, size_t but, struct cut *cut)
{
    size_t n = 0;
    for (size_t d = 0; d < q->arm->ndual; d++)
        if (d != but)
            cut[n++] = (struct cut){q->arm->dual[d].at, q->arm->dual[d].end, "1"};
    return n;
}

static const char *both_images(const struct asking *q, size_t i)
{
    const struct relation *r = q->arm->occurrence[i].relation;
    struct buf b = {0};
    if (q->both[i])
        return q->both[i];
    buf_puts(&b, "(SELECT * FROM ");
    if (r->layout) {
        buf_puts(&b, "main.");
        buf_name(&b, r->name);
    } else
        buf_puts(&b, PACKAGE_NODES);
    buf_addf(&b, " UNION ALL SELECT * FROM %s)", r->old_name);
    return q->both[i] = buf_take(&b);
}

/* Asks with each of the occurrences `at` as it is now or as old images, in every combination. */
static int ask_combinations(const struct asking *q, const size_t *at, size_t n, const char *into,
                            const struct cut *cut, size_t ncut)
{
    int rc = 0;
    if (n > SUBSETS_MAX) {
        for (size_t i = 0; i < n; i++)
            q->use[at[i]] = both_images(q, at[i]);
        rc = ask(q, into, cut, ncut);
    } else
        for (unsigned set = 0; rc == 0 && set < 1u << n; set++) {
            for (size_t i = 0; i < n; i++)
                q->use[at[i]] = set >> i & 1 ? q->arm->occurrence[at[i]].relation->old_name : NULL;
            rc = ask(q, into, cut, ncut);
        }
    for (size_t i = 0; i < n; i++)
        q->use[at[i]] = NULL;
    return rc;
}

/* The changed occurrences with old images, from number `from` on, that stand in the NOT EXISTS term given (-1: in
 * none). */
static size_t later(const struct asking *q, size_t from, int dual, size_t *at)
{
    size_t n = 0;
    for (size_t i = from; i < q->arm->noccurrence; i++)
        if (q->arm->occurrence[i].dual == dual && has_old(q, i))
            at[n++] = i;
    return n;
}

/* ---- positive occurrences ---- */

static int ask_positive(const struct asking *q, size_t i, size_t *at, struct cut *cut)
{
    const struct relation *r = q->arm->occurrence[i].relation;
    int rc = 0;
    if (r->has_new) {
        q->use[i] = r->new_name;
        rc = ask(q, "dx_plus", NULL, 0);
    }
    if (rc == 0 && r->has_old) {
        q->use[i] = r->old_name;
        size_t ncut = drop_duals(q, q->arm->ndual, cut);
        rc = ask_combinations(q, at, later(q, i + 1, -1, at), "dx_minus", cut, ncut);
    }
    q->use[i] = NULL;
    return rc;
}

/* ---- NOT EXISTS ---- */

/* A row that came may block pairs: those that held with some outer row as it was, and the term without its NOT. */
static int ask_blocked(const struct asking *q, size_t i, size_t *at, struct cut *cut)
{
    int d = q->arm->occurrence[i].dual;
    const struct dual *dual = &q->arm->dual[d];
    size_t ncut = 0;
    for (size_t k = 0; k < q->arm->ndual; k++)
        cut[ncut++] = (int)k == d ? (struct cut){dual->at, dual->word_end, ""}
                                  : (struct cut){q->arm->dual[k].at, q->arm->dual[k].end, "1"};
    q->use[i] = q->arm->occurrence[i].relation->new_name;
    int rc = ask_combinations(q, at, later(q, 0, -1, at), "dx_minus", cut, ncut);
    q->use[i] = NULL;
    return rc;
}

/* A row that went may let pairs in: NOT EXISTS (now) AND EXISTS (with the row that went). */
static int ask_freed_once(const struct asking *q, const struct dual *dual)
{
    struct buf term = {0};
    const char **now = mem_zero(q->arm->noccurrence, sizeof *now);
    rule_cut_sql(&term, q->arm, now, dual->at, dual->end, NULL, 0);
    buf_puts(&term, " AND ");
    rule_cut_sql(&term, q->arm, q->use, dual->word_end, dual->end, NULL, 0);
    struct cut cut = {dual->at, dual->end, buf_text(&term)};
    int rc = ask(q, "dx_plus", &cut, 1);
    buf_free(&term);
    free(now);
    return rc;
}

static int ask_freed(const struct asking *q, size_t i, size_t *at)
{
    const struct dual *dual = &q->arm->dual[q->arm->occurrence[i].dual];
    size_t n = later(q, i + 1, q->arm->occurrence[i].dual, at);
    int rc = 0;
    q->use[i] = q->arm->occurrence[i].relation->old_name;
    for (unsigned set = 0; rc == 0 && set < (n > SUBSETS_MAX ? 1u : 1u << n); set++) {
        for (size_t k = 0; k < n; k++)
            q->use[at[k]] = n > SUBSETS_MAX ? both_images(q, at[k])
                            : set >> k & 1  ? q->arm->occurrence[at[k]].relation->old_name
                                            : NULL;
        rc = ask_freed_once(q, dual);
    }
    for (size_t k = 0; k < n; k++)
        q->use[at[k]] = NULL;
    q->use[i] = NULL;
    return rc;
}

/* ---- candidates ---- */

static int ask_occurrence(const struct asking *q, size_t i, size_t *at, struct cut *cut)
{
    const struct occurrence *o = &q->arm->occurrence[i];
    if (!changed(q, i))
        return 0;
    if (o->dual < 0)
        return ask_positive(q, i, at, cut);
    if (o->relation->has_new && ask_blocked(q, i, at, cut))
        return -1;
    return o->relation->has_old ? ask_freed(q, i, at) : 0;
}

/* Fills dx_plus and dx_minus. */
static int find_candidates(struct object_deltas *v, const struct object_delta *w)
{
    if (db_exec(v->db, "DELETE FROM temp.dx_plus; DELETE FROM temp.dx_minus"))
        return -1;
    int rc = 0;
    for (size_t a = 0; rc == 0 && a < w->rule->narm; a++) {
        const struct arm *arm = &w->rule->arm[a];
        struct asking q = {v, w, arm, mem_zero(arm->noccurrence, sizeof *q.use),
                           mem_zero(arm->noccurrence, sizeof *q.both)};
        size_t *at = mem_zero(arm->noccurrence, sizeof *at);
        struct cut *cut = mem_zero(arm->ndual + 1, sizeof *cut);
        for (size_t i = 0; rc == 0 && i < arm->noccurrence; i++)
            rc = ask_occurrence(&q, i, at, cut);
        for (size_t i = 0; i < arm->noccurrence; i++)
            free(q.both[i]);
        free(q.both);
        free(q.use);
        free(at);
        free(cut);
    }
    return rc;
}

/* ---- what is left of them ---- */

/* Candidates that are no news are left out; of those that may have been lost, each is looked up in the rule as it is
 * now. Columns: key, node, gained or lost, the audience as held. */
static struct stmt *prepare_pairs(struct object_deltas *v, const struct object_delta *w, bool own)
{
    struct buf sql = {0};
    long long id = (long long)w->object->id;
    struct buf not_own = {0};
    if (own)
        delta_by_key_exclude(&not_own, w, "p.key");
    buf_addf(
        &sql,
        "SELECT p.key, p.node, 1, coalesce(m.audience, 0) FROM temp.dx_plus AS p LEFT JOIN "
        "main.dx_member_%lld AS m ON m.key = p.key WHERE (m.audience IS NULL OR NOT dx_holds(m.audience, "
        "p.node))%s UNION ALL "
        "SELECT p.key, p.node, 0, m.audience FROM temp.dx_minus AS p CROSS JOIN main.dx_member_%lld AS m "
        "WHERE m.key = p.key AND dx_holds(m.audience, p.node)%s",
        id, buf_text(&not_own), id, buf_text(&not_own));
    buf_free(&not_own);
    for (size_t a = 0; a < w->rule->narm; a++) {
        const struct arm *arm = &w->rule->arm[a];
        const char **now = mem_zero(arm->noccurrence, sizeof *now);
        buf_puts(&sql, " AND NOT EXISTS (SELECT 1 FROM (");
        rule_sql(&sql, arm, now);
        buf_puts(&sql, ") AS q WHERE q.node = p.node");
        for (size_t k = 0; k < w->object->sent->nkey; k++) {
            buf_addf(&sql, " AND q.k%zu = ", k);
            if (w->object->sent->nkey == 1)
                buf_puts(&sql, "p.key");
            else
                buf_addf(&sql, "dx_part(p.key, %zu, %zu)", k, w->object->sent->nkey);
        }
        buf_puts(&sql, ")");
        free(now);
    }
    buf_puts(&sql, " ORDER BY 1, 2");
    struct stmt *s = rule_fence_prepare(v->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

/* The pairs of one key, and what they make of its audience. */
struct news {
    int64_t *node;
    bool *gained;
    size_t n, room;
};

static void add_news(struct news *w, int64_t node, bool gained)
{
    if (w->n == w->room) {
        w->room = w->room ? w->room * 2 : 16;
        w->node = mem_grow(w->node, w->room, sizeof *w->node);
        w->gained = mem_grow(w->gained, w->room, sizeof *w->gained);
    }
    w->node[w->n] = node;
    w->gained[w->n++] = gained;
}

/* The set of an audience with the news (ascending by node) applied. */
static int64_t apply_news(struct audiences *a, int64_t old, const struct news *w)
{
    const struct audience *set = audience_get(a, old);
    if (set == NULL)
        return AUDIENCE_ERROR;
    int64_t *node = mem_alloc((set->n + w->n) * sizeof *node);
    size_t n = 0, i = 0;
    for (size_t k = 0; k < w->n; k++) {
        while (i < set->n && set->node[i] < w->node[k])
            node[n++] = set->node[i++];
        i += i < set->n && set->node[i] == w->node[k];
        if (w->gained[k])
            node[n++] = w->node[k];
    }
    while (i < set->n)
        node[n++] = set->node[i++];
    int64_t id = audience_intern(a, node, n);
    free(node);
    return id;
}

/* The same answer for the same question: many rows in a run share both. */
struct memo {
    int64_t old, new;
    struct news news;
};

static bool same_news(const struct news *a, const struct news *b)
{
    return a->n == b->n && memcmp(a->node, b->node, a->n * sizeof *a->node) == 0 &&
           memcmp(a->gained, b->gained, a->n * sizeof *a->gained) == 0;
}

static int64_t audience_with(struct audiences *a, int64_t old, struct news *w, struct memo *memo)
{
    if (memo->news.n && memo->old == old && same_news(&memo->news, w))
        return memo->new;
    int64_t id = apply_news(a, old, w);
    struct news room = memo->news;
    *memo = (struct memo){old, id, *w};
    *w = room; /* its arrays serve again */
    return id;
}

static int put_moved(struct stmt *put, const struct val *key, int64_t old, int64_t new)
{
    if (new == AUDIENCE_ERROR)
        return -1;
    if (old == new)
        return 0;
    stmt_bind(put, 1, key);
    stmt_bind_int(put, 2, old);
    stmt_bind_int(put, 3, new);
    return stmt_run(put);
}

/* Groups the pairs by key into the moves. */
static int move_pairs(struct object_deltas *v, const struct object_delta *w, bool own)
{
    struct stmt *s = prepare_pairs(v, w, own);
    struct stmt *put = moves_put(v->db, w);
    struct news news = {0};
    struct memo memo = {0};
    struct val *key = NULL;
    int64_t old = 0;
    enum step step = STEP_ERROR;
    int rc = s && put ? 0 : -1;
    while (rc == 0) {
        step = stmt_step(s);
        struct val next = step == STEP_ROW ? stmt_val(s, 0) : (struct val){0};
        if (key && (step != STEP_ROW || !val_same(key, &next))) {
            rc = put_moved(put, key, old, audience_with(v->audiences, old, &news, &memo));
            free(key);
            key = NULL;
        }
        if (step != STEP_ROW || rc)
            break;
        if (key == NULL) {
            key = vals_copy(&next, 1);
            old = stmt_int(s, 3);
            news.n = 0;
        }
        add_news(&news, stmt_int(s, 1), stmt_int(s, 2) != 0);
    }
    free(key);
    free(news.node);
    free(news.gained);
    free(memo.news.node);
    free(memo.news.gained);
    stmt_free(s);
    stmt_free(put);
    return rc || step == STEP_ERROR ? -1 : 0;
}

int delta_join_move(struct object_deltas *v, const struct object_delta *w, bool own)
{
    return find_candidates(v, w) || move_pairs(v, w, own) ? -1 : 0;
}
