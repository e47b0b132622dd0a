/* merge: see apply/merge.h. */
#include "apply/merge.h"

#include "apply/deleted_row.h"
#include "apply/node_view.h"
#include "apply/timestamp.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"

#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

static void free_one(struct merge *m)
{
    for (size_t i = 0; i < m->n; i++) {
        fk_parents_free(m->table[i].parents);
        fk_children_free(m->table[i].children);
        userkey_free(m->table[i].userkey);
        membership_asker_close(m->table[i].asker);
        node_view_parents_free(m->table[i].seen);
        rowset_free(&m->table[i].lost);
        free(m->table[i].sent);
    }
    free(m->table);
    rowset_free(&m->inserted);
    stmt_free(m->hide);
    stmt_free(m->hidden);
    rekey_map_free(&m->rekeys);
    if (m->noded)
        node_free(&m->node);
    package_free(m->package);
    free(m->origin);
    free(m);
}

void merge_free(struct merge *m)
{
    struct merge *last = m;
    while (m) {
        struct merge *next = m->next;
        free_one(m);
        m = next == last ? NULL : next;
    }
}

/* Seconds that a node's clock may be ahead. */
enum { AHEAD = 60 };

/* A row whose key refers to its parent's never gets another of its own: it follows its parent's. */
static bool follows_parent(const struct merge *m, const struct target *t)
{
    return t->layout->rowid_key &&
           rekey_map_parent(&m->rekeys, t->table->name, t->table->col[t->table->key[0]]) != NULL;
}

static void set_policy(struct merge_table *m, const struct target *t, const struct object *o, bool follows)
{
    m->policy = (struct merge_policy){.prefer = MERGE_OURS, .ahead = AHEAD};
    if (o == NULL)
        return;
    m->policy.adopt = t->table->nkey == 1 && strcmp(o->duplicates, "adopt") == 0;
    m->policy.lose = strcmp(o->deletes, "lose") == 0;
    m->policy.rekey = t->layout->rowid_key && !follows && strcmp(o->keys, "issue") != 0;
    if (strcmp(o->conflict, "client") == 0)
        m->policy.prefer = MERGE_THEIRS;
    else if (strcmp(o->conflict, "ask") == 0)
        m->policy.prefer = MERGE_ASK;
    else if (strncmp(o->conflict, "newest ", 7) == 0) {
        m->policy.newest = table_column(t->table, o->conflict + 7);
        m->policy.prefer = m->policy.newest < 0 ? MERGE_OURS : MERGE_NEWEST;
    }
}

static void set_object(struct merge_table *m, const struct target *t, const struct package *p)
{
    const struct object *o = p ? package_object(p, t->table->name) : NULL;
    m->sent = mem_zero(t->table->ncol, 1);
    if (o == NULL || o->visible == VISIBLE_NONE)
        return;
    m->object = o;
    for (size_t i = 0; i < t->table->ncol; i++)
        m->sent[i] = table_column(o->sent, t->table->col[i]) >= 0;
}

static int set_userkey(struct merge_table *m, struct target *t)
{
    const struct object *o = m->object;
    if (o == NULL || *o->user_key == 0 || strcmp(o->duplicates, "keep") == 0)
        return 0;
    m->userkey = userkey_open(t, o->user_key);
    return m->userkey ? 0 : -1;
}

struct merge_table *merge_table(struct apply_context *w, struct target *t)
{
    struct merge *m = w->merge;
    if (t->index >= m->n) {
        m->table = mem_grow(m->table, t->index + 1, sizeof *m->table);
        memset(m->table + m->n, 0, (t->index + 1 - m->n) * sizeof *m->table);
        m->n = t->index + 1;
    }
    struct merge_table *mt = &m->table[t->index];
    if (!mt->known) {
        set_object(mt, t, m->package);
        mt->follows = follows_parent(m, t);
        set_policy(mt, t, mt->object, mt->follows);
        if ((mt->parents = fk_parents_open(t)) == NULL ||
            (mt->children = fk_children_open(&w->targets, t)) == NULL || set_userkey(mt, t))
            return NULL;
        mt->known = true;
    }
    return mt;
}

static void forget_parents(struct merge *first, const char *table)
{
    struct merge *m = first;
    do {
        for (size_t i = 0; i < m->n; i++)
            if (m->table[i].known)
                fk_parents_forget(m->table[i].parents, table);
        m = m->next;
    } while (m != first);
}

static int may(struct apply_context *w, struct target *t, const struct change *c, const char **reason)
{
    if (c->op == CHANGE_DELETE) {
        forget_parents(w->merge, t->table->name);
        return 1;
    }
    struct merge_table *m = merge_table(w, t);
    int there = m ? fk_parents_there(m->parents, t, c) : -1;
    if (there == 0)
        *reason = fk_parents_missing(m->parents);
    /* A row that its node does not see is to it as one that is not there. */
    return there > 0 && w->merge->noded ? node_view_parents(w, m, t, c, reason) : there;
}

/* ---- origins ---- */

static const char *name_of(const struct merge *m)
{
    return m->noded ? m->node.name : m->origin ? m->origin : "";
}

/* What is known of a node that is not the one whose archive is being applied. Who is no node (any more) has no
 * package. */
static int set_node(struct merge *m, struct db *db)
{
    int found = *m->origin ? node_find(db, m->origin, &m->node) : 0;
    if (found <= 0)
        return found;
    m->noded = true;
    m->package = package_get(db, m->node.package);
    if (m->package == NULL || rekey_map_load(&m->rekeys, db, m->node.id, m->node.applied, m->package) ||
        journal_end(db, &m->start))
        return -1;
    m->kept = m->rekeys.n;
    return 0;
}

/* What merging needs for that origin, made when there is none yet; NULL on failure. */
static struct merge *merge_of(struct apply_context *w, const char *origin)
{
    struct merge *first = w->merge, *m = first;
    const char *name = origin ? origin : "";
    do {
        if (strcmp(name_of(m), name) == 0)
            return m;
        m = m->next;
    } while (m != first);
    m = mem_zero(1, sizeof *m);
    *m = (struct merge){.next = first->next,
                        .origin = mem_text(name),
                        .give = first->give,
                        .adopt = first->adopt,
                        .clear = first->clear};
    first->next = m;
    return set_node(m, w->db) ? NULL : m;
}

static int as(struct apply_context *w, const char *origin)
{
    struct merge *m = merge_of(w, origin);
    if (m)
        w->merge = m;
    return m ? 0 : -1;
}

void merge_keep(struct apply_context *w)
{
    struct merge *m = w->merge;
    do {
        m->kept = m->rekeys.n;
        m = m->next;
    } while (m != w->merge);
}

void merge_back(struct apply_context *w)
{
    struct merge *m = w->merge;
    do {
        rekey_map_cut(&m->rekeys, m->kept);
        m->inserted_upto = 0;
        m = m->next;
    } while (m != w->merge);
    forget_parents(w->merge, NULL);
}

static int tells(struct apply_context *w, const char *origin, int64_t *archive)
{
    struct node n;
    int found = origin && *origin ? node_find(w->db, origin, &n) : 0;
    *archive = found > 0 ? n.archive + 1 : 0;
    if (found > 0)
        node_free(&n);
    return found < 0 ? -1 : 0;
}

void merge_begin(struct apply_context *w)
{
    w->merge = mem_zero(1, sizeof *w->merge);
    w->merge->next = w->merge;
    w->may = may;
    w->as = as;
    w->quarantined = merge_force;
    w->tells = tells;
    w->one[WORK_MERGE] = merge_one;
}

int merge_force(struct apply_context *w, struct target *t, const struct change *c, const char *origin)
{
    if (origin == NULL || *origin == 0)
        return 0;
    struct merge *m = merge_of(w, origin);
    if (m == NULL || !m->noded)
        return m ? 0 : -1;
    const struct object *o = package_object(m->package, t->table->name);
    if (o == NULL || o->visible == VISIBLE_NONE)
        return 0;
    struct buf room = {0};
    struct val packed = change_packed_key(c, &room);
    int rc = node_force(w->db, m->node.id, t->table->name, &packed);
    buf_free(&room);
    return rc;
}

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
                (!timestamp_past(ours, p->ahead) ||
                 (timestamp_alike(theirs, ours) && val_compare(theirs, ours) > 0));
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
    int done = may(w, t, c, &unused);
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

/* Whether who sent the change is a node, to whom it can be told what became of its row's key. */
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
    return seen > 0 ? w->merge->adopt(w, t, c, other) : seen;
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
    return conflict_row(w, t, c, here, CONFLICT_DUPLICATE, CONFLICT_ASK, reason) || force(w, t, c) ? -1 : 0;
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

/* Both made a row with this key. The same one is no conflict, but whoever sent it might not see it here. */
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
    if ((p->rekey || p->adopt) && userkey && userkey_same(userkey, t, c))
        return merge_duplicate(w, t, c, true, NULL);
    if (p->rekey && from_node(w))
        return w->merge->give(w, t, c);
    const char *outcome = p->prefer == MERGE_OURS ? CONFLICT_ASK : decide(p, t, c);
    if (conflict_row(w, t, c, true, CONFLICT_INSERT, outcome, NULL) || force(w, t, c))
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
    int done = may(w, t, c, &reason);
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
    int done = may(w, t, c, &unused) < 0 ? -1 : 0;
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
    int clear = alone ? 1 : w->merge->clear(w, t, c);
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
