/* node_archives: see route/node_archives.h. */
#include "route/node_archives.h"

#include "archive/head_read.h"
#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership_log.h"
#include "nodes/rekey_map.h"
#include "nodes/verdict.h"
#include "route/set_aside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_id(const void *a, const void *b)
{
    const struct receiver *x = a, *y = b;
    return x->node.id < y->node.id ? -1 : x->node.id > y->node.id;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, *(char *const *)b);
}

static bool is_but(const struct node_archives *x, const char *package)
{
    bool found = false;
    for (size_t i = 0; i < x->nbut && !found; i++)
        found = strcmp(x->but[i], package) == 0;
    return found;
}

int node_archives_list(struct node_archives *x, char *const *but, size_t nbut)
{
    struct node *node;
    size_t n;
    if (node_list(x->db, &node, &n))
        return -1;
    x->receiver = mem_zero(n, sizeof *x->receiver);
    for (size_t i = 0; i < n; i++) {
        if (node[i].active &&
            (nbut == 0 || bsearch(node[i].name, but, nbut, sizeof *but, compare_names) == NULL))
            x->receiver[x->nreceiver++].node = node[i];
        else {
            if (node[i].active && !is_but(x, node[i].package)) {
                x->but = mem_grow(x->but, x->nbut + 1, sizeof *x->but);
                x->but[x->nbut++] = mem_text(node[i].package);
            }
            node_free(&node[i]);
        }
    }
    free(node);
    if (x->nreceiver)
        qsort(x->receiver, x->nreceiver, sizeof *x->receiver, by_id);
    return 0;
}

/* A receiver's piece, with what it is sorted by. */
struct ranked {
    int64_t rank;
    size_t piece;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->piece < y->piece ? -1 : x->piece > y->piece;
}

static void sort_pieces(const struct block_pool *pool, struct receiver *r)
{
    struct ranked *ranked = mem_zero(r->npiece + 1, sizeof *ranked);
    for (size_t i = 0; i < r->npiece; i++)
        ranked[i] = (struct ranked){pool->piece[r->piece[i]].rank, r->piece[i]};
    qsort(ranked, r->npiece, sizeof *ranked, by_rank);
    for (size_t i = 0; i < r->npiece; i++)
        r->piece[i] = ranked[i].piece;
    free(ranked);
}

/* The tables of the node's package, and those that it lost with this archive. */
static void add_tables(struct dx_head *h, const struct package_run *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct table *t = p->viewed[i].object->sent;
        if (object_delta_travels(&p->viewed[i]) && !dx_head_table(h, t->name))
            dx_head_add_table(h, t);
    }
}

/* How tables are made that are new, or otherwise than before. */
static void add_schema(struct dx_head *h, const struct package_run *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; p->viewed[i].redeclared && k < p->viewed[i].declared.n; k++)
            dx_head_add_schema(h, p->viewed[i].declared.sql[k]);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Keys that the node is to rename. */
static int add_rekeys(struct node_archives *x, struct receiver *r, struct dx_head *h)
{
    const int64_t id = r->node.id;
    if (x->nrekeyed == 0 || bsearch(&id, x->rekeyed, x->nrekeyed, sizeof id, compare_ids) == NULL)
        return 0;
    return rekey_fill(x->db, id, h, &r->rekey);
}

/* Whether something was decided against the node that no archive has carried to it. */
static bool judged(const struct node_archives *x, const struct receiver *r)
{
    return x->njudged && bsearch(&r->node.id, x->judged, x->njudged, sizeof r->node.id, compare_ids) != NULL;
}

static int add_verdicts(struct node_archives *x, struct receiver *r, struct dx_head *h)
{
    return judged(x, r) ? verdict_fill(x->db, r->node.id, h, &r->verdict) : 0;
}

/* The head that the archives of a package share. */
static int begin_heads(struct node_archives *x, const struct package_run *p)
{
    if (x->head_package == p)
        return 0;
    dx_head_free(&x->head);
    dx_head_init(&x->head, DX_CHANGES);
    dx_head_set(&x->head.package, p->package->name);
    x->head.form = CHANGESET_PATCH;
    add_tables(&x->head, p);
    add_schema(&x->head, p);
    x->head_package = p;
    return dx_head_settle(&x->head);
}

static int fill_head(struct node_archives *x, struct receiver *r, struct membership_log_notes *notes)
{
    struct dx_head *h = &x->head;
    if (begin_heads(x, r->plan))
        return -1;
    dx_head_set(&h->to, r->node.name);
    dx_head_set(&h->epoch, r->node.epoch);
    h->number = r->node.archive + 1;
    h->after = h->number - 1; /* of the node's own numbering: where the journal stands is not its business */
    h->upto = h->number;
    h->ack = r->node.merged;
    free(h->follows);
    h->follows = NULL;
    dx_head_clear_ranges(h);
    return membership_log_follows(notes, r->node.id, r->node.archive, &h->follows) || add_rekeys(x, r, h) ||
                   key_ranges_fill(&x->ranges, x->db, &r->node, r->node.epoch, r->plan->package, h) ||
                   add_verdicts(x, r, h)
               ? -1
               : 0;
}

/* The node gets nothing in this run: all that is for it waits, as for one that does not fetch. */
static void suspend(const struct node_archives *x, struct receiver *r)
{
    if (r->state == RECEIVER_ACTIVE) {
        r->node.suspended_at = x->after;
        r->node.suspended_run = x->run;
        r->new_suspension = true;
    }
    r->state = RECEIVER_SUSPENDED;
}

/* A new definition, which no node may miss, it gets with a new copy. */
static void set_node_aside(const struct node_archives *x, struct receiver *r, const char *remedy)
{
    struct set_aside_entry *e = set_aside_note(x->aside, SET_ASIDE_NODE, remedy);
    e->node = r->node.id;
    r->renew = x->redefined;
    suspend(x, r);
}

/* The writer of the archive before, or the first; NULL on failure. */
static struct dx_writer *next_writer(struct node_archives *x, int fd, const char *name)
{
    struct dx_writer *w = x->writer;
    x->writer = NULL;
    if (w == NULL)
        return dx_writer_open(fd, name, &x->head, x->sender->pieces.level);
    if (dx_writer_next(w, fd, name, &x->head) == 0)
        return w;
    dx_writer_abort(w);
    return NULL;
}

/* Whether the head is one that an archive may have: what is of the one node only may make it too large. 1, 0, -1. */
static int head_fits(struct node_archives *x)
{
    struct buf b = {0};
    bool own = x->head.nrekey || x->head.nverdict;
    int rc = own ? head_put(&b, "dx.json", &x->head, NULL) : 0;
    buf_free(&b);
    return rc == 0 ? 1 : set_aside_can() ? 0 : -1;
}

static int write_archive(struct node_archives *x, struct receiver *r, struct membership_log_notes *notes)
{
    const char *name;
    if (fill_head(x, r, notes))
        return -1;
    int fits = head_fits(x);
    if (fits == 0) {
        set_node_aside(x, r, "end the node, register its copy under another name, then initsync");
        x->head_package = NULL;
        r->rekey = r->verdict = 0;
    }
    if (fits <= 0)
        return fits;
    int fd = outbox_begin(x->outbox, &r->node, x->head.number, &name);
    if (fd == OUTBOX_ALONE) {
        set_node_aside(x, r, "mend its directory there; the next run tries again");
        return 0;
    }
    struct dx_writer *w = fd < 0 ? NULL : next_writer(x, fd, name);
    int rc = w ? 0 : -1;
    if (w)
        dx_writer_sign(w, x->sign);
    sort_pieces(&x->sender->pieces, r);
    for (size_t i = 0; rc == 0 && i < r->npiece; i++)
        rc = dx_write_block(w, x->sender->pieces.piece[r->piece[i]].block);
    r->changes = w ? dx_written(w) : 0;
    if (w && rc == 0 && (rc = dx_writer_end(w, r->digest)) == 0)
        x->writer = w;
    else
        dx_writer_abort(w);
    if (x->head.nrekey || x->head.nverdict) /* those are of one node */
        x->head_package = NULL;
    r->written = rc == 0;
    r->bytes = fd < 0 ? 0 : (int64_t)lseek(fd, 0, SEEK_END);
    x->archives += rc == 0;
    return rc || outbox_end(x->outbox) ? -1 : 0;
}

static bool owed(const struct receiver *r)
{
    return r->node.last_ack < r->node.merged;
}

/* Whether the node was set aside, and so is tried again. */
static bool failed(const struct node_archives *x, const struct receiver *r)
{
    int64_t n = 0;
    db_get_int(x->db, &n, "SELECT count(*) FROM main.dx_set_aside WHERE kind = 'node' AND node = %lld",
               (long long)r->node.id);
    return n > 0;
}

void node_archives_resume(struct node_archives *x)
{
    for (size_t i = 0; i < x->nreceiver; i++) {
        struct receiver *r = &x->receiver[i];
        bool fetched = r->node.suspended_at >= 0 && !outbox_has(x->outbox, r->node.name, r->node.archive);
        r->state = r->node.suspended_at < 0                                           ? RECEIVER_ACTIVE
                   : x->redefined || r->current || owed(r) || fetched || failed(x, r) ? RECEIVER_RESUMED
                                                                                      : RECEIVER_SUSPENDED;
    }
}

int node_archives_present(struct node_archives *x, const struct package_run *p, int64_t *audience)
{
    int64_t *id = mem_zero(x->nreceiver, sizeof *id);
    size_t n = 0;
    bool all = !is_but(x, p->package->name);
    for (size_t i = 0; i < x->nreceiver; i++) {
        const struct receiver *r = &x->receiver[i];
        if (strcmp(r->node.package, p->package->name) != 0)
            continue;
        if (r->state == RECEIVER_ACTIVE)
            id[n++] = r->node.id;
        all &= r->state == RECEIVER_ACTIVE;
    }
    *audience = all ? AUDIENCE_ALL : audience_intern(x->sender->audiences, id, n);
    free(id);
    return *audience == AUDIENCE_ERROR ? -1 : 0;
}

/* Whether the receiver is suspended now, rather than getting one more archive that it does not fetch. */
static bool must_suspend(const struct node_archives *x, const struct receiver *r)
{
    return x->suspend_after > 0 && !x->redefined && !r->current && r->state == RECEIVER_ACTIVE && !owed(r) &&
           r->node.archive >= x->suspend_after &&
           outbox_has(x->outbox, r->node.name, r->node.archive - x->suspend_after + 1);
}

int node_archives_write(struct node_archives *x)
{
    struct membership_log_notes *notes = membership_log_notes_open(x->db);
    int rc = notes == NULL || rekey_nodes(x->db, &x->rekeyed, &x->nrekeyed) ||
                     verdict_nodes(x->db, &x->judged, &x->njudged)
                 ? -1
                 : 0;
    for (size_t i = 0; i < x->nreceiver && rc == 0; i++) {
        struct receiver *r = &x->receiver[i];
        bool tells = owed(r) || (judged(x, r) && r->state != RECEIVER_SUSPENDED);
        if (r->plan == NULL || (r->npiece == 0 && !tells && !package_run_redeclared(r->plan)))
            continue;
        if (must_suspend(x, r))
            suspend(x, r);
        else
            rc = write_archive(x, r, notes);
    }
    membership_log_notes_close(notes);
    return rc ? -1 : outbox_sync(x->outbox);
}

static void give(struct receiver *to, size_t piece)
{
    if ((to->npiece & (to->npiece - 1)) == 0)
        to->piece = mem_grow(to->piece, to->npiece ? to->npiece * 2 : 1, sizeof *to->piece);
    to->piece[to->npiece++] = piece;
}

/* The first receiver, from number `at` on, whose node is not below that id: a few steps where it is near, and the
 * logarithm of the distance where it is far. */
static size_t receiver_from(const struct node_archives *x, size_t at, int64_t id)
{
    size_t low = at, high = at, step = 1;
    while (high < x->nreceiver && x->receiver[high].node.id < id) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = high < x->nreceiver ? high : x->nreceiver;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (x->receiver[middle].node.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void node_archives_current(struct node_archives *x, int64_t node)
{
    size_t r = receiver_from(x, 0, node);
    if (r < x->nreceiver && x->receiver[r].node.id == node)
        x->receiver[r].current = true;
}

const struct receiver *node_archives_of(const struct node_archives *x, int64_t node)
{
    size_t r = receiver_from(x, 0, node);
    return r < x->nreceiver && x->receiver[r].node.id == node ? &x->receiver[r] : NULL;
}

static int deal(struct node_archives *x, const struct package_run *p, size_t first, enum receiver_state state)
{
    for (size_t i = first; i < x->sender->pieces.n; i++) {
        const struct audience *set = audience_get(x->sender->audiences, x->sender->pieces.piece[i].audience);
        if (set == NULL)
            return -1;
        size_t r = 0; /* both ascend by id */
        for (size_t k = 0; k < set->n; k++) {
            r = receiver_from(x, r, set->node[k]);
            if (r == x->nreceiver || x->receiver[r].node.id != set->node[k])
                continue;
            struct receiver *to = &x->receiver[r];
            if (to->plan == p && to->state == state)
                give(to, i);
        }
    }
    return 0;
}

int node_archives_deal(struct node_archives *x, const struct package_run *p, size_t first)
{
    for (size_t i = 0; i < x->nreceiver; i++)
        if (strcmp(x->receiver[i].node.package, p->package->name) == 0)
            x->receiver[i].plan = p;
    return deal(x, p, first, RECEIVER_ACTIVE);
}

int node_archives_deal_resumed(struct node_archives *x, const struct package_run *p, size_t first)
{
    return deal(x, p, first, RECEIVER_RESUMED);
}

int node_archives_next_resumed(struct node_archives *x, const struct package_run *p,
                               const struct receiver **r, int64_t *audience)
{
    int64_t *id = mem_zero(x->nreceiver, sizeof *id);
    size_t n = 0;
    *r = NULL;
    for (size_t i = 0; i < x->nreceiver; i++) {
        struct receiver *c = &x->receiver[i];
        if (c->plan != p || c->state != RECEIVER_RESUMED || c->resumed ||
            (*r && (c->node.suspended_at != (*r)->node.suspended_at ||
                    c->node.suspended_run != (*r)->node.suspended_run)))
            continue;
        if (*r == NULL)
            *r = c;
        c->resumed = true;
        id[n++] = c->node.id;
    }
    *audience = audience_intern(x->sender->audiences, id, n);
    free(id);
    return *audience == AUDIENCE_ERROR ? -1 : 0;
}

/* Who is suspended, and how far back they hold the journal. */
static int store_suspended(struct node_archives *x)
{
    for (size_t i = 0; i < x->nreceiver; i++) {
        const struct receiver *r = &x->receiver[i];
        bool back = r->state == RECEIVER_SUSPENDED && r->plan && r->plan->back < r->node.suspended_at;
        if ((r->new_suspension || back || r->state == RECEIVER_RESUMED) &&
            db_execf(x->db,
                     "UPDATE dx_nodes SET suspended_at = CASE WHEN %d THEN %lld END, suspended_run = %lld "
                     "WHERE id = %lld",
                     r->state == RECEIVER_SUSPENDED, (long long)(back ? r->plan->back : r->node.suspended_at),
                     (long long)r->node.suspended_run, (long long)r->node.id))
            return -1;
        if (r->renew &&
            db_execf(x->db, "UPDATE dx_nodes SET epoch = lower(hex(randomblob(8))) WHERE id = %lld",
                     (long long)r->node.id))
            return -1;
    }
    return 0;
}

int node_archives_stay_suspended(struct node_archives *x, int64_t audience)
{
    const struct audience *set = audience_get(x->sender->audiences, audience);
    for (size_t i = 0; set && i < set->n; i++) {
        size_t r = receiver_from(x, 0, set->node[i]);
        if (r < x->nreceiver && x->receiver[r].node.id == set->node[i])
            set_node_aside(x, &x->receiver[r], "mend what it names; the next run tries again");
    }
    return set ? 0 : -1;
}

int node_archives_store(struct node_archives *x, const char *now)
{
    struct stmt *s =
        db_prepare(x->db, "UPDATE dx_nodes SET archive = ?2, position = ?3, last_ack = ?4 WHERE id = ?1");
    struct membership_log_notes *notes = membership_log_notes_open(x->db);
    int rc = s && notes ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < x->nreceiver; i++) {
        const struct receiver *r = &x->receiver[i];
        if (!r->written)
            continue;
        stmt_bind_int(s, 1, r->node.id);
        stmt_bind_int(s, 2, r->node.archive + 1);
        stmt_bind_int(s, 3, x->upto);
        stmt_bind_int(s, 4, r->node.merged);
        struct membership_log_archive a = {.node = r->node.id,
                                           .number = r->node.archive + 1,
                                           .position = x->upto,
                                           .since =
                                               r->state == RECEIVER_RESUMED ? r->node.suspended_run : x->run,
                                           .run = x->run + 1,
                                           .changes = r->changes,
                                           .bytes = r->bytes,
                                           .made = now,
                                           .digest = r->digest};
        rc = stmt_run(s) || membership_log_archive(notes, &a) ||
                     rekey_carried(x->db, r->node.id, r->rekey, r->node.archive + 1) ||
                     key_ranges_store(&x->ranges, x->db, r->node.id, r->node.epoch) ||
                     verdict_carried(x->db, r->node.id, r->verdict, r->node.archive + 1)
                 ? -1
                 : 0;
    }
    stmt_free(s);
    membership_log_notes_close(notes);
    return rc ? -1 : store_suspended(x);
}

int node_archives_empty(const struct node *n, const char *sign, int fd)
{
    struct dx_head h;
    dx_head_init(&h, DX_CHANGES);
    dx_head_set(&h.to, n->name);
    dx_head_set(&h.epoch, n->epoch);
    dx_head_set(&h.package, n->package);
    h.number = n->archive;
    h.after = h.upto = n->archive;
    h.ack = n->merged;
    h.form = CHANGESET_PATCH;
    struct dx_writer *w = dx_writer_open(fd, "stdout", &h, DX_LEVEL_PIPE);
    if (w)
        dx_writer_sign(w, sign);
    int rc = w ? dx_writer_close(w) : -1;
    dx_head_free(&h);
    return rc;
}

void node_archives_free(struct node_archives *x)
{
    for (size_t i = 0; i < x->nreceiver; i++) {
        node_free(&x->receiver[i].node);
        free(x->receiver[i].piece);
    }
    free(x->receiver);
    for (size_t i = 0; i < x->nbut; i++)
        free(x->but[i]);
    free(x->but);
    free(x->rekeyed);
    key_ranges_free(&x->ranges);
    free(x->judged);
    dx_head_free(&x->head);
    dx_writer_abort(x->writer);
}
