/* route: see route.h.
 *
 * A run reads everything in one snapshot at position b and works out, in temporary tables, what moved since position
 * a; it writes the nodes' archives under temporary names, and then, in one short write transaction, what it found.
 * Only the router writes what the router reads of its own, so what is true in the snapshot is true then, too; should
 * another router have been faster, dx_meta's `routes` tells, and nothing is written. */
#include "route.h"

#include "err.h"
#include "extract.h"
#include "fan.h"
#include "file.h"
#include "history.h"
#include "journal.h"
#include "mem.h"
#include "member.h"
#include "moment.h"
#include "outbox.h"
#include "own.h"
#include "pairs.h"
#include "plan.h"
#include "rekey.h"
#include "store.h"
#include "whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beside the facts in store.h, the router keeps in dx_meta: routed, the position that every node's newest archive
 * stands for; routes, counted up by every commit of a run; docking, the docking directory. */
static const char sql_make[] =
    /* The nodes as of the last run. */
    "CREATE TABLE IF NOT EXISTS dx_routed ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL, user TEXT NOT NULL, package TEXT NOT NULL);";

/* A receiver of archives in this run. */
struct receiver {
    struct node node;
    const struct plan *plan;
    size_t npiece, *piece; /* numbers in the fan */
    bool written;
    int64_t rekey;          /* newest of those that its archive carries */
    int64_t changes, bytes; /* of its archive */
};

struct running {
    struct db *db;
    const struct route *route;
    struct route_done *done;
    char now[MOMENT_ROOM];
    int64_t a, b, routes, last_force;
    struct outbox *outbox;
    struct images *images;
    struct views views;
    struct plan *plan;
    size_t nplan;
    struct fan fan;
    struct receiver *receiver;
    size_t nreceiver;
    FILE *spill, *snapshot;
    struct extract_mark mark;
};

int route_init(struct db *db)
{
    return member_init(db) || history_init(db) || db_exec(db, sql_make) ? -1 : 0;
}

/* ---- what changed says stdin ---- */

static int check_head(struct db *db, const struct dx_head *h, const char *name)
{
    char *epoch = NULL;
    int64_t routed;
    if (store_get_text(db, "epoch", &epoch) || store_get_int(db, "routed", &routed)) {
        free(epoch);
        return -1;
    }
    int rc = 0;
    if (h->kind != DX_CHANGES || h->to[0])
        rc = fail(ERR_REFUSED,
                  "%s: an archive of kind %s%s%s; the log is meant: txnlog read %s | txnroute run", name,
                  dx_kind_name(h->kind), h->to[0] ? " for node " : "", h->to, db_path(db));
    else if (epoch && strcmp(epoch, h->epoch) != 0)
        rc = fail(ERR_REFUSED,
                  "%s: a log of epoch %s, the journal of %s is of epoch %s; it is another database's, or one "
                  "was restored",
                  name, h->epoch, db_path(db), epoch);
    else if (h->after > routed)
        rc =
            fail(ERR_REFUSED,
                 "%s: the log begins behind entry %lld, but routing stands at %lld: entries %lld to %lld are "
                 "missing; read from there: txnlog read %s --after %lld",
                 name, (long long)h->after, (long long)routed, (long long)routed + 1, (long long)h->after,
                 db_path(db), (long long)routed);
    free(epoch);
    return rc;
}

/* The log on stdin is a claim of what changed: it must be whole and of this journal. What changed is then read from
 * the journal itself, in the run's snapshot. */
static int check_log(struct db *db, int fd)
{
    static const char name[] = "stdin";
    const struct dx_head *h;
    struct dx_reader *r = dx_reader_open(fd, name);
    int got = r ? 1 : -1;
    while (got > 0 && (got = dx_next(r, &h)) > 0)
        if (check_head(db, h, name) || dx_skip(r))
            got = -1;
    dx_reader_close(r);
    return got;
}

/* ---- before ---- */

static int check_journal(struct running *x)
{
    int64_t first;
    if (db_get_int(x->db, &first, "SELECT min(seq) FROM dx_journal"))
        return -1;
    if (x->a > x->b)
        return fail(ERR_REFUSED,
                    "%s: routing stands at %lld, the journal ends at %lld: the database was restored from a "
                    "backup; `txnlog attach` it anew and extract every node anew",
                    db_path(x->db), (long long)x->a, (long long)x->b);
    if (x->b > x->a && first > x->a + 1)
        return fail(
            ERR_REFUSED,
            "%s: entries %lld to %lld are gone from the journal before they were routed; extract every "
            "node anew",
            db_path(x->db), (long long)x->a + 1, (long long)first - 1);
    return 0;
}

static int read_positions(struct running *x)
{
    if (store_get_int(x->db, "routed", &x->a) || store_get_int(x->db, "routes", &x->routes) ||
        journal_end(x->db, &x->b) || db_get_int(x->db, &x->last_force, "SELECT max(id) FROM dx_force"))
        return -1;
    x->done->after = x->a;
    x->done->upto = x->b;
    return check_journal(x);
}

/* Whether there is anything to do at all: most runs under cron find nothing. 1, 0, -1. */
static int anything(struct running *x)
{
    int64_t n;
    if (x->a < x->b || x->last_force || x->route->extract)
        return 1;
    if (db_get_int(
            x->db, &n,
            "SELECT EXISTS (SELECT 1 FROM dx_nodes WHERE active AND told < merged) OR EXISTS (SELECT 1 "
            "FROM dx_object WHERE was IS NOT NULL OR fresh OR bound IS NOT NULL) OR EXISTS (SELECT id, "
            "name, user, package FROM dx_nodes WHERE active EXCEPT SELECT id, name, user, package FROM "
            "dx_routed) OR EXISTS (SELECT id, name, user, package FROM dx_routed EXCEPT SELECT id, name, "
            "user, package FROM dx_nodes WHERE active)"))
        return -1;
    return n != 0;
}

/* ---- one package ---- */

static int ids_of(struct db *db, const char *sql, int64_t **id, size_t *n)
{
    struct stmt *s = db_prepare(db, sql);
    enum step step = STEP_ERROR;
    *id = NULL;
    *n = 0;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *id = mem_grow(*id, *n + 1, sizeof **id);
        (*id)[(*n)++] = stmt_int(s, 0);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* The nodes of the package into temp.dx_node_now, what changed of them into its images; who was there before and
 * still is, and who is new. */
static int set_nodes(struct running *x, const struct plan *p)
{
    const char *name = p->package->name;
    struct buf old = {0}, new = {0}, then = {0}, now = {0};
    int64_t *id;
    size_t n;
    buf_puts(&then, "SELECT id, name, user, package, 'active' FROM main.dx_routed WHERE package = ");
    buf_quote(&then, name);
    buf_puts(&now, "SELECT id, name, user, package, 'active' FROM main.dx_nodes WHERE active AND package = ");
    buf_quote(&now, name);
    buf_addf(&old, "%s EXCEPT ", buf_text(&then));
    buf_puts(&old, buf_text(&now));
    buf_addf(&new, "%s EXCEPT ", buf_text(&now));
    buf_puts(&new, buf_text(&then));
    int rc =
        db_execf(x->db,
                 "DELETE FROM temp.dx_node_now; INSERT INTO temp.dx_node_now %s; ANALYZE temp.dx_node_now",
                 buf_text(&now)) ||
        images_nodes(x->images, buf_text(&old), buf_text(&new));
    buf_free(&old);
    buf_free(&new);
    buf_free(&then);
    buf_free(&now);
    if (rc || ids_of(x->db,
                     "SELECT id FROM temp.dx_node_now WHERE (id, package) IN (SELECT id, package FROM "
                     "main.dx_routed) ORDER BY id",
                     &id, &n))
        return -1;
    audience_all(x->views.audiences, id, n);
    free(id);
    if (ids_of(x->db,
               "SELECT id FROM temp.dx_node_now WHERE (id, package) NOT IN (SELECT id, package FROM "
               "main.dx_routed) ORDER BY id",
               &id, &n))
        return -1;
    x->fan.fresh = audience_intern(x->views.audiences, id, n);
    free(id);
    return x->fan.fresh == AUDIENCE_ERROR ? -1 : fan_nodes(&x->fan);
}

/* Notes which nodes get which of the pieces from `first` on. */
static int deal(struct running *x, const struct plan *p, size_t first)
{
    for (size_t i = first; i < x->fan.npiece; i++) {
        const struct audience *set = audience_get(x->views.audiences, x->fan.piece[i].audience);
        if (set == NULL)
            return -1;
        size_t r = 0; /* both ascend by id */
        for (size_t k = 0; k < set->n; k++) {
            while (r < x->nreceiver && x->receiver[r].node.id < set->node[k])
                r++;
            if (r == x->nreceiver || x->receiver[r].node.id != set->node[k])
                continue;
            struct receiver *to = &x->receiver[r];
            if (to->plan != p)
                continue;
            if ((to->npiece & (to->npiece - 1)) == 0)
                to->piece = mem_grow(to->piece, to->npiece ? to->npiece * 2 : 1, sizeof *to->piece);
            to->piece[to->npiece++] = i;
        }
    }
    return 0;
}

/* What moved of one object: nothing, when nothing that its rule reads has changed. */
static int move_object(struct views *v, const struct viewed *w)
{
    if (!w->gone && w->object->visible == VISIBLE_NONE && w->was == WAS_SAME)
        return 0;
    if (!w->gone && !w->fresh && !view_redefined(w) && !rule_touched(w->rule) && !view_parent_moved(v, w) &&
        !member_whole(w->object))
        return 0;
    if (whole_needed(w))
        return whole_move(v, w);
    bool own = rule_touched_by(w->rule, w->rule->relation);
    if (own && own_move(v, w))
        return -1;
    return w->object->visible == VISIBLE_VIA      ? own_children(v, w, own)
           : w->object->visible == VISIBLE_SELECT ? pairs_move(v, w, own)
                                                  : 0;
}

/* Whether nobody holds anything of the package, and nobody is to: then its first node will find it as it is now. */
static int idle(struct running *x, const struct plan *p)
{
    int64_t n;
    for (size_t i = 0; i < p->n; i++)
        if (p->viewed[i].was != WAS_NONE)
            return 0;
    return db_get_int(x->db, &n, "SELECT count(*) FROM temp.dx_node_now") ? -1 : n == 0;
}

static int route_package(struct running *x, struct plan *p)
{
    size_t first = x->fan.npiece;
    int nothing = set_nodes(x, p) ? -1 : idle(x, p);
    if (nothing)
        return nothing < 0 ? -1 : 0;
    p->routed = true;
    for (size_t i = 0; i < p->n; i++)
        if (move_object(&x->views, &p->viewed[i]))
            return -1;
    for (size_t i = 0; i < p->n; i++)
        if ((!p->viewed[i].gone && fan_force(&x->fan, &p->viewed[i])) || fan_object(&x->fan, &p->viewed[i]))
            return -1;
    for (size_t i = 0; i < x->nreceiver; i++)
        if (strcmp(x->receiver[i].node.package, p->package->name) == 0)
            x->receiver[i].plan = p;
    return deal(x, p, first);
}

/* ---- archives ---- */

static int by_id(const void *a, const void *b)
{
    const struct receiver *x = a, *y = b;
    return x->node.id < y->node.id ? -1 : x->node.id > y->node.id;
}

static int list_receivers(struct running *x)
{
    struct node *node;
    size_t n;
    if (node_list(x->db, &node, &n))
        return -1;
    x->receiver = mem_zero(n, sizeof *x->receiver);
    for (size_t i = 0; i < n; i++) {
        if (node[i].active && !(x->route->extract && strcmp(x->route->extract, node[i].name) == 0))
            x->receiver[x->nreceiver++].node = node[i];
        else
            node_free(&node[i]);
    }
    free(node);
    if (x->nreceiver)
        qsort(x->receiver, x->nreceiver, sizeof *x->receiver, by_id);
    return 0;
}

static const struct running *sorting;

static int by_rank(const void *a, const void *b)
{
    size_t i = *(const size_t *)a, k = *(const size_t *)b;
    int64_t x = sorting->fan.piece[i].rank, y = sorting->fan.piece[k].rank;
    return x != y ? (x < y ? -1 : 1) : i < k ? -1 : i > k;
}

/* The tables of the node's package, and those that it lost with this archive. */
static void add_tables(struct dx_head *h, const struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct object *o = p->viewed[i].object;
        if ((o->visible != VISIBLE_NONE || p->viewed[i].was != WAS_SAME) && !dx_head_table(h, o->sent->name))
            dx_head_add_table(h, o->sent);
    }
}

static int write_archive(struct running *x, struct receiver *r)
{
    struct dx_head h;
    const char *name;
    dx_head_init(&h, DX_CHANGES);
    dx_head_set(&h.to, r->node.name);
    dx_head_set(&h.epoch, r->node.epoch);
    dx_head_set(&h.package, r->plan->package->name);
    h.number = r->node.archive + 1;
    h.after = r->node.position ? r->node.position : x->a;
    h.upto = x->b;
    h.ack = r->node.merged;
    h.form = CHANGESET_PATCH;
    add_tables(&h, r->plan);
    if (rekey_fill(x->db, r->node.id, &h, &r->rekey)) {
        dx_head_free(&h);
        return -1;
    }
    int fd = outbox_begin(x->outbox, &r->node, h.number, &name);
    struct dx_writer *w = fd < 0 ? NULL : dx_writer_open(fd, name, &h, x->fan.level);
    int rc = w ? 0 : -1;
    sorting = x;
    if (r->npiece)
        qsort(r->piece, r->npiece, sizeof *r->piece, by_rank);
    for (size_t i = 0; rc == 0 && i < r->npiece; i++)
        rc = dx_write_block(w, x->fan.piece[r->piece[i]].block);
    r->changes = w ? dx_written(w) : 0;
    if (w && rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    dx_head_free(&h);
    r->written = rc == 0;
    r->bytes = fd < 0 ? 0 : (int64_t)lseek(fd, 0, SEEK_END);
    x->done->archives += rc == 0;
    return rc || outbox_end(x->outbox) ? -1 : 0;
}

/* A node with nothing to be told gets no archive. */
static int write_archives(struct running *x)
{
    for (size_t i = 0; i < x->nreceiver; i++) {
        struct receiver *r = &x->receiver[i];
        if (r->plan && (r->npiece || r->node.told < r->node.merged) && write_archive(x, r))
            return -1;
    }
    return outbox_sync(x->outbox);
}

static int write_snapshot(struct running *x)
{
    struct node n;
    const struct plan *p = NULL;
    if (node_require(x->db, x->route->extract, &n))
        return -1;
    for (size_t i = 0; i < x->nplan; i++)
        if (strcmp(x->plan[i].package->name, n.package) == 0)
            p = &x->plan[i];
    x->snapshot = tmpfile();
    int rc = x->snapshot ? 0 : fail_errno("cannot make a temporary file");
    rc = rc || extract_write(x->db, p, &n, x->b, x->views.audiences, fileno(x->snapshot), &x->mark) ? -1 : 0;
    node_free(&n);
    return rc;
}

/* ---- the commit ---- */

static int store_nodes(struct running *x)
{
    struct stmt *s =
        db_prepare(x->db, "UPDATE dx_nodes SET archive = ?2, position = ?3, told = ?4 WHERE id = ?1");
    int rc = s ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < x->nreceiver; i++) {
        const struct receiver *r = &x->receiver[i];
        if (!r->written)
            continue;
        stmt_bind_int(s, 1, r->node.id);
        stmt_bind_int(s, 2, r->node.archive + 1);
        stmt_bind_int(s, 3, x->b);
        stmt_bind_int(s, 4, r->node.merged);
        struct history_archive a = {r->node.id, r->node.archive + 1, x->b, r->changes, r->bytes, x->now};
        rc = stmt_run(s) || history_archive(x->db, &a) ||
                     rekey_carried(x->db, r->node.id, r->rekey, r->node.archive + 1)
                 ? -1
                 : 0;
    }
    stmt_free(s);
    return rc;
}

/* The nodes as this run saw them. */
static int store_routed(struct running *x)
{
    return db_exec(x->db,
                   "DELETE FROM main.dx_routed WHERE id NOT IN (SELECT id FROM temp.dx_node_all);"
                   "INSERT OR REPLACE INTO main.dx_routed (id, name, user, package) "
                   "SELECT id, name, user, package FROM temp.dx_node_all EXCEPT SELECT id, name, user, "
                   "package FROM main.dx_routed");
}

/* What a definition gives or takes when it is loaded is no news of a row. */
static int store_object(struct running *x, const struct viewed *w)
{
    bool noted = w->gone || w->was != WAS_SAME || member_whole(w->object);
    if (!noted && history_note(x->db, w->object->id, x->b))
        return -1;
    return view_store(&x->views, w);
}

static int store(struct running *x)
{
    int64_t routes;
    if (store_get_int(x->db, "routes", &routes))
        return -1;
    if (routes != x->routes)
        return fail(ERR_BUSY, "%s: another router was faster; run it again", db_path(x->db));
    for (size_t p = 0; p < x->nplan; p++) {
        if (!x->plan[p].routed)
            continue;
        for (size_t i = 0; i < x->plan[p].n; i++)
            if (store_object(x, &x->plan[p].viewed[i]))
                return -1;
        if (plan_settle(x->db, &x->plan[p]))
            return -1;
    }
    if (store_nodes(x) || store_routed(x) || history_forget(x->db, x->a, x->b) ||
        db_execf(x->db, "DELETE FROM main.dx_force WHERE id <= %lld", (long long)x->last_force) ||
        (x->route->extract && extract_store(x->db, x->route->extract, &x->mark)))
        return -1;
    return store_set_int(x->db, "routed", x->b) || store_set_int(x->db, "routes", x->routes + 1) ||
                   store_set_text(x->db, "docking", outbox_note(x->outbox))
               ? -1
               : 0;
}

static int commit(struct running *x)
{
    if (db_begin_write(x->db))
        return -1;
    if (store(x)) {
        db_rollback(x->db);
        return -1;
    }
    return db_commit(x->db);
}

/* ---- the run ---- */

static int prepare(struct running *x)
{
    x->spill = tmpfile();
    if (x->spill == NULL)
        return fail_errno("cannot make a temporary file");
    x->views.db = x->db;
    x->views.audiences = audiences_open(x->db);
    x->images = images_open(x->db);
    if (x->views.audiences == NULL || x->images == NULL || member_functions(x->db) || view_init(x->db) ||
        pairs_init(&x->views) || fan_init(&x->fan, x->db, x->views.audiences, fileno(x->spill)) ||
        plans_open(x->db, x->images, x->now, &x->plan, &x->nplan) || list_receivers(x))
        return -1;
    x->fan.images = x->images;
    x->fan.after = x->a;
    x->fan.upto = x->b;
    return db_exec(x->db,
                   "CREATE TEMP TABLE dx_node_all AS SELECT id, name, user, package FROM main.dx_nodes "
                   "WHERE active");
}

/* Everything up to the commit, in one snapshot. */
static int work(struct running *x)
{
    if (prepare(x) || images_fill(x->images, x->a, x->b))
        return -1;
    for (size_t i = 0; i < x->nplan; i++)
        if (route_package(x, &x->plan[i]))
            return -1;
    x->done->changes = x->fan.changes;
    x->done->statements = x->views.statements;
    if (db_get_int(x->db, &x->done->moved, "SELECT count(*) FROM temp.dx_moved WHERE old <> new"))
        return -1;
    if (write_archives(x) || (x->route->extract && write_snapshot(x)))
        return -1;
    return db_commit(x->db); /* ends the snapshot; the temporary tables stay */
}

static void release(struct running *x)
{
    plans_close(x->plan, x->nplan);
    images_close(x->images);
    fan_free(&x->fan);
    audiences_close(x->views.audiences);
    for (size_t i = 0; i < x->nreceiver; i++) {
        node_free(&x->receiver[i].node);
        free(x->receiver[i].piece);
    }
    free(x->receiver);
    if (x->spill)
        fclose(x->spill);
    if (x->snapshot)
        fclose(x->snapshot);
    free(x->mark.epoch);
}

/* Archives that a new numbering has put out of use, and those of nodes that have ended. */
static int clean(struct running *x)
{
    struct node *node;
    size_t n;
    if (node_list(x->db, &node, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        bool anew = x->route->extract && strcmp(x->route->extract, node[i].name) == 0;
        if (rc == 0 && (!node[i].active || anew))
            rc = outbox_remove(x->outbox, node[i].name, node[i].archive);
        node_free(&node[i]);
    }
    free(node);
    return rc;
}

static int run_once(struct running *x)
{
    int todo = read_positions(x) ? -1 : anything(x);
    if (todo <= 0)
        return todo;
    if (work(x) || commit(x) || outbox_commit(x->outbox))
        return -1;
    return clean(x);
}

static int copy_snapshot(struct running *x)
{
    uint8_t piece[65536];
    size_t got;
    rewind(x->snapshot);
    while ((got = fread(piece, 1, sizeof piece, x->snapshot)) > 0)
        if (file_write(x->route->out, piece, got, "stdout"))
            return -1;
    return ferror(x->snapshot) ? fail_errno("cannot read the temporary file") : 0;
}

/* An archive that says nothing, for a pipe that wants one. */
static int write_empty(const struct running *x, const struct node *n)
{
    struct dx_head h;
    dx_head_init(&h, DX_CHANGES);
    dx_head_set(&h.to, n->name);
    dx_head_set(&h.epoch, n->epoch);
    dx_head_set(&h.package, n->package);
    h.number = n->archive;
    h.after = h.upto = n->position;
    h.ack = n->merged;
    h.form = CHANGESET_PATCH;
    struct dx_writer *w = dx_writer_open(x->route->out, "stdout", &h, 1);
    int rc = w ? dx_writer_close(w) : -1;
    dx_head_free(&h);
    return rc;
}

static int hand_out(struct running *x)
{
    struct node n;
    int64_t count;
    if (node_require(x->db, x->route->node, &n))
        return -1;
    int rc = outbox_copy(x->outbox, n.name, n.applied + 1, x->route->out, &count);
    if (rc == 0 && count == 0 && n.archive)
        rc = write_empty(x, &n);
    node_free(&n);
    return rc;
}

/* ---- loading ---- */

static void tell_rule(const struct rule *r, void (*tell)(const char *fmt, ...))
{
    if (r->whole)
        tell("object %s: evaluated whole whenever what it reads changes, because of: %s", r->object->name,
             r->why);
    if (r->terms.n)
        tell("object %s: evaluated whole when the time in it moves on, for a date once a day",
             r->object->name);
}

int route_load(struct db *db, const char *directory, void (*tell)(const char *fmt, ...))
{
    char now[MOMENT_ROOM];
    int64_t routed = 0, known;
    moment_now(now);
    struct package *p = package_read(db, directory);
    struct images *im = p ? images_open(db) : NULL;
    int rc = im ? package_put(db, p) : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++) {
        struct rule *rule = rule_new(db, im, &p->object[i], now);
        if (rule == NULL)
            rc = fail_in("%s/package.conf", directory);
        else
            tell_rule(rule, tell);
        rule_free(rule);
    }
    /* What was before the first package was loaded was never routed to anybody. */
    rc = rc || db_get_int(db, &known, "SELECT count(*) FROM dx_meta WHERE name = 'routed'") ? -1 : 0;
    if (rc == 0 && !known)
        rc = journal_end(db, &routed) || store_set_int(db, "routed", routed) ? -1 : 0;
    if (rc == 0)
        rc = db_exec(
            db, "INSERT INTO dx_meta (name, value) VALUES ('routes', 1) ON CONFLICT (name) DO UPDATE SET "
                "value = value + 1");
    images_close(im);
    package_free(p);
    return rc;
}

int route_run(struct db *db, const struct route *r, struct route_done *done)
{
    struct running x = {.db = db, .route = r, .done = done};
    *done = (struct route_done){0};
    if (r->now)
        snprintf(x.now, sizeof x.now, "%s", r->now);
    else
        moment_now(x.now);
    if (r->now && !moment_valid(db, r->now))
        return fail(ERR_USAGE, "--now %s: a time is meant, as in 2025-12-31 or '2025-12-31 18:30:00'",
                    r->now);
    struct node n;
    const char *name = r->node ? r->node : r->extract;
    if (store_require(db) || (r->log >= 0 && check_log(db, r->log)) ||
        db_exec(db, "PRAGMA cache_size = -32000"))
        return -1;
    if (name && node_require(db, name, &n))
        return -1;
    if (name)
        node_free(&n);
    x.outbox =
        outbox_open(db, r->docking, r->extract ? "txnroute extract" : "txnroute run", r->extract != NULL);
    int rc = x.outbox ? db_begin_read(db) : -1;
    rc = rc || run_once(&x) ? -1 : 0;
    db_rollback(db);
    if (rc == 0 && r->node)
        rc = hand_out(&x);
    outbox_close(x.outbox);
    if (rc == 0 && r->extract)
        rc = copy_snapshot(&x);
    release(&x);
    return rc;
}
