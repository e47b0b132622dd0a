/* rekey_server: see apply/rekey_server.h. */
#include "apply/rekey_server.h"

#include "apply/deferred.h"
#include "apply/hidden_columns.h"
#include "apply/merge.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "journal/journal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value points into the map then. */
static bool map_value(const struct rekey_map *r, const char *table, struct val *v)
{
    const struct dx_rekey *k =
        v->type == VAL_INT || v->type == VAL_TEXT ? rekey_map_lookup(r, table, v) : NULL;
    if (k)
        *v = k->new;
    return k != NULL;
}

bool rekey_server_map(struct apply_context *w, struct target *t, struct change *c)
{
    const struct rekey_map *r = &w->merge->rekeys;
    bool any = false;
    if (r->n == 0)
        return false;
    if (t->table->nkey == 1) {
        size_t key = t->table->key[0];
        any |= map_value(r, t->table->name, c->op == CHANGE_INSERT ? &c->new[key] : &c->old[key]);
    }
    for (size_t i = 0; i < r->nref; i++) {
        int column =
            strcasecmp(r->ref[i].table, t->table->name) == 0 ? table_column(t->table, r->ref[i].column) : -1;
        if (column < 0 || (t->layout->rowid_key && t->table->pk[column])) /* it has followed its parent */
            continue;
        any |= map_value(r, r->ref[i].parent, &c->old[column]);
        any |= map_value(r, r->ref[i].parent, &c->new[column]);
    }
    return any;
}

bool rekey_server_of_adopted(struct apply_context *w, const struct target *t, const struct change *c)
{
    if (t->table->nkey != 1 || c->op == CHANGE_UPDATE)
        return false;
    const struct val *key = c->op == CHANGE_INSERT ? &c->new[t->table->key[0]] : &c->old[t->table->key[0]];
    const struct dx_rekey *k = rekey_map_lookup(&w->merge->rekeys, t->table->name, key);
    return k && k->adopt;
}

/* ---- giving ---- */

/* Whether the entry, of this upload, says that its row refers to the old key in that column. */
static bool refers(const struct change *c, int column, const struct val *old)
{
    return c->op != CHANGE_DELETE && val_same(&c->new[column], old);
}

static int force(struct apply_context *w, struct target *t, const struct change *c)
{
    return merge_force(w, t, c, w->merge->node.name);
}

/* There may be a row like that already, where rows that were two mean the same now. */
static int put_mended(struct apply_context *w, struct target *t, struct change *c)
{
    int here = target_row(t, c, NULL);
    return here < 0 ? -1 : here ? merge_one(w, t, c) : apply_change(w, t, c);
}

/* The row of the entry, if it still refers to the old key, refers to the new one. Where the reference is part of its
 * key, the row is another one then. */
static int mend_row(struct apply_context *w, struct target *t, struct change *c, int column,
                    const struct val *old, const struct val *new)
{
    size_t n = t->table->ncol;
    int here = target_row(t, c, NULL);
    if (here <= 0 || !val_same(&t->now[column], old))
        return here < 0 ? -1 : 0;
    struct val *row = vals_copy(t->now, n), *other = vals_copy(t->now, n), *none = mem_zero(n, sizeof *none);
    other[column] = *new;
    int rc = 0;
    if (t->table->pk[column]) {
        struct change gone = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row, .new = none};
        struct change come = {
            .table = t->table, .op = CHANGE_INSERT, .origin = "", .old = none, .new = other};
        rc = apply_change(w, t, &gone) || put_mended(w, t, &come) || force(w, t, &gone) || force(w, t, &come);
    } else {
        for (size_t i = 0; i < n; i++) {
            if (!t->table->pk[i] && i != (size_t)column)
                row[i].type = VAL_NONE;
            if (i != (size_t)column)
                other[i].type = VAL_NONE;
        }
        struct change set = {.table = t->table, .op = CHANGE_UPDATE, .origin = "", .old = row, .new = other};
        rc = apply_change(w, t, &set) || force(w, t, &set);
    }
    free(row);
    free(other);
    free(none);
    return rc ? -1 : 0;
}

/* The key that the value in a column becomes. */
struct renewal {
    int column;
    const struct val *old, *new;
};

/* Calls fn for each of the node's changes of the table that wait, behind the entry `from`. */
static int each_waiting(struct apply_context *w, const struct target *t, int64_t from, deferred_fn *fn,
                        struct renewal *r)
{
    return deferred_each_of(w, t, w->merge->node.name, from, fn, r);
}

/* Where a change that waits says the old key: 1, 0, -1. What an update or a delete calls its own row by is a waiting
 * row's name only where no row here has it. */
static int find_old(struct target *t, struct change *c, int column, const struct val *old, struct val **out)
{
    struct val *v = &c->old[column];
    if (c->op != CHANGE_INSERT && t->table->pk[column] && val_same(v, old)) {
        int here = target_row(t, c, NULL);
        *out = v;
        if (here <= 0)
            return here < 0 ? -1 : 1;
    }
    *out = &c->new[column];
    return refers(c, column, old);
}

static int mend_reference(struct apply_context *w, struct deferred_entry *e, void *ctx)
{
    const struct renewal *r = ctx;
    struct val *v;
    int found = find_old(e->target, &e->change, r->column, r->old, &v);
    if (found <= 0)
        return found;
    if (force(w, e->target, &e->change))
        return -1;
    *v = *r->new;
    return deferred_rewrite(w, e) || force(w, e->target, &e->change) ? -1 : 0;
}

/* What the node has said under the old key's name in changes that wait, be it in quarantine. */
static int mend_waiting(struct apply_context *w, struct target *t, int column, const struct val *old,
                        const struct val *new)
{
    struct renewal r = {column, old, new};
    return w->defer->n ? each_waiting(w, t, INT64_MIN, mend_reference, &r) : 0;
}

static int mend_written(void *ctx, struct apply_context *w, struct target *t, struct change *c)
{
    const struct renewal *r = ctx;
    return refers(c, r->column, r->old) ? mend_row(w, t, c, r->column, r->old, r->new) : 0;
}

/* What the node has said already under the old key's name: what waits, and what this upload has written. */
static int mend(struct apply_context *w, const struct rekey_ref *ref, const struct val *old,
                const struct val *new)
{
    struct target *t = targets_named(&w->targets, ref->table);
    int column = t ? table_column(t->table, ref->column) : -1;
    if (column < 0)
        return t ? 0 : -1;
    if (mend_waiting(w, t, column, old, new))
        return -1;
    return merge_upload_changes(w, ref->table, mend_written, &(struct renewal){column, old, new});
}

static int mend_key(struct apply_context *w, struct deferred_entry *e, void *ctx)
{
    const struct renewal *r = ctx;
    struct change *c = &e->change;
    struct val *v = c->op == CHANGE_INSERT ? &c->new[r->column] : &c->old[r->column];
    if (!val_same(v, r->old))
        return 0;
    *v = *r->new;
    return deferred_rewrite(w, e) || force(w, e->target, c) ? -1 : 0;
}

/* What the node has said of the row itself, behind its insert that waited. */
static int mend_behind(struct apply_context *w, struct target *t, const struct val *old,
                       const struct val *new)
{
    struct renewal r = {(int)t->table->key[0], old, new};
    return deferred_retrying(w) ? each_waiting(w, t, w->defer->retrying, mend_key, &r) : 0;
}

/* The archive that took the row away from the node, if it waited in quarantine so long; else 0. */
static int64_t gone_with(const struct apply_context *w)
{
    return w->defer->sent_back <= w->merge->node.archive ? w->defer->sent_back : 0;
}

/* ---- rows whose key is a reference ---- */

/* A row whose integer key refers to its parent's (1:1, the tables of a subtype) has its parent's key, whatever that is.
 * The target of such a table, NULL when the reference is another column or the table is not here; *failed is set. */
static struct target *follower(struct apply_context *w, const struct rekey_ref *ref, bool *failed)
{
    int64_t there;
    if (db_get_int(w->db, &there,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                   ref->table)) {
        *failed = true;
        return NULL;
    }
    struct target *t = there ? targets_named(&w->targets, ref->table) : NULL;
    int column = t ? table_column(t->table, ref->column) : -1;
    *failed |= there && t == NULL;
    return column >= 0 && t->layout->rowid_key && t->table->pk[column] && strcasecmp(ref->parent, ref->table)
               ? t
               : NULL;
}

enum { FOLLOW_MAX = 16 }; /* tables of a subtype's subtypes */

/* Whether a row of a table whose rows follow this one's has the key: 1, 0, -1. */
static int taken_below(struct apply_context *w, const struct target *t, int64_t key, int depth)
{
    const struct rekey_map *r = &w->merge->rekeys;
    bool failed = false;
    int taken = 0;
    for (size_t i = 0; i < r->nref && taken == 0 && depth < FOLLOW_MAX; i++) {
        if (strcasecmp(r->ref[i].parent, t->table->name) != 0)
            continue;
        const struct target *below = follower(w, &r->ref[i], &failed);
        if (below)
            taken = rekey_taken(w->db, below->table->name, r->ref[i].column, key);
        if (below && taken == 0)
            taken = taken_below(w, below, key, depth + 1);
    }
    return failed ? -1 : taken;
}

static int fresh_key(struct apply_context *w, const struct target *t, int64_t old, int64_t *new)
{
    int attempt = 0, taken;
    do {
        if (rekey_fresh(w->db, w->merge->node.epoch, t->table->name, t->table->col[t->table->key[0]], old,
                        &attempt, new))
            return -1;
        taken = taken_below(w, t, *new, 0);
    } while (taken > 0);
    return taken;
}

/* What refers to the row follows it to its new key, and what refers to rows that have its key for their own. */
static int follow(struct apply_context *w, const struct target *t, const struct val *old,
                  const struct val *new, int depth)
{
    struct merge *m = w->merge;
    bool failed = false;
    for (size_t i = 0; i < m->rekeys.nref; i++) {
        const struct rekey_ref *ref = &m->rekeys.ref[i];
        if (strcasecmp(ref->parent, t->table->name) != 0)
            continue;
        if (mend(w, ref, old, new))
            return -1;
        const struct target *below = depth < FOLLOW_MAX ? follower(w, ref, &failed) : NULL;
        if (below &&
            (follow(w, below, old, new, depth + 1) ||
             rekey_add(&m->rekeys, w->db, m->node.id, below->table->name, old, new, false, gone_with(w))))
            return -1;
    }
    return failed ? -1 : 0;
}

int rekey_server_give(struct apply_context *w, struct target *t, struct change *c)
{
    struct merge *m = w->merge;
    size_t key = t->table->key[0];
    struct val old = c->new[key], new = val_int(0);
    int here = target_row(t, c, NULL);
    if (here < 0 || fresh_key(w, t, old.i, &new.i) || (here && conflict_rekeyed(w, t, c)) || force(w, t, c) ||
        follow(w, t, &old, &new, 0) || mend_behind(w, t, &old, &new) ||
        rekey_add(&m->rekeys, w->db, m->node.id, t->table->name, &old, &new, false, gone_with(w)))
        return -1;
    c->new[key] = new;
    rekey_server_map(w, t, c); /* a row may refer to itself */
    if (hidden_columns_forget(w, t, c))
        return -1;
    return merge_one(w, t, c) || force(w, t, c) ? -1 : 0;
}

/* ---- rows that mean the same ---- */

/* Whether the head of an archive can carry the key to the node. */
static bool can_tell(const struct val *key)
{
    enum { KEY_MOST = 1024 };
    return key->type == VAL_INT ||
           (key->type == VAL_TEXT && key->n <= KEY_MOST &&
            (key->n == 0 || (memchr(key->p, 0, key->n) == NULL && utf8_sound(key->p, key->n))));
}

/* What waits behind the newcomer's insert speaks of the row that is here, but its delete: that was of the newcomer. */
static int mend_adopted(struct apply_context *w, struct deferred_entry *e, void *ctx)
{
    const struct renewal *r = ctx;
    struct change *c = &e->change;
    if (c->op == CHANGE_INSERT || !val_same(&c->old[r->column], r->old))
        return 0;
    if (c->op == CHANGE_DELETE)
        return force(w, e->target, c) || deferred_done(w, e) ? -1 : 0;
    c->old[r->column] = *r->new;
    return deferred_rewrite(w, e) || force(w, e->target, c) ? -1 : 0;
}

int rekey_server_adopt(struct apply_context *w, struct target *t, struct change *c, const struct val *other)
{
    struct merge *m = w->merge;
    size_t key = t->table->key[0];
    if (!can_tell(&c->new[key]) || !can_tell(other))
        return 0;
    struct val *row = vals_copy(c->new, t->table->ncol), *to = vals_copy(other, 1);
    struct val *none = mem_zero(t->table->ncol, sizeof *none),
               *there = mem_zero(t->table->ncol, sizeof *there);
    struct change come = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = none, .new = row};
    struct change stay = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = none, .new = there};
    struct renewal r = {(int)key, &row[key], to};
    there[key] = *to;
    int here = target_row(t, &stay, NULL);
    int rc = here <= 0 || conflict_adopted(w, t, &come) || force(w, t, &come) || force(w, t, &stay) ? -1 : 0;
    if (rc == 0 && !val_same(&row[key], to))
        rc = follow(w, t, &row[key], to, 0) ||
                     (w->defer->n && each_waiting(w, t, w->defer->retrying, mend_adopted, &r)) ||
                     rekey_add(&m->rekeys, w->db, m->node.id, t->table->name, &row[key], to, true,
                               gone_with(w))
                 ? -1
                 : 0;
    free(row);
    free(to);
    free(none);
    free(there);
    return here == 0 ? fail(ERR_SYSTEM, "table %s: the row that has the user key is gone", t->table->name)
           : rc      ? -1
                     : 1;
}
