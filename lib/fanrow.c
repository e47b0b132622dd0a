/* fanrow: see fanrow.h. */
#include "fanrow.h"

#include "key.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

void fanrow_clear(const struct fanning *g, struct val *row)
{
    memset(row, 0, g->sent->ncol * sizeof *row);
}

/* The key alone. */
static void set_key(const struct fanning *g, struct val *row)
{
    fanrow_clear(g, row);
    for (size_t k = 0; k < g->sent->nkey; k++)
        row[g->sent->key[k]] = g->key[k];
}

static int send_delete(struct fanning *g, int64_t audience)
{
    struct change c = {.table = g->sent, .op = CHANGE_DELETE, .origin = "", .old = g->old, .new = g->new};
    if (audience == AUDIENCE_NOBODY)
        return 0;
    fanrow_clear(g, g->new);
    set_key(g, g->old);
    return pieces_add(&g->f->pieces, audience, &c);
}

/* The row as it is now, whole. A row that is not there goes. */
static int send_whole(struct fanning *g, int64_t audience)
{
    struct change c = {.table = g->sent, .op = CHANGE_INSERT, .origin = "", .old = g->old, .new = g->new};
    if (audience == AUDIENCE_NOBODY)
        return 0;
    enum step step = walk_find(g->row, g->key, g->sent->nkey);
    if (step != STEP_ROW)
        return step == STEP_DONE ? send_delete(g, audience) : -1;
    fanrow_clear(g, g->old);
    for (size_t i = 0; i < g->sent->ncol; i++)
        g->new[i] = stmt_val(walk_row(g->row), (int)i);
    return pieces_add(&g->f->pieces, audience, &c);
}

/* The columns of the net change that travel. */
static int send_update(struct fanning *g, int64_t audience, const struct change *net)
{
    struct change c = {.table = g->sent, .op = CHANGE_UPDATE, .origin = "", .old = g->old, .new = g->new};
    bool any = false;
    if (audience == AUDIENCE_NOBODY)
        return 0;
    if (g->mapped != net->table) {
        free(g->map);
        g->map = table_map(g->sent, net->table);
        g->mapped = net->table;
    }
    fanrow_clear(g, g->new);
    set_key(g, g->old);
    for (size_t i = 0; i < g->sent->ncol; i++)
        if (!g->sent->pk[i] && g->map[i] >= 0) {
            g->new[i] = net->new[g->map[i]];
            any |= g->new[i].type != VAL_NONE;
        }
    return any ? pieces_add(&g->f->pieces, audience, &c) : 0;
}

/* The node of that name, or 0. */
static int64_t node_named(const struct fan *f, const char *name)
{
    size_t low = 0, high = f->nname;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(f->name[middle], name);
        if (order == 0)
            return f->id[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
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
static int specials(struct fanning *g, const struct sending *r, struct special **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < r->touch.norigin; i++) {
        int64_t node = r->touch.origin[i][0] ? node_named(g->f, r->touch.origin[i]) : 0;
        if (node)
            *n = add_special(out, *n, node, false);
    }
    if (!r->forced)
        return 0;
    struct val packed = key_pack(g->key, g->sent->nkey, &g->room);
    stmt_bind_int(g->forcing, 1, g->w->object->id);
    stmt_bind(g->forcing, 2, &packed);
    enum step step;
    while ((step = stmt_step(g->forcing)) == STEP_ROW)
        *n = add_special(out, *n, stmt_int(g->forcing, 0), true);
    return step == STEP_DONE ? 0 : -1;
}

/* A node's own change is not echoed; what others made of the row in the meantime, it gets whole, and so it does when
 * it asked. What it put there and may not see, it is told to remove. */
static int send_special(struct fanning *g, const struct sending *r, const struct special *s)
{
    struct audiences *a = g->f->audiences;
    int before = audience_has(a, r->old, s->node), after = audience_has(a, r->new, s->node);
    int64_t only = audience_intern(a, &s->node, 1);
    if (before < 0 || after < 0 || only == AUDIENCE_ERROR)
        return -1;
    int meant = g->f->only ? audience_has(a, g->f->only, s->node) : 1;
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

static int send_specials(struct fanning *g, const struct sending *r, int64_t *special)
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
    *special = audience_intern(g->f->audiences, node, n);
    free(node);
    free(s);
    return rc || *special == AUDIENCE_ERROR ? -1 : 0;
}

int fanrow_send(struct fanning *g, const struct sending *r)
{
    int64_t special = AUDIENCE_NOBODY;
    bool origins = r->touch.norigin > 1 || (r->touch.norigin == 1 && r->touch.origin[0][0]);
    if ((r->forced || origins) && send_specials(g, r, &special))
        return -1;
    if (r->old == AUDIENCE_NOBODY && r->new == AUDIENCE_NOBODY)
        return 0;
    const struct share *share = shares_of(g->f->shares, r->old, r->new, special, g->f->only);
    if (share == NULL || send_whole(g, share->enter) || send_delete(g, share->leave))
        return -1;
    if (g->w->fresh || (r->net && r->net->op == CHANGE_INSERT))
        return send_whole(g, share->stay);
    return r->net && r->net->op == CHANGE_UPDATE && !r->touch.same ? send_update(g, share->stay, r->net) : 0;
}
