/* merge_context: see apply/merge_context.h. */
#include "apply/merge_context.h"

#include "apply/node_view.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "rules/rule_fence.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
        rowset_free(&m->table[i].lost_lately);
        stmt_free(m->table[i].inside);
        free(m->table[i].sent);
    }
    free(m->table);
    rowset_free(&m->inserted);
    upload_rows_free(&m->rows);
    rejected_rows_free(&m->rejected);
    stmt_free(m->hide);
    stmt_free(m->hidden);
    rekey_map_free(&m->rekeys);
    if (m->noded)
        node_free(&m->node);
    attachment_view_close(m->files);
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

/* A row whose key refers to its parent's never gets another of its own: it follows its parent's. */
static bool follows_parent(const struct merge *m, const struct target *t)
{
    return t->layout->rowid_key &&
           rekey_map_parent(&m->rekeys, t->table->name, t->table->col[t->table->key[0]]) != NULL;
}

static void set_newest(struct merge_policy *p, const struct target *t, const struct object *o)
{
    char *column = object_newest(o->conflict, &p->ahead);
    p->newest = column ? table_column(t->table, column) : -1;
    if (p->newest >= 0)
        p->prefer = MERGE_NEWEST;
    free(column);
}

static void set_policy(struct merge_table *m, const struct target *t, const struct object *o, bool follows)
{
    m->policy = (struct merge_policy){.prefer = MERGE_OURS};
    if (o == NULL)
        return;
    const struct object_policy policy = object_policy(o);
    m->policy.adopt = t->table->nkey == 1 && policy.duplicates == DUPLICATES_ADOPT;
    m->policy.lose = policy.delete_loses;
    m->policy.rekey = t->layout->rowid_key && !follows && policy.keys != KEYS_ISSUE;
    if (policy.prefer == PREFER_CLIENT)
        m->policy.prefer = MERGE_THEIRS;
    else if (policy.prefer == PREFER_ASK)
        m->policy.prefer = MERGE_ASK;
    else
        set_newest(&m->policy, t, o);
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

static int set_inside(struct merge_table *m, struct db *db, const struct package *p)
{
    char *name = NULL, *sql = NULL;
    if (m->object == NULL)
        return 0;
    name = mem_printf(META_INSIDE "%s:%s", p->name, m->object->name);
    int rc = meta_get_text(db, name, &sql);
    if (rc == 0 && sql)
        rc = (m->inside = rule_fence_prepare(db, sql)) ? 0 : -1;
    free(sql);
    free(name);
    return rc;
}

static int set_userkey(struct merge_table *m, struct target *t)
{
    const struct object *o = m->object;
    if (o == NULL || *o->user_key == 0 || object_policy(o).duplicates == DUPLICATES_KEEP)
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
            (mt->children = fk_children_open(&w->targets, t)) == NULL || set_userkey(mt, t) ||
            set_inside(mt, w->db, m->package))
            return NULL;
        mt->known = true;
    }
    return mt;
}

int merge_end_children(struct apply_context *w)
{
    struct merge *m = w->merge;
    do {
        for (size_t i = 0; i < m->n; i++)
            if (fk_children_end(m->table[i].children))
                return -1;
        m = m->next;
    } while (m != w->merge);
    return 0;
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

int merge_may_write(struct apply_context *w, struct target *t, const struct change *c, const char **reason)
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
    *m = (struct merge){.next = first->next, .origin = mem_text(name)};
    first->next = m;
    return set_node(m, w->db) ? NULL : m;
}

int merge_as(struct apply_context *w, const char *origin)
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
        rejected_rows_free(&m->rejected);
        m = m->next;
    } while (m != w->merge);
    forget_parents(w->merge, NULL);
}

int merge_next_archive(struct apply_context *w, const char *origin, int64_t *archive)
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

int merge_upload_changes(struct apply_context *w, const char *table, merge_change_fn *fn, void *ctx)
{
    int64_t end;
    struct target *t = targets_named(&w->targets, table);
    if (t == NULL || journal_end(w->db, &end))
        return -1;
    struct journal_reader *r = journal_read(w->db, w->merge->start, end);
    struct change c, mapped;
    int got = -1;
    while (r && (got = journal_next(r, &c)) > 0) {
        if (strcasecmp(c.table->name, table) != 0 || strcmp(c.origin, w->merge->node.name) != 0)
            continue;
        if (targets_for(&w->targets, c.table) == NULL) {
            got = -1;
            break;
        }
        target_map(t, c.table, &c, &mapped);
        int rc = fn(ctx, w, t, &mapped);
        targets_forget(&w->targets, c.table);
        if (rc) {
            got = -1;
            break;
        }
    }
    journal_reader_close(r);
    return got;
}
