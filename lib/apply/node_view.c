/* node_view: see apply/node_view.h. */
#include "apply/node_view.h"

#include "apply/pending.h"
#include "apply/value_check.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "nodes/membership_log.h"
#include "sql/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one row ---- */

/* Whether the node has inserted the row in an upload that the router has not looked at yet, this one among them. */
static int inserted_since(struct apply_context *w, const struct target *t, const struct change *c)
{
    struct merge *m = w->merge;
    int64_t end, from = m->inserted_upto ? m->inserted_upto : m->node.position;
    if (rowset_find(&m->inserted, t, c))
        return 1;
    if (journal_end(w->db, &end))
        return -1;
    if (end > from && pending_inserts(w->db, &w->targets, m->node.name, from, &m->inserted))
        return -1;
    m->inserted_upto = end;
    return rowset_find(&m->inserted, t, c) != NULL;
}

/* Whether the node has inserted the row, and that waits. */
static int inserts_yet(struct apply_context *w, struct target *t, const struct change *c)
{
    struct arena arena = {0};
    struct change first;
    int waits = deferred_find(w, t, c, w->merge->node.name, &arena, &first);
    bool insert = waits > 0 && first.op == CHANGE_INSERT;
    arena_free(&arena);
    return waits < 0 ? -1 : insert;
}

static int is_member(struct apply_context *w, struct merge_table *m, const struct change *c)
{
    struct buf room = {0};
    if (m->asker == NULL && (m->asker = membership_asker_open(w->db, &w->merge->node, m->object)) == NULL)
        return -1;
    struct val packed = change_packed_key(c, &room);
    int held = membership_ask(m->asker, &packed);
    buf_free(&room);
    return held;
}

int node_view_holds(struct apply_context *w, struct merge_table *m, struct target *t, const struct change *c)
{
    if (membership_whole(m->object))
        return 1;
    int held = is_member(w, m, c);
    if (held == 0)
        held = inserted_since(w, t, c);
    return held ? held : inserts_yet(w, t, c);
}

/* Which rows of a table the node gained and lost after an archive. */
struct gathering {
    struct target *target;
    struct rowset *lost, gained;
    struct val *key;
};

static int gather_move(void *ctx, const struct val *packed, bool gained)
{
    struct gathering *g = ctx;
    const struct table *t = g->target->table;
    struct val *part = mem_zero(t->nkey, sizeof *part);
    struct change row = {.table = t, .op = CHANGE_DELETE, .origin = "", .old = g->key, .new = g->key};
    bool whole = key_unpack(packed, t->nkey, part);
    for (size_t i = 0; whole && i < t->nkey; i++)
        g->key[t->key[i]] = part[i];
    free(part);
    if (whole && gained)
        rowset_add(&g->gained, g->target, &row);
    else if (whole && !rowset_find(&g->gained, g->target, &row))
        rowset_add(g->lost, g->target, &row);
    return 0;
}

/* The rows of the table that the node lost after that run of the router. */
static int gather_lost(struct apply_context *w, struct merge_table *m, struct target *t, int64_t run,
                       struct rowset *lost)
{
    struct gathering g = {.target = t, .lost = lost, .key = mem_zero(t->table->ncol, sizeof *g.key)};
    int rc = membership_log_since(w->db, w->merge->node.id, m->object->id, run, gather_move, &g);
    rowset_free(&g.gained);
    free(g.key);
    return rc;
}

/* Fills what the table knows of rows that its node lost, once. */
static int know_lost(struct apply_context *w, struct merge_table *m, struct target *t)
{
    const struct node *n = &w->merge->node;
    /* An archive that it once had applied it has applied, whatever it says now. */
    int64_t applied = w->merge->rekeys.applied > n->applied ? w->merge->rekeys.applied : n->applied, run, old;
    if (m->lost_known)
        return 0;
    m->lost_known = true;
    object_late(m->object->late, &m->late);
    int known = membership_log_run(w->db, n->id, applied, &run);
    if (known <= 0)
        return known;
    if (gather_lost(w, m, t, run, &m->lost))
        return -1;
    if (m->late <= 0)
        return 0;
    if (membership_log_run_before(w->db, m->late, &old))
        return -1;
    return gather_lost(w, m, t, old > run ? old : run, &m->lost_lately);
}

int node_view_held(struct apply_context *w, struct merge_table *m, struct target *t, const struct change *c)
{
    if (know_lost(w, m, t))
        return -1;
    if (m->late == 0 || rowset_find(&m->lost, t, c) == NULL)
        return 0;
    return m->late < 0 || rowset_find(&m->lost_lately, t, c) != NULL;
}

int node_view_too_late(struct apply_context *w, struct merge_table *m, struct target *t,
                       const struct change *c)
{
    return know_lost(w, m, t) ? -1 : m->late >= 0 && rowset_find(&m->lost, t, c) != NULL;
}

/* ---- the rows that a row refers to ---- */

/* Columns that refer to the key of an object. */
struct parent_reference {
    struct target *parent;
    size_t *from;     /* columns of the child, in the order of the parent's key */
    struct val *last; /* the key found last: rows that come together often have the same one */
};

struct parent_view {
    size_t n;
    struct parent_reference *reference;
    char why[256];
};

static const char sql_keys[] = "SELECT k.id, k.\"table\", k.\"from\", coalesce(k.\"to\", (SELECT i.name FROM "
                               "pragma_table_info(k.\"table\") AS i WHERE i.pk = k.seq + 1)) "
                               "FROM pragma_foreign_key_list(?1) AS k ORDER BY k.id, k.seq";

void node_view_parents_free(struct parent_view *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->n; i++) {
        free(p->reference[i].from);
        free(p->reference[i].last);
    }
    free(p->reference);
    free(p);
}

static struct parent_reference *add_reference(struct parent_view *p, struct target *parent)
{
    p->reference = mem_grow(p->reference, p->n + 1, sizeof *p->reference);
    struct parent_reference *r = &p->reference[p->n++];
    *r = (struct parent_reference){.parent = parent};
    r->from = mem_zero(parent->table->nkey, sizeof *r->from);
    return r;
}

/* Whether some nodes see rows of the object that others do not. */
static bool is_partial(const struct object *o)
{
    return o && o->visible != VISIBLE_NONE && !membership_whole(o);
}

static int add_via(struct parent_view *p, struct apply_context *w, const struct target *t,
                   const struct object *o)
{
    const struct object *parent = o->via_object ? package_named(w->merge->package, o->via_object) : NULL;
    struct target *pt = is_partial(parent) ? targets_named(&w->targets, parent->table) : NULL;
    if (pt == NULL)
        return is_partial(parent) ? -1 : 0;
    struct parent_reference *r = add_reference(p, pt);
    char *names = mem_text(o->via_column), *at = NULL;
    size_t n = 0;
    for (char *name = strtok_r(names, ", ", &at); name; name = strtok_r(NULL, ", ", &at)) {
        int column = table_column(t->table, name);
        if (column >= 0 && n < pt->table->nkey)
            r->from[n++] = (size_t)column;
    }
    bool whole = n == pt->table->nkey;
    free(names);
    return whole ? 0
                 : fail(ERR_REFUSED, "%s: via %s does not fit the key of %s", w->name, o->via_column,
                        pt->table->name);
}

/* One declared foreign key being gathered. */
struct declared {
    int64_t id;
    size_t n;
    struct parent_reference *r;
};

/* A foreign key counts when it names the whole key of an object that some do not see. */
static void end_declared(struct parent_view *p, struct declared *d)
{
    if (d->r && d->n != d->r->parent->table->nkey) {
        free(d->r->from);
        p->n--;
    }
    *d = (struct declared){.id = -1};
}

static int add_declared(struct parent_view *p, struct apply_context *w, const struct target *t,
                        struct stmt *s, struct declared *d)
{
    if (stmt_int(s, 0) != d->id) {
        end_declared(p, d);
        d->id = stmt_int(s, 0);
        const struct object *o = package_object(w->merge->package, stmt_text(s, 1));
        struct target *pt = is_partial(o) ? targets_named(&w->targets, o->table) : NULL;
        if (is_partial(o) && pt == NULL)
            return -1;
        d->r = pt ? add_reference(p, pt) : NULL;
    }
    if (d->r == NULL)
        return 0;
    const struct table *parent = d->r->parent->table;
    int from = table_column(t->table, stmt_text(s, 2));
    int to = stmt_text(s, 3) ? table_column(parent, stmt_text(s, 3)) : -1;
    if (from >= 0 && to >= 0 && parent->pk[to]) {
        d->r->from[parent->pk[to] - 1] = (size_t)from;
        d->n++;
    }
    return 0;
}

static struct parent_view *open_parents(struct apply_context *w, const struct target *t,
                                        const struct object *o)
{
    struct parent_view *p = mem_zero(1, sizeof *p);
    struct declared d = {.id = -1};
    struct stmt *s = db_prepare(w->db, sql_keys);
    enum step step = STEP_ERROR;
    int rc = add_via(p, w, t, o);
    if (s)
        stmt_bind_text(s, 1, t->table->name);
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = add_declared(p, w, t, s, &d);
    stmt_free(s);
    end_declared(p, &d);
    if (rc == 0 && step == STEP_DONE)
        return p;
    node_view_parents_free(p);
    return NULL;
}

/* The parent's key in `key`, a row of the parent's columns; whether it must be asked about: 1, 0 (NULL in it, or the
 * change does not touch it), -1. */
static int gather(const struct parent_reference *r, struct target *t, const struct change *c, struct val *key)
{
    const struct table *parent = r->parent->table;
    bool assigned = false, whole = true;
    for (size_t i = 0; i < parent->nkey; i++) {
        struct val *v = &key[parent->key[i]];
        size_t at = r->from[i];
        assigned |= c->new[at].type != VAL_NONE;
        *v = c->new[at].type != VAL_NONE ? c->new[at] : c->old[at];
        whole &= v->type != VAL_NONE;
    }
    if (!assigned)
        return 0;
    if (!whole) {
        int here = target_row(t, c, NULL);
        if (here <= 0)
            return here;
        for (size_t i = 0; i < parent->nkey; i++)
            if (key[parent->key[i]].type == VAL_NONE)
                key[parent->key[i]] = t->now[r->from[i]];
    }
    for (size_t i = 0; i < parent->nkey; i++)
        if (key[parent->key[i]].type == VAL_NULL)
            return 0;
    return 1;
}

static bool same_key(const struct table *t, const struct val *a, const struct val *b)
{
    for (size_t i = 0; a && i < t->nkey; i++)
        if (!val_same(&a[t->key[i]], &b[t->key[i]]))
            return false;
    return a != NULL;
}

static bool is_itself(const struct parent_reference *r, const struct target *t, const struct change *c,
                      const struct val *key)
{
    return r->parent == t && same_key(t->table, c->op == CHANGE_INSERT ? c->new : c->old, key);
}

static int sees(struct apply_context *w, const struct parent_reference *r, struct val *key, struct val *none)
{
    struct target *t = r->parent;
    struct merge_table *m = merge_table(w, t);
    struct change row = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = key, .new = none};
    if (m == NULL)
        return -1;
    for (size_t i = 0; i < t->table->nkey; i++)
        if (value_converted(t, t->table->key[i], &key[t->table->key[i]]))
            return 0;
    int seen = node_view_holds(w, m, t, &row);
    return seen ? seen : node_view_held(w, m, t, &row);
}

static int check_one(struct apply_context *w, struct parent_view *p, struct parent_reference *r,
                     struct target *t, const struct change *c)
{
    size_t n = r->parent->table->ncol;
    struct val *key = mem_zero(n, sizeof *key), *none = mem_zero(n, sizeof *none);
    int ok = gather(r, t, c, key);
    if (ok <= 0 || same_key(r->parent->table, r->last, key) || is_itself(r, t, c, key))
        ok = ok < 0 ? -1 : 1;
    else {
        ok = sees(w, r, key, none);
        if (ok > 0) {
            free(r->last);
            r->last = vals_copy(key, n);
        } else if (ok == 0)
            snprintf(p->why, sizeof p->why, "it refers to a row of %.120s that its node does not see",
                     r->parent->table->name);
    }
    free(key);
    free(none);
    return ok;
}

int node_view_parents(struct apply_context *w, struct merge_table *m, struct target *t,
                      const struct change *c, const char **why)
{
    int ok = 1;
    if (m->object == NULL || c->op == CHANGE_DELETE)
        return 1;
    if (m->seen == NULL && (m->seen = open_parents(w, t, m->object)) == NULL)
        return -1;
    struct parent_view *p = m->seen; /* m itself moves when a table is met for the first time */
    for (size_t i = 0; i < p->n && ok > 0; i++)
        ok = check_one(w, p, &p->reference[i], t, c);
    *why = p->why;
    return ok;
}
