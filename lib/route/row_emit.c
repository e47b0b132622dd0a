/* row_emit: see route/row_emit.h. */
#include "route/row_emit.h"

#include "base/err.h"
#include "base/mem.h"
#include "route/row_requests.h"
#include "route/set_aside.h"
#include "rules/package_nodes.h"
#include "sql/key.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

void row_emit_init(struct row_emitter *s, struct db *db, struct audiences *a, struct spill *spill)
{
    *s = (struct row_emitter){.db = db,
                              .audiences = a,
                              .only = AUDIENCE_ALL,
                              .pieces = {.audiences = a, .level = DX_LEVEL_PIPE, .spill = spill},
                              .shares = audience_diffs_open(a)};
}

static void forget_nodes(struct row_emitter *s)
{
    while (s->nname)
        free(s->name[--s->nname]);
    free(s->name);
    free(s->id);
    s->name = NULL;
    s->id = NULL;
}

void row_emit_free(struct row_emitter *s)
{
    block_pool_free(&s->pieces);
    audience_diffs_close(s->shares);
    forget_nodes(s);
    *s = (struct row_emitter){0};
}

int row_emit_nodes(struct row_emitter *s)
{
    forget_nodes(s);
    audience_diffs_forget(s->shares);
    struct stmt *nodes = db_prepare(s->db, "SELECT name, dx_id FROM " PACKAGE_NODES " ORDER BY name");
    enum step step = STEP_ERROR;
    while (nodes && (step = stmt_step(nodes)) == STEP_ROW) {
        s->name = mem_grow(s->name, s->nname + 1, sizeof *s->name);
        s->id = mem_grow(s->id, s->nname + 1, sizeof *s->id);
        s->name[s->nname] = mem_text(stmt_text(nodes, 0));
        s->id[s->nname++] = stmt_int(nodes, 1);
    }
    stmt_free(nodes);
    return step == STEP_DONE ? 0 : -1;
}

/* The node of that name, or 0. */
static int64_t node_named(const struct row_emitter *s, const char *name)
{
    size_t low = 0, high = s->nname;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->name[middle], name);
        if (order == 0)
            return s->id[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* ---- an object ---- */

/* Whether the table's rows stand in the order of a key of one column. */
static bool in_order(const struct row_emit_object *g)
{
    const struct layout *l = g->w->rule ? g->w->rule->relation->layout : NULL;
    return l && g->table->nkey == 1 && (l->rowid_key || l->without_rowid);
}

static struct key_cursor *open_rows(struct row_emit_object *g)
{
    struct buf sql = {0};
    bool steps = in_order(g);
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, g->table, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, g->table->name);
    buf_puts(&sql, " WHERE ");
    if (steps) {
        layout_keys(&sql, g->table, "");
        buf_puts(&sql, " >= ?1 ORDER BY ");
        layout_keys(&sql, g->table, "");
    } else
        layout_where_key(&sql, g->table, 1);
    struct key_cursor *w = steps ? key_cursor_steps(g->sender->db, buf_text(&sql), (int)g->table->key[0])
                                 : key_cursor_seeks(g->sender->db, buf_text(&sql));
    buf_free(&sql);
    return w;
}

static int any_forced(struct row_emit_object *g)
{
    return row_requests_any(g->sender->db, g->w, &g->forced);
}

static int find_late(struct row_emit_object *g)
{
    struct stmt *s = db_preparef(
        g->sender->db, "SELECT node FROM main.dx_set_aside_node WHERE obj = %lld AND NOT bare ORDER BY node",
        (long long)g->w->object->id);
    int64_t *node = NULL;
    size_t n = 0;
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        node = mem_grow(node, n + 1, sizeof *node);
        node[n++] = stmt_int(s, 0);
    }
    stmt_free(s);
    g->late = audience_intern(g->sender->audiences, node, n);
    free(node);
    return step == STEP_ERROR || g->late == AUDIENCE_ERROR ? -1 : 0;
}

int row_emit_object_open(struct row_emit_object *g, struct row_emitter *s, const struct object_delta *w)
{
    const struct table *t = w->object->sent;
    *g = (struct row_emit_object){.sender = s, .w = w, .table = t};
    g->key = mem_zero(t->nkey, sizeof *g->key);
    g->old = mem_zero(t->ncol, sizeof *g->old);
    g->new = mem_zero(t->ncol, sizeof *g->new);
    g->row = w->gone ? NULL : open_rows(g);
    g->forcing = row_requests_nodes(s->db);
    if (w->owed)
        g->owed = row_requests_owed(s->db);
    if ((g->row == NULL && !w->gone) || g->forcing == NULL || (w->owed && g->owed == NULL))
        return -1;
    return any_forced(g) || (w->retry && find_late(g)) ? -1 : 0;
}

void row_emit_object_close(struct row_emit_object *g)
{
    key_cursor_close(g->row);
    stmt_free(g->forcing);
    stmt_free(g->owed);
    free(g->map);
    free(g->key);
    free(g->old);
    free(g->new);
    buf_free(&g->room);
}

/* ---- what a row comes to ---- */

static void clear_row(const struct row_emit_object *g, struct val *row)
{
    memset(row, 0, g->table->ncol * sizeof *row);
}

/* The key alone. */
static void set_key(const struct row_emit_object *g, struct val *row)
{
    clear_row(g, row);
    for (size_t k = 0; k < g->table->nkey; k++)
        row[g->table->key[k]] = g->key[k];
}

/* Notes that the row at hand cannot travel. */
static void set_row_aside(struct row_emit_object *g)
{
    struct set_aside *s = g->sender->aside;
    struct val packed = key_pack(g->key, g->table->nkey, &g->room);
    const struct set_aside_entry *last = s->n ? &s->entry[s->n - 1] : NULL;
    if (last && last->kind == SET_ASIDE_ROW && last->object == g->w->object->id &&
        val_same(last->packed, &packed))
        return;
    struct set_aside_entry *e = set_aside_note(s, SET_ASIDE_ROW, SET_ASIDE_SMALLER);
    e->object = g->w->object->id;
    e->key = mem_text(vals_show(g->key, g->table->nkey));
    e->packed = vals_copy(&packed, 1);
}

static int send(struct row_emit_object *g, int64_t audience, const struct change *c)
{
    int rc = block_pool_add(&g->sender->pieces, audience, c);
    if (rc > 0)
        set_row_aside(g);
    return rc < 0 ? -1 : 0;
}

static int send_delete(struct row_emit_object *g, int64_t audience)
{
    struct change c = {.table = g->table, .op = CHANGE_DELETE, .origin = "", .old = g->old, .new = g->new};
    if (audience == AUDIENCE_NOBODY)
        return 0;
    clear_row(g, g->new);
    set_key(g, g->old);
    return send(g, audience, &c);
}

int row_emit_object_whole(struct row_emit_object *g, int64_t audience, struct stmt *row)
{
    struct change c = {.table = g->table, .op = CHANGE_INSERT, .origin = "", .old = g->old, .new = g->new};
    clear_row(g, g->old);
    for (size_t i = 0; i < g->table->ncol; i++)
        g->new[i] = stmt_val(row, (int)i);
    return send(g, audience, &c);
}

/* The row as it is now, whole. A row that is not there goes, and so do all of an object that is none any more: its table
 * may not be there either. */
static int send_whole(struct row_emit_object *g, int64_t audience)
{
    if (audience == AUDIENCE_NOBODY)
        return 0;
    enum step step = g->row ? key_cursor_find(g->row, g->key, g->table->nkey) : STEP_DONE;
    if (step == STEP_ROW)
        return row_emit_object_whole(g, audience, key_cursor_row(g->row));
    return step == STEP_DONE ? send_delete(g, audience) : -1;
}

/* The columns of the net change that travel. */
static int send_update(struct row_emit_object *g, int64_t audience, const struct change *net)
{
    struct change c = {.table = g->table, .op = CHANGE_UPDATE, .origin = "", .old = g->old, .new = g->new};
    bool any = false;
    if (audience == AUDIENCE_NOBODY)
        return 0;
    if (g->mapped != net->table) {
        free(g->map);
        g->map = table_map(g->table, net->table);
        g->mapped = net->table;
    }
    clear_row(g, g->new);
    set_key(g, g->old);
    for (size_t i = 0; i < g->table->ncol; i++)
        if (!g->table->pk[i] && g->map[i] >= 0) {
            g->new[i] = net->new[g->map[i]];
            any |= g->new[i].type != VAL_NONE;
        }
    return any ? send(g, audience, &c) : 0;
}

/* A node to which the row is sent by a rule of its own. */
struct special {
    int64_t node;
    bool forced;
};

static size_t add_special(struct special **s, size_t n, int64_t node, bool forced)
{
    for (size_t i = 0; i < n; i++)
        if ((*s)[i].node == node) {
            (*s)[i].forced |= forced;
            return n;
        }
    *s = mem_grow(*s, n + 1, sizeof **s);
    (*s)[n] = (struct special){node, forced};
    return n + 1;
}

/* The nodes that touched the row, and those that asked for it. -1 on failure. */
static int specials(struct row_emit_object *g, const struct known_row *r, struct special **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < r->touch.norigin; i++) {
        int64_t node = r->touch.origin[i][0] ? node_named(g->sender, r->touch.origin[i]) : 0;
        int late = node && g->late ? audience_has(g->sender->audiences, g->late, node) : 0;
        if (late < 0)
            return -1;
        if (node)
            *n = add_special(out, *n, node, late > 0);
    }
    if (!r->forced || !g->forced)
        return 0;
    struct val packed = key_pack(g->key, g->table->nkey, &g->room);
    stmt_bind_int(g->forcing, 1, g->w->object->id);
    stmt_bind(g->forcing, 2, &packed);
    enum step step;
    while ((step = stmt_step(g->forcing)) == STEP_ROW)
        *n = add_special(out, *n, stmt_int(g->forcing, 0), true);
    return step == STEP_DONE ? 0 : -1;
}

/* A node's own change is not echoed; what others made of the row in the meantime, it gets whole, and so it does when
 * it asked. What it put there and may not see, it is told to remove. */
static int send_special(struct row_emit_object *g, const struct known_row *r, const struct special *s)
{
    struct audiences *a = g->sender->audiences;
    int before = audience_has(a, r->old, s->node), after = audience_has(a, r->new, s->node);
    int64_t only = audience_intern(a, &s->node, 1);
    if (before < 0 || after < 0 || only == AUDIENCE_ERROR)
        return -1;
    int meant = g->sender->only == AUDIENCE_ALL ? 1 : audience_has(a, g->sender->only, s->node);
    if (meant <= 0)
        return meant;
    bool alone = !s->forced && r->touch.norigin == 1;
    if (!after)
        return send_delete(g, only);
    if (alone && (before || !r->touch.existed))
        return 0;
    return send_whole(g, only);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int send_specials(struct row_emit_object *g, const struct known_row *r, int64_t *special)
{
    struct special *s;
    size_t n;
    int rc = specials(g, r, &s, &n);
    int64_t *node = mem_zero(n, sizeof *node);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        node[i] = s[i].node;
        rc = send_special(g, r, &s[i]);
    }
    if (n)
        qsort(node, n, sizeof *node, by_id);
    *special = audience_intern(g->sender->audiences, node, n);
    free(node);
    free(s);
    return rc || *special == AUDIENCE_ERROR ? -1 : 0;
}

/* Whether the row was set aside: 1, 0, -1. */
static int is_owed(struct row_emit_object *g)
{
    struct val packed = key_pack(g->key, g->table->nkey, &g->room);
    stmt_bind_int(g->owed, 1, g->w->object->id);
    stmt_bind(g->owed, 2, &packed);
    enum step step = stmt_step(g->owed);
    stmt_reset(g->owed);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

int row_emit_object_row(struct row_emit_object *g, const struct known_row *r)
{
    int64_t special = AUDIENCE_NOBODY;
    int owed = r->forced && g->owed ? is_owed(g) : 0;
    if (owed < 0)
        return -1;
    bool origins = r->touch.norigin > 1 || (r->touch.norigin == 1 && r->touch.origin[0][0]);
    if ((r->forced || origins) && send_specials(g, r, &special))
        return -1;
    if (r->old == AUDIENCE_NOBODY && r->new == AUDIENCE_NOBODY)
        return 0;
    const struct audience_diff *share =
        audience_diffs_of(g->sender->shares, r->old, r->new, special, g->sender->only);
    if (share == NULL || send_whole(g, share->enter) || send_delete(g, share->leave))
        return -1;
    if (g->w->fresh || owed || (r->net && r->net->op == CHANGE_INSERT))
        return send_whole(g, share->stay);
    return r->net && r->net->op == CHANGE_UPDATE && !r->touch.same ? send_update(g, share->stay, r->net) : 0;
}
