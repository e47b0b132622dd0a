/* merge: see apply/merge.h. */
#include "apply/merge.h"

#include "apply/deleted_row.h"
#include "apply/fk_delete.h"
#include "apply/node_view.h"
#include "apply/rekey_server.h"
#include "apply/timestamp.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int force(struct apply_context *w, struct target *t, const struct change *c)
{
    return merge_force(w, t, c, w->effect.origin);
}

/* ---- judging ---- */

/* Equal as SQL's IS has it: the fast statements compare so. */
static bool equal(const struct val *a, const struct val *b)
{
    bool numbers = (a->type == VAL_INT || a->type == VAL_REAL) && (b->type == VAL_INT || b->type == VAL_REAL);
    return val_same(a, b) || (numbers && val_compare(a, b) == 0);
}

/* Who wins what both changed, the row here being t->now. A time in the future was not written by an honest clock: it
 * wins over nothing, and everything else wins over it. */
static const char *decide(const struct merge_policy *p, const struct target *t, const struct change *c)
{
    const struct val *theirs, *ours;
    bool valid;
    switch (p->prefer) {
    case MERGE_THEIRS:
        return CONFLICT_THEIRS;
    case MERGE_ASK:
        return CONFLICT_ASK;
    case MERGE_NEWEST:
        ours = &t->now[p->newest];
        theirs = c->new[p->newest].type != VAL_NONE ? &c->new[p->newest] : ours;
        valid = timestamp_past(theirs, p->ahead) &&
                (!timestamp_past(ours, p->ahead) || timestamp_later(theirs, ours));
        return valid ? CONFLICT_THEIRS : CONFLICT_OURS;
    default:
        return CONFLICT_OURS;
    }
}

static bool takes(const char *outcome)
{
    return strcmp(outcome, CONFLICT_THEIRS) == 0;
}

/* Judges each column that the change tells against t->now, and leaves in c what is to be written, with the values here
 * as the old ones. A column that came back to what it was (JOURNAL_OWN) is no conflict, but if it is another here the
 * origin must hear of it. owed: whether the row is to be sent back. Whether anything is left: 1, 0, -1. */
static int judge_columns(struct apply_context *w, struct target *t, struct change *c,
                         const struct merge_policy *p, bool *owed)
{
    const char *outcome = decide(p, t, c);
    bool take = takes(outcome);
    int any = 0;
    for (size_t i = 0; i < t->table->ncol; i++) {
        if (t->table->pk[i] || c->new[i].type == VAL_NONE)
            continue;
        bool there = equal(&c->new[i], &t->now[i]);
        bool expected = c->old[i].type == VAL_NONE || equal(&c->old[i], &t->now[i]);
        bool returned = val_same(&c->old[i], &c->new[i]);
        *owed |= !there && !expected;
        bool stamp =
            p->prefer == MERGE_NEWEST && (int)i == p->newest; /* it decides, and is no conflict itself */
        if (!there && !expected && !returned && !stamp && conflict_column(w, t, c, (int)i, outcome))
            return -1;
        if (there || (!expected && (returned || !take)))
            c->new[i].type = c->old[i].type = VAL_NONE;
        else {
            c->old[i] = t->now[i];
            any = 1;
        }
    }
    return any;
}

/* They changed a row that is deleted here: it stays so, or comes back as it was then and with what they changed. */
static int merge_gone(struct apply_context *w, struct target *t, struct change *c,
                      const struct merge_policy *p)
{
    struct arena arena = {0};
    struct change row = {.table = t->table, .op = CHANGE_INSERT, .origin = ""};
    const char *lost = p->lose ? "the journal does not hold the deleted row any more" : NULL;
    int64_t seq;
    row.new = mem_zero(t->table->ncol, sizeof *row.new);
    row.old = mem_zero(t->table->ncol, sizeof *row.old);
    int found = p->lose ? deleted_row(&w->targets, t, c, &arena, row.new, &seq) : 0;
    int rc = found < 0 || force(w, t, c) ||
                     conflict_row(w, t, c, false, CONFLICT_GONE, found ? CONFLICT_THEIRS : CONFLICT_OURS,
                                  found ? NULL : lost)
                 ? -1
                 : 0;
    for (size_t i = 0; rc == 0 && found && i < t->table->ncol; i++)
        if (c->new[i].type != VAL_NONE)
            row.new[i] = c->new[i];
    if (rc == 0 && found)
        rc = apply_change(w, t, &row);
    free(row.new);
    free(row.old);
    arena_free(&arena);
    return rc;
}

/* Most changes meet what they expect, and are done by one statement: 1 it has done so, 0 the row must be looked at, -1. */
static int noted(struct apply_context *w, struct target *t, const struct change *c, enum done done)
{
    if (done == DONE)
        return change_log_note(&w->effect, t, c) ? -1 : 1;
    return done == DONE_ERROR ? -1 : 0;
}

static int merge_update(struct apply_context *w, struct target *t, struct change *c,
                        const struct merge_policy *p)
{
    const char *unused;
    int done = merge_may_write(w, t, c, &unused);
    if (done > 0)
        done = noted(w, t, c, target_update(t, c, true));
    if (done)
        return done < 0 ? -1 : 0;
    int got = target_row(t, c, NULL);
    bool owed = false;
    if (got < 0)
        return -1;
    if (got == 0)
        return merge_gone(w, t, c, p);
    int any = judge_columns(w, t, c, p, &owed);
    if (any < 0 || (owed && force(w, t, c)))
        return -1;
    return any ? apply_change(w, t, c) : 0;
}

/* Whether the row here is the one that came, in all that came tells. */
static bool same_row(const struct target *t, const struct val *row)
{
    for (size_t i = 0; i < t->table->ncol; i++)
        if (row[i].type != VAL_NONE && !equal(&row[i], &t->now[i]))
            return false;
    return true;
}

/* Whether who sent the change is a node, to which the new key of its row can be sent. */
static bool from_node(const struct apply_context *w)
{
    return w->merge->noded && w->effect.origin && strcmp(w->effect.origin, w->merge->node.name) == 0;
}

/* Whether the node may know that this row is here. */
static int sees(struct apply_context *w, struct target *t, const struct change *c)
{
    struct merge_table *m = w->merge->noded ? merge_table(w, t) : NULL;
    if (m == NULL || m->object == NULL)
        return w->merge->noded && m == NULL ? -1 : 1;
    int seen = node_view_holds(w, m, t, c);
    return seen ? seen : node_view_held(w, m, t, c);
}

/* The row with that key takes the place of the insert, unless the node may not know of it: 1, 0 it does not, -1. */
static int adopt(struct apply_context *w, struct target *t, struct change *c, const struct val *other)
{
    struct val *row = mem_zero(t->table->ncol, sizeof *row);
    struct change there = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
    row[t->table->key[0]] = *other;
    int seen = sees(w, t, &there);
    free(row);
    return seen > 0 ? rekey_server_adopt(w, t, c, other) : seen;
}

/* They made a row that people know already, under another key, or under this one (here). */
static int merge_duplicate(struct apply_context *w, struct target *t, struct change *c, bool here,
                           const char *reason)
{
    const struct merge_table *m = &w->merge->table[t->index];
    size_t key = t->table->key[0];
    if (m->policy.adopt && from_node(w)) {
        int adopted = adopt(w, t, c, here ? &c->new[key] : &userkey_row(m->userkey)[key]);
        if (adopted)
            return adopted < 0 ? -1 : 0;
    }
    if (conflict_row(w, t, c, here, CONFLICT_DUPLICATE, CONFLICT_ASK, reason) ||
        (!here && rejected_rows_note(w, t, c)))
        return -1;
    return force(w, t, c);
}

/* Whether the insert's key may be another yet, because the row whose key it has, its parent, is not judged: 1, 0, -1. */
static int may_follow(struct apply_context *w, struct target *t, const struct change *c)
{
    const struct merge *m = w->merge;
    if (!m->table[t->index].follows || !m->noded)
        return 0;
    if (!deferred_retrying(w))
        return 1;
    size_t key = t->table->key[0];
    struct target *parent =
        targets_named(&w->targets, rekey_map_parent(&m->rekeys, t->table->name, t->table->col[key]));
    if (parent == NULL)
        return -1;
    struct val *row = mem_zero(parent->table->ncol, sizeof *row);
    struct arena arena = {0};
    struct change insert = {.table = parent->table,
                            .op = CHANGE_INSERT,
                            .origin = "",
                            .new = row,
                            .old = row},
                  first;
    row[parent->table->key[0]] = c->new[key];
    int waits = deferred_find(w, parent, &insert, m->node.name, &arena, &first);
    arena_free(&arena);
    free(row);
    return waits;
}

/* Whether the insert may take the place of the row of its key, where the policy prefers it: only of a row that its node
 * sees and may update. */
static bool may_overwrite(const struct apply_context *w, const struct target *t, bool seen)
{
    const struct object *o = w->merge->noded ? w->merge->table[t->index].object : NULL;
    return !w->merge->noded || (seen && o && o->write & WRITE_UPDATE);
}

/* Both made a row with this key. The same one is no conflict, but its sender may not see it here. */
static int merge_same_key(struct apply_context *w, struct target *t, struct change *c,
                          const struct merge_policy *p)
{
    const struct userkey *userkey = w->merge->table[t->index].userkey;
    int seen = sees(w, t, c);
    if (seen < 0)
        return -1;
    if (seen && same_row(t, c->new))
        return force(w, t, c);
    int follow = may_follow(w, t, c);
    if (follow)
        return follow < 0
                   ? -1
                   : deferred_add(w, t, c, false, false, "the row that it belongs to may get another key");
    if (!p->rekey && same_row(t, c->new))
        return force(w, t, c);
    if ((p->rekey || p->adopt) && userkey && userkey_same(userkey, t, c))
        return merge_duplicate(w, t, c, true, NULL);
    if (p->rekey && from_node(w))
        return rekey_server_give(w, t, c);
    bool ask = p->prefer == MERGE_OURS || !may_overwrite(w, t, seen);
    const char *outcome = ask ? CONFLICT_ASK : decide(p, t, c);
    if (conflict_row(w, t, c, true, CONFLICT_INSERT, outcome, NULL) ||
        (!takes(outcome) && rejected_rows_note(w, t, c)) || force(w, t, c))
        return -1;
    if (!takes(outcome))
        return 0;
    c->op = CHANGE_UPDATE;
    for (size_t i = 0; i < t->table->ncol; i++) {
        bool key = t->table->pk[i];
        c->old[i] = t->now[i];
        if (key || c->new[i].type == VAL_NONE || equal(&c->new[i], &t->now[i])) {
            c->new[i].type = VAL_NONE;
            if (!key)
                c->old[i].type = VAL_NONE;
        }
    }
    return apply_change(w, t, c);
}

/* Whether another row has the insert's user key, and none its key: 1, 0, -1. */
static int is_duplicate(struct apply_context *w, struct target *t, struct change *c)
{
    struct userkey *userkey = w->merge->table[t->index].userkey;
    int taken = userkey ? userkey_taken(userkey, c) : 0;
    if (taken <= 0)
        return taken;
    int here = target_row(t, c, NULL);
    return here < 0 ? -1 : !here;
}

/* The other row may lose the user key yet; else the insert is not done. */
static int merge_taken(struct apply_context *w, struct target *t, struct change *c)
{
    const struct userkey *userkey = w->merge->table[t->index].userkey;
    struct val *row = mem_copy(userkey_row(userkey), t->table->ncol * sizeof *row);
    const struct change other = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
    struct arena arena = {0};
    struct change change;
    int waits = deferred_retrying(w) ? deferred_find(w, t, &other, NULL, &arena, &change) : 1;
    arena_free(&arena);
    free(row);
    if (waits < 0)
        return -1;
    return waits ? deferred_add(w, t, c, false, false, userkey_other(userkey))
                 : merge_duplicate(w, t, c, false, userkey_other(userkey));
}

static int merge_insert(struct apply_context *w, struct target *t, struct change *c,
                        const struct merge_policy *p)
{
    const char *reason;
    int duplicate = is_duplicate(w, t, c);
    if (duplicate < 0)
        return -1;
    if (duplicate)
        return merge_taken(w, t, c);
    int done = merge_may_write(w, t, c, &reason);
    if (done > 0)
        done = noted(w, t, c, target_insert(t, c, NULL));
    if (done)
        return done < 0 ? -1 : 0;
    int got = target_row(t, c, NULL);
    if (got < 0)
        return -1;
    return got ? merge_same_key(w, t, c, p) : apply_change(w, t, c);
}

/* Whether the delete tells the whole row. */
static bool whole(const struct target *t, const struct val *row)
{
    for (size_t i = 0; i < t->table->ncol; i++)
        if (row[i].type == VAL_NONE)
            return false;
    return true;
}

static int merge_delete(struct apply_context *w, struct target *t, struct change *c,
                        const struct merge_policy *p)
{
    const char *unused;
    bool alone = fk_children_none(w->merge->table[t->index].children);
    int done = merge_may_write(w, t, c, &unused) < 0 ? -1 : 0;
    if (done == 0 && alone && (whole(t, c->old) || !change_log_wants_old(&w->effect)))
        done = noted(w, t, c, target_delete(t, c, true));
    if (done)
        return done < 0 ? -1 : 0;
    int got = target_row(t, c, NULL);
    if (got < 0)
        return -1;
    if (got == 0)
        return force(
            w, t, c); /* deleted by both; but a row of that key may have come again before the router looks */
    bool changed = !same_row(t, c->old);
    if (changed && p->lose)
        return conflict_row(w, t, c, true, CONFLICT_DELETED, CONFLICT_OURS, NULL) || force(w, t, c) ? -1 : 0;
    int clear = alone ? 1 : fk_delete_clear(w, t, c);
    if (clear <= 0)
        return clear;
    if (!alone && target_row(t, c, NULL) < 0)
        return -1;
    if (changed && (conflict_row(w, t, c, true, CONFLICT_DELETED, CONFLICT_THEIRS, NULL) || force(w, t, c)))
        return -1;
    memcpy(c->old, t->now, t->table->ncol * sizeof *c->old);
    return apply_change(w, t, c);
}

int merge_one(struct apply_context *w, struct target *t, struct change *c)
{
    struct merge_table *m = merge_table(w, t);
    if (m == NULL)
        return -1;
    const struct merge_policy policy = m->policy;
    switch (c->op) {
    case CHANGE_INSERT:
        return merge_insert(w, t, c, &policy);
    case CHANGE_UPDATE:
        return merge_update(w, t, c, &policy);
    default:
        return merge_delete(w, t, c, &policy);
    }
}
