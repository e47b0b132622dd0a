/* fk_delete: see apply/fk_delete.h. */
#include "apply/fk_delete.h"

#include "apply/fk_optimistic.h"
#include "apply/node_view.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* One question about a row and all that hang on it. */
struct family {
    struct apply_context *w;
    struct arena arena;
    struct rowset met;
    bool cascades; /* the package lets the delete take rows with it that its node does not see */
    bool waits;    /* one of them waits for something else */
    char referrer[256];
};

enum verdict { FREE, HELD, FAILED = -1 };

static struct change delete_of(struct family *f, const struct target *t, struct val *row)
{
    struct change c = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
    c.new = arena_alloc(&f->arena, t->table->ncol * sizeof *c.new);
    memset(c.new, 0, t->table->ncol * sizeof *c.new);
    return c;
}

static int load(struct family *f, struct target *t, const struct val *row, struct child **child, size_t *n)
{
    struct merge_table *m = merge_table(f->w, t);
    return m ? fk_children_load(m->children, row, &f->arena, child, n) : -1;
}

/* ---- whether it may go ---- */

static enum verdict ask(struct family *f, struct target *t, struct val *row);

/* What a child that waits is about to do: nothing with its reference; to be deleted; to refer to nothing, or to another
 * row that is here or waits to come in; to refer to one that is neither. */
enum intent { STAYS, WAITS, GOES, MOVES, LEAVES };

/* Whether the parent to which the child would refer (the columns in `to`) is here or waits to come in; t is the
 * parent's target. */
static int is_coming(struct family *f, struct target *t, const struct child *k, const struct val *to)
{
    struct val *key = arena_alloc(&f->arena, t->table->ncol * sizeof *key);
    struct change other = delete_of(f, t, key), comes;
    memset(key, 0, t->table->ncol * sizeof *key);
    for (size_t i = 0; i < k->ncolumn; i++) {
        if (!t->table->pk[k->to[i]])
            return 0;
        key[k->to[i]] = to[i];
    }
    if (k->ncolumn != t->table->nkey)
        return 0;
    int waits = deferred_find(f->w, t, &other, NULL, &f->arena, &comes);
    return waits > 0 ? comes.op == CHANGE_INSERT : waits < 0 ? -1 : target_row(t, &other, NULL);
}

/* What becomes of the child whose reference will be `to`, when all that waits for it is done. */
static int where_to(struct family *f, struct target *t, const struct child *k, const struct val *to,
                    enum intent *out)
{
    bool other = false;
    *out = MOVES;
    for (size_t i = 0; i < k->ncolumn; i++) {
        if (to[i].type == VAL_NULL)
            return 0;
        other |= !val_same(&to[i], &k->row[k->column[i]]);
    }
    int coming = other ? is_coming(f, t, k, to) : 0;
    *out = !other ? WAITS : coming > 0 ? MOVES : LEAVES;
    return coming < 0 ? -1 : 0;
}

static int intent_of(struct family *f, struct target *t, const struct child *k, enum intent *out)
{
    struct change c = delete_of(f, k->target, k->row), waiting;
    struct val *to = arena_alloc(&f->arena, k->ncolumn * sizeof *to);
    int64_t seq = 0;
    int waits;
    *out = STAYS;
    for (size_t i = 0; i < k->ncolumn; i++)
        to[i] = k->row[k->column[i]];
    while ((waits = deferred_find_next(f->w, k->target, &c, &seq, &f->arena, &waiting)) > 0) {
        if (waiting.op == CHANGE_DELETE) { /* behind another change it may not come to that */
            *out = *out == STAYS ? GOES : WAITS;
            return 0;
        }
        *out = WAITS;
        for (size_t i = 0; i < k->ncolumn; i++)
            if (waiting.new[k->column[i]].type != VAL_NONE)
                to[i] = waiting.new[k->column[i]];
    }
    return waits < 0 || *out == STAYS ? waits : where_to(f, t, k, to, out);
}

static enum verdict hold(struct family *f, const struct change *c)
{
    snprintf(f->referrer, sizeof f->referrer, "%.200s refers to it", change_show(c));
    return HELD;
}

/* Whether the table's rows travel to nodes of whatever package. */
static int travels(struct apply_context *w, const struct target *t)
{
    int64_t n;
    return db_get_int(w->db, &n,
                      "SELECT count(*) FROM dx_object WHERE tbl = %Q COLLATE NOCASE AND visible <> 'none'",
                      t->table->name)
               ? -1
               : n > 0;
}

/* Whether rows of the object are seen where their row of the parent's table is: then one that came in the meantime will
 * be, too. */
static bool is_via(const struct apply_context *w, const struct object *o, const struct target *parent)
{
    const struct object *p = o->via_object ? package_named(w->merge->package, o->via_object) : NULL;
    return p && strcasecmp(p->table, parent->table->name) == 0;
}

/* Whether the node that deletes the row may have the child go with it, or be unset: a row that it sees, or one that no
 * node sees, as in a delete made here. 1, 0, -1. */
static int reaches(struct family *f, const struct target *parent, const struct child *k,
                   const struct change *c)
{
    struct apply_context *w = f->w;
    struct merge_table *m = w->merge->noded && !f->cascades ? merge_table(w, k->target) : NULL;
    if (m == NULL)
        return w->merge->noded && !f->cascades ? -1 : 1;
    if (m->object && is_via(w, m->object, parent))
        return 1;
    if (m->object)
        return node_view_holds(w, m, k->target, c);
    int others = travels(w, k->target);
    return others < 0 ? -1 : !others;
}

static enum verdict ask_child(struct family *f, struct target *t, struct val *row, struct child *k)
{
    struct change c = delete_of(f, k->target, k->row);
    enum intent intent;
    if (rowset_find(&f->met, k->target, &c))
        return FREE;
    if (intent_of(f, t, k, &intent))
        return FAILED;
    if (intent == MOVES && fk_optimistic_allows(f->w, t, row))
        return FREE;
    if (intent == MOVES || intent == LEAVES) {
        f->waits = true;
        return hold(f, &c);
    }
    int reached = intent == GOES || k->action == CHILDREN_RESTRICT ? 1 : reaches(f, t, k, &c);
    if (reached < 0)
        return FAILED;
    if (!reached)
        return hold(f, &c);
    if (intent == GOES || k->action == CHILDREN_CASCADE)
        return ask(f, k->target, k->row);
    if (k->action == CHILDREN_SET_NULL)
        return FREE;
    f->waits |= intent == WAITS;
    return hold(f, &c);
}

/* Whether the row and all that would go with it may go. Rows met before count as going: a circle goes together. */
static enum verdict ask(struct family *f, struct target *t, struct val *row)
{
    struct child *child;
    size_t n;
    struct change c = delete_of(f, t, row);
    rowset_add(&f->met, t, &c);
    if (load(f, t, row, &child, &n))
        return FAILED;
    enum verdict verdict = FREE;
    for (size_t i = 0; i < n && verdict == FREE; i++)
        verdict = ask_child(f, t, row, &child[i]);
    return verdict;
}

/* ---- letting go ---- */

static int let_go(struct family *f, struct target *t, struct val *row);

static int delete_child(struct family *f, struct child *k, struct change *c)
{
    struct apply_context *w = f->w;
    if (let_go(f, k->target, k->row) || target_row(k->target, c, NULL) < 0)
        return -1;
    return conflict_row(w, k->target, c, true, CONFLICT_DELETED, CONFLICT_THEIRS,
                        "it went with the row that it referred to") ||
                   apply_change(w, k->target, c) || merge_force(w, k->target, c, w->effect.origin)
               ? -1
               : 0;
}

static int unset_child(struct family *f, struct child *k)
{
    const struct table *t = k->target->table;
    struct apply_context *w = f->w;
    struct change c = delete_of(f, k->target, k->row);
    c.op = CHANGE_UPDATE;
    for (size_t i = 0; i < k->ncolumn; i++)
        c.new[k->column[i]].type = VAL_NULL;
    if (target_row(k->target, &c, NULL) < 0)
        return -1;
    for (size_t i = 0; i < k->ncolumn; i++)
        if (conflict_column(w, k->target, &c, (int)k->column[i], CONFLICT_THEIRS))
            return -1;
    for (size_t i = 0; i < t->ncol; i++)
        if (!t->pk[i] && c.new[i].type == VAL_NONE)
            c.old[i].type = VAL_NONE;
    return apply_change(w, k->target, &c) || merge_force(w, k->target, &c, w->effect.origin) ? -1 : 0;
}

/* Takes away what hangs on the row; rows that wait to be deleted, or to
 * refer to another, are left to that. */
static int let_go(struct family *f, struct target *t, struct val *row)
{
    struct child *child;
    size_t n;
    struct change self = delete_of(f, t, row);
    rowset_add(&f->met, t, &self);
    if (load(f, t, row, &child, &n))
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct change c = delete_of(f, child[i].target, child[i].row);
        if (rowset_find(&f->met, child[i].target, &c))
            continue;
        enum intent intent;
        if (intent_of(f, t, &child[i], &intent))
            return -1;
        if (intent == GOES || intent == MOVES)
            continue;
        if (child[i].action == CHILDREN_CASCADE ? delete_child(f, &child[i], &c) : unset_child(f, &child[i]))
            return -1;
    }
    return 0;
}

/* ---- the whole ---- */

static int keep(struct family *f, struct target *t, struct change *c)
{
    struct apply_context *w = f->w;
    if (f->waits)
        return deferred_add(w, t, c, false, false, f->referrer);
    if (target_row(t, c, NULL) < 0)
        return -1;
    return conflict_row(w, t, c, true, CONFLICT_CHILDREN, CONFLICT_OURS, f->referrer) ||
                   merge_force(w, t, c, w->effect.origin)
               ? -1
               : 0;
}

static int decide(struct family *f, struct target *t, struct change *c, struct val *row)
{
    switch (ask(f, t, row)) {
    case FREE:
        rowset_free(&f->met);
        f->met = (struct rowset){0};
        return let_go(f, t, row) ? -1 : 1;
    case HELD:
        return keep(f, t, c);
    default:
        return -1;
    }
}

int fk_delete_clear(struct apply_context *w, struct target *t, struct change *c)
{
    const struct object *o = w->merge->table[t->index].object;
    struct family f = {.w = w, .cascades = o && (o->write & WRITE_CASCADE)};
    struct child *child;
    size_t n;
    int here = target_row(t, c, NULL), rc;
    if (here <= 0)
        return here < 0 ? -1 : 1;
    struct val *row = arena_alloc(&f.arena, t->table->ncol * sizeof *row);
    for (size_t i = 0; i < t->table->ncol; i++)
        row[i] = arena_val(&f.arena, &t->now[i]);
    if (load(&f, t, row, &child, &n))
        rc = -1;
    else if (n == 0)
        rc = 1;
    else if (!deferred_retrying(w))
        rc = deferred_add(w, t, c, false, false, "rows refer to it");
    else
        rc = decide(&f, t, c, row);
    rowset_free(&f.met);
    arena_free(&f.arena);
    return rc;
}
