/* fanout: see route/fanout.h. The rows of an object come from two streams in key order, what changed (the journal, net) and what
 * moved (moves.h); what each row means to whom is decided by its audience before and after. */
#include "route/fanout.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "route/moves.h"
#include "route/set_aside.h"
#include "rules/package_nodes.h"
#include "sql/key.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

/* One object on its way. */
struct fanning {
    struct fanout *f;
    const struct object_delta *w;
    const struct table *sent;
    struct row_emit_object to;
    struct key_cursor *member;
    struct journal_net *net;
    struct stmt *moved;
    struct val *moved_key;
    struct buf room;
};

/* ---- the two streams ---- */

/* Members stand in the order of their packed keys, which is that of the rows where the key is one column. */
static struct key_cursor *open_members(struct fanning *g)
{
    bool steps = g->sent->nkey == 1;
    char *sql = mem_printf("SELECT key, audience FROM main.dx_member_%lld WHERE key %s",
                           (long long)g->w->object->id, steps ? ">= ?1 ORDER BY key" : "= ?1");
    struct key_cursor *w =
        steps ? key_cursor_steps(g->f->sender->db, sql, 0) : key_cursor_seeks(g->f->sender->db, sql);
    free(sql);
    return w;
}

/* The table of what moved. */
static void add_moved(struct buf *sql, const struct fanout *f, const struct object_delta *w)
{
    if (f->resumed)
        buf_puts(sql, moves_since_table());
    else
        moves_table(sql, w);
}

/* What moved, in the order of the key's columns, which is the journal's. */
static struct stmt *prepare_moved(struct fanning *g)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT key, old, new FROM ");
    add_moved(&sql, g->f, g->w);
    buf_puts(&sql, " ORDER BY ");
    if (g->sent->nkey == 1)
        buf_puts(&sql, "key");
    for (size_t k = 0; g->sent->nkey > 1 && k < g->sent->nkey; k++)
        buf_addf(&sql, "%sdx_part(key, %zu, %zu)", k ? ", " : "", k, g->sent->nkey);
    struct stmt *s = db_prepare(g->f->sender->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

/* The range of the journal that concerns the object: that of the run, or from where it was set aside; for nodes that are resumed,
 * only up to where it is set aside still. */
static int64_t after_of(const struct fanout *f, const struct object_delta *w)
{
    return w->retry && !w->aside && w->since < f->after ? w->since : f->after;
}

static int64_t upto_of(const struct fanout *f, const struct object_delta *w)
{
    return w->aside ? w->since : f->upto;
}

static bool whole_range(const struct fanout *f, const struct object_delta *w)
{
    return f->images && !w->retry && !w->aside;
}

static int open_streams(struct fanning *g)
{
    struct fanout *f = g->f;
    g->moved_key = mem_zero(g->sent->nkey, sizeof *g->moved_key);
    g->moved = prepare_moved(g);
    g->member = open_members(g);
    bool touched = !g->w->gone && g->w->object->visible != VISIBLE_NONE &&
                   after_of(f, g->w) < upto_of(f, g->w) &&
                   (!whole_range(f, g->w) || transition_touched(f->images, g->sent->name));
    if (touched)
        g->net = journal_net_some(f->sender->db, g->sent->name, after_of(f, g->w), upto_of(f, g->w),
                                  JOURNAL_TOUCHED, NULL,
                                  whole_range(f, g->w) ? transition_ordered(f->images, g->sent->name) : 0);
    return g->moved && g->member && (g->net || !touched) ? row_emit_object_open(&g->to, f->sender, g->w) : -1;
}

static void close_streams(struct fanning *g)
{
    row_emit_object_close(&g->to);
    stmt_free(g->moved);
    key_cursor_close(g->member);
    journal_net_close(g->net);
    free(g->moved_key);
    buf_free(&g->room);
}

/* The audiences of a row that did not move. */
static int held(struct fanning *g, struct known_row *r)
{
    if (membership_whole(g->w->object)) {
        r->old = r->touch.existed ? AUDIENCE_ALL : AUDIENCE_NOBODY;
        r->new = r->touch.exists ? AUDIENCE_ALL : AUDIENCE_NOBODY;
        return 0;
    }
    struct val packed = key_pack(g->to.key, g->sent->nkey, &g->room);
    enum step step = key_cursor_find(g->member, &packed, 1);
    r->old = r->new = step == STEP_ROW ? stmt_int(key_cursor_row(g->member), 1) : AUDIENCE_NOBODY;
    return step == STEP_ERROR ? -1 : 0;
}

/* Steps what moved: 1 with its key in g->moved_key, 0, -1. */
static int next_moved(struct fanning *g)
{
    enum step step = stmt_step(g->moved);
    if (step != STEP_ROW)
        return (int)step;
    struct val packed = stmt_val(g->moved, 0);
    if (!key_unpack(&packed, g->sent->nkey, g->moved_key))
        return fail(ERR_REFUSED, "what moved: a key of object %s is damaged", g->w->object->name);
    return 1;
}

static bool has_key(const struct change *c)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    for (size_t k = 0; k < c->table->nkey; k++)
        if (row[c->table->key[k]].type == VAL_NULL)
            return false;
    return true;
}

/* A row whose key is NULL: no copy could hold it. */
static void note_keyless(struct fanning *g, const struct change *c)
{
    struct set_aside *s = g->f->sender->aside;
    const struct set_aside_entry *last = s->n ? &s->entry[s->n - 1] : NULL;
    if (c->op == CHANGE_DELETE || (last && last->kind == SET_ASIDE_KEYS && last->object == g->w->object->id))
        return;
    fail(ERR_REFUSED, "%s: the key is NULL, so that no copy can hold the row", c->table->name);
    set_aside_note(s, SET_ASIDE_KEYS, "give the row a key")->object = g->w->object->id;
}

static int merge_streams(struct fanning *g)
{
    struct change c = {0};
    struct val *net_key = mem_zero(g->sent->nkey, sizeof *net_key);
    int net = g->net ? journal_net_next(g->net, &c) : 0, moved = next_moved(g), rc = 0;
    while (rc == 0 && net >= 0 && moved >= 0 && (net || moved)) {
        if (net && !has_key(&c)) {
            note_keyless(g, &c);
            net = journal_net_next(g->net, &c);
            continue;
        }
        if (net)
            change_key(&c, net_key);
        int order = !net ? 1 : !moved ? -1 : vals_compare(net_key, g->moved_key, g->sent->nkey);
        struct known_row r = {.net = order <= 0 ? &c : NULL,
                              .forced = order >= 0 && (g->to.forced || g->to.owed)};
        if (order <= 0)
            r.touch = journal_net_touch(g->net);
        memcpy(g->to.key, order <= 0 ? net_key : g->moved_key, g->sent->nkey * sizeof *net_key);
        if (order >= 0) {
            r.old = stmt_int(g->moved, 1);
            r.new = stmt_int(g->moved, 2);
            g->f->rows_moved += r.old != r.new;
        }
        /* A row that all hold and somebody asked for stands there as it is now: it may have come or gone. */
        bool now_only =
            order == 0 && membership_whole(g->w->object) && r.old == r.new && !object_delta_redefined(g->w);
        if (order < 0 || now_only)
            rc = held(g, &r);
        rc = rc || row_emit_object_row(&g->to, &r) ? -1 : 0;
        if (rc == 0 && order <= 0)
            net = journal_net_next(g->net, &c);
        if (rc == 0 && order >= 0)
            moved = next_moved(g);
    }
    free(net_key);
    return rc || net < 0 || moved < 0 ? -1 : 0;
}

/* ---- nodes that hold nothing yet ---- */

/* Whole rows to an audience: all of an object that everybody holds, else those of which the condition holds, an SQL
 * expression that is `before`, the row's audience, and `behind`. */
static int fill_rows(struct fanning *g, int64_t audience, const char *before, const char *behind)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, g->sent, "x.");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, g->sent->name);
    buf_puts(&sql, " AS x");
    if (!membership_whole(g->w->object)) {
        struct buf key = {0};
        membership_key(&key, g->sent, "x");
        buf_addf(&sql, " WHERE %s", before);
        object_delta_audience(&sql, g->w, buf_text(&key));
        buf_puts(&sql, behind);
        buf_free(&key);
    }
    buf_puts(&sql, " ORDER BY ");
    layout_keys(&sql, g->sent, "x.");
    struct stmt *s = db_prepare(g->f->sender->db, buf_text(&sql));
    buf_free(&sql);
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        for (size_t k = 0; k < g->sent->nkey; k++)
            g->to.key[k] = stmt_val(s, (int)g->sent->key[k]);
        rc = row_emit_object_whole(&g->to, audience, s);
    }
    stmt_free(s);
    return rc || step == STEP_ERROR ? -1 : 0;
}

/* The rows that everybody holds, to those that are new. */
static int fill_fresh(struct fanning *g)
{
    if (g->f->fresh == AUDIENCE_NOBODY || g->w->gone || g->w->object->visible == VISIBLE_NONE ||
        g->w->object->visible == VISIBLE_SELECT)
        return 0;
    char *all = mem_printf(" = %d", AUDIENCE_ALL);
    int rc = fill_rows(g, g->f->fresh, "", all);
    free(all);
    return rc;
}

/* Whether a node wrote anything in the range. 1, 0, -1. */
static int written_elsewhere(struct fanout *f)
{
    int64_t n;
    if (f->origins == ORIGINS_UNKNOWN) {
        if (db_get_int(
                f->sender->db, &n,
                "SELECT EXISTS (SELECT 1 FROM main.dx_journal WHERE seq > %lld AND seq <= %lld AND origin "
                "IS NOT NULL)",
                (long long)f->after, (long long)f->upto))
            return -1;
        f->origins = n ? ORIGINS_ELSEWHERE : ORIGINS_HERE;
    }
    return f->origins == ORIGINS_ELSEWHERE;
}

/* Whether any row of the object is held, or moved, or was written by a node: else nobody hears of what changed. 1, 0,
 * -1. */
static int concerns(struct fanout *f, const struct object_delta *w)
{
    struct buf moved = {0};
    int64_t n;
    if (membership_whole(w->object) || w->retry)
        return 1;
    add_moved(&moved, f, w);
    int rc = db_get_int(f->sender->db, &n,
                        "SELECT EXISTS (SELECT 1 FROM %s) OR EXISTS (SELECT 1 FROM main.dx_member_%lld)",
                        buf_text(&moved), (long long)w->object->id);
    buf_free(&moved);
    return rc ? -1 : n ? 1 : written_elsewhere(f);
}

/* The rows of an object to nodes that have none of them, because they came while it was set aside: node by node. */
static int fill_bare(struct fanning *g)
{
    struct stmt *nodes =
        db_preparef(g->f->sender->db,
                    "SELECT n.dx_id FROM main.dx_set_aside_node AS b JOIN " PACKAGE_NODES " AS n ON n.dx_id "
                    "= b.node WHERE b.bare AND b.obj = %lld",
                    (long long)g->w->object->id);
    enum step step = STEP_ERROR;
    int rc = nodes ? 0 : -1;
    while (rc == 0 && (step = stmt_step(nodes)) == STEP_ROW) {
        int64_t node = stmt_int(nodes, 0), audience = audience_intern(g->f->sender->audiences, &node, 1);
        char *holds = mem_printf(", %lld)", (long long)node);
        rc = audience == AUDIENCE_ERROR ? -1 : fill_rows(g, audience, "dx_holds(", holds);
        free(holds);
    }
    stmt_free(nodes);
    return rc || step == STEP_ERROR ? -1 : 0;
}

int fanout_bare(struct fanout *f, const struct object_delta *w)
{
    struct fanning g = {.f = f, .w = w, .sent = w->object->sent};
    block_pool_begin(&f->sender->pieces, g.sent, (int64_t)w->place);
    int rc = row_emit_object_open(&g.to, f->sender, w) || fill_bare(&g) || block_pool_end(&f->sender->pieces)
                 ? -1
                 : 0;
    row_emit_object_close(&g.to);
    return rc;
}

int fanout_object(struct fanout *f, const struct object_delta *w)
{
    struct fanning g = {.f = f, .w = w, .sent = w->object->sent};
    if (!object_delta_travels(w))
        return 0;
    int concerned = concerns(f, w);
    if (concerned <= 0)
        return concerned;
    block_pool_begin(&f->sender->pieces, g.sent, (int64_t)w->place);
    int rc = open_streams(&g) || merge_streams(&g) || fill_fresh(&g) || block_pool_end(&f->sender->pieces)
                 ? -1
                 : 0;
    close_streams(&g);
    return rc;
}
