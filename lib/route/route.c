/* route: see route/route.h.
 *
 * A run reads everything in one snapshot at position b and works out, in temporary tables, what moved since position
 * a; it writes the nodes' archives under temporary names, and then, in one short write transaction, what it found.
 * Only the router writes what the router reads of its own, so what is true in the snapshot is true then, too; should
 * another router have been faster, dx_meta's `routes` tells, and nothing is written. */
#include "route/route.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spill.h"
#include "base/spool.h"
#include "journal/capture.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"
#include "nodes/offer.h"
#include "nodes/verdict.h"
#include "route/audience_gc.h"
#include "route/continuity.h"
#include "route/delta_by_key.h"
#include "route/delta_join.h"
#include "route/extract.h"
#include "route/fanout.h"
#include "route/full_refresh.h"
#include "route/moves.h"
#include "route/node_archives.h"
#include "route/outbox.h"
#include "route/package_run.h"
#include "route/row_class.h"
#include "route/row_requests.h"
#include "route/set_aside.h"
#include "rules/fixed_now.h"
#include "rules/package_nodes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beside the facts in journal/meta.h, the router keeps in dx_meta: routed, the position that every node's newest archive
 * stands for; routes, counted up by every commit of a run; docking, the docking directory; routed_schema, the schema that the last run saw; collect, the number of an
 * audience at which those that nobody needs are looked for. */
static const char sql_make[] =
    /* The nodes as of the last run. */
    "CREATE TABLE IF NOT EXISTS dx_routed ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL, user TEXT NOT NULL, package TEXT NOT NULL);";

/* Whether a node n was there in the run before, and a node r of that run is still, by the same name, user and package. */
#define SAME_NODE    "r.id = n.id AND r.name = n.name AND r.user = n.user AND r.package = n.package"
#define ROUTED_AS_IS "EXISTS (SELECT 1 FROM main.dx_routed AS r WHERE " SAME_NODE ")"
#define IS_AS_ROUTED "EXISTS (SELECT 1 FROM main.dx_nodes AS n WHERE n.active AND " SAME_NODE ")"

/* A snapshot that the run makes. */
struct copy_made {
    struct node node;
    struct extract_mark mark;
};

struct running {
    struct db *db;
    const struct route *route;
    struct route_done *done;
    char now[MOMENT_ROOM];
    int64_t a, b, routes, last_force, schema;
    bool unheard; /* no node of the package was there in the run before */
    struct outbox *outbox;
    struct transition_tables *images;
    struct object_deltas views;
    struct package_run *plan;
    size_t nplan;
    struct row_emitter sender;
    struct fanout fan;
    struct node_archives delivery;
    struct spill *spill;
    FILE *snapshot;         /* of route->extract */
    struct copy_made *copy; /* those that are extracted, by name */
    size_t ncopy;
    bool put; /* the files of copies have their names */
    struct set_aside aside;
    char *drift; /* what is amiss with the capture of some table, or NULL */
};

int route_init(struct db *db)
{
    return membership_init(db) || membership_log_init(db) || declare_init(db) || set_aside_init(db) ||
                   db_exec(db, sql_make)
               ? -1
               : 0;
}

/* ---- before ---- */

static int require_package(struct db *db)
{
    int64_t there;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_routed'"))
        return -1;
    return there ? 0
                 : fail(ERR_REFUSED,
                        "%s: no package is loaded here, so there is nothing to route; load one: "
                        "txnroute load %s DIRECTORY",
                        db_path(db), db_path(db));
}

static int read_positions(struct running *x)
{
    if (meta_get_int(x->db, "routed", &x->a) || meta_get_int(x->db, "routes", &x->routes) ||
        db_get_int(x->db, &x->schema, "PRAGMA main.schema_version") || journal_end(x->db, &x->b) ||
        db_get_int(x->db, &x->last_force, "SELECT max(id) FROM dx_force"))
        return -1;
    x->done->after = x->a;
    x->done->upto = x->b;
    return continuity_check_journal(x->db, x->a, x->b);
}

/* Whether a suspended node has fetched what lay there for it, and so is to be resumed. 1, 0, -1. */
static int any_fetched(struct running *x)
{
    struct stmt *s =
        db_prepare(x->db, "SELECT name, archive FROM dx_nodes WHERE active AND suspended_at IS NOT NULL");
    enum step step = STEP_ERROR;
    bool fetched = false;
    while (s && !fetched && (step = stmt_step(s)) == STEP_ROW)
        fetched = !outbox_has(x->outbox, stmt_text(s, 0), stmt_int(s, 1));
    stmt_free(s);
    return fetched ? 1 : step == STEP_ERROR ? -1 : 0;
}

/* Whether there is anything to do at all: most runs under cron find nothing. 1, 0, -1. */
static int anything(struct running *x)
{
    int64_t n, schema;
    if (x->a < x->b || x->last_force || x->ncopy || x->drift)
        return 1;
    if (meta_get_int(x->db, "routed_schema", &schema))
        return -1;
    if (schema != x->schema)
        return 1;
    if (db_get_int(
            x->db, &n,
            "SELECT EXISTS (SELECT 1 FROM dx_set_aside WHERE kind IN ('object', 'node')) OR EXISTS (SELECT 1 "
            "FROM dx_nodes "
            "WHERE active AND last_ack < merged) OR EXISTS (SELECT 1 "
            "FROM dx_object WHERE was IS NOT NULL OR fresh OR bound IS NOT NULL) OR EXISTS (SELECT 1 FROM "
            "dx_nodes AS n WHERE n.active AND NOT " ROUTED_AS_IS
            ") OR EXISTS (SELECT 1 FROM dx_routed AS r WHERE NOT " IS_AS_ROUTED ")"))
        return -1;
    int owed = n ? 1 : verdict_any(x->db);
    return owed ? owed : any_fetched(x);
}

/* ---- one package ---- */

/* The nodes of the package into their table, and what changed of them into its images. */
static int fill_nodes(struct running *x, const struct package_run *p)
{
    struct buf name = {0}, old = {0}, new = {0};
    buf_quote(&name, p->package->name);
    buf_addf(&old,
             "SELECT id, name, user, package, 'active' FROM main.dx_routed AS r WHERE r.package = %s AND NOT "
             "%s",
             buf_text(&name), IS_AS_ROUTED);
    buf_addf(
        &new,
        "SELECT id, name, user, package, 'active' FROM main.dx_nodes AS n WHERE n.active AND n.package = "
        "%s AND NOT %s",
        buf_text(&name), ROUTED_AS_IS);
    int rc = package_nodes_fill(x->db, p->package->name) ||
             transition_nodes(x->images, buf_text(&old), buf_text(&new));
    buf_free(&name);
    buf_free(&old);
    buf_free(&new);
    return rc ? -1 : 0;
}

/* The nodes of the package: who was there before and still is, and who is new. */
static int set_nodes(struct running *x, const struct package_run *p)
{
    enum { NEW, BEFORE, KINDS };
    int64_t *id[KINDS] = {NULL};
    size_t n[KINDS] = {0};
    struct stmt *s = fill_nodes(x, p)
                         ? NULL
                         : db_prepare(x->db, "SELECT n.dx_id, r.id IS NOT NULL FROM " PACKAGE_NODES
                                             " AS n LEFT JOIN main.dx_routed AS r "
                                             "ON r.id = n.dx_id AND r.package = n.package ORDER BY n.dx_id");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        int kind = stmt_int(s, 1) ? BEFORE : NEW;
        id[kind] = mem_grow(id[kind], n[kind] + 1, sizeof **id);
        id[kind][n[kind]++] = stmt_int(s, 0);
    }
    stmt_free(s);
    x->unheard = n[BEFORE] == 0;
    if (step == STEP_DONE) {
        audience_all(x->views.audiences, id[BEFORE], n[BEFORE]);
        x->fan.fresh = audience_intern(x->views.audiences, id[NEW], n[NEW]);
    }
    free(id[NEW]);
    free(id[BEFORE]);
    return step != STEP_DONE || x->fan.fresh == AUDIENCE_ERROR ? -1 : row_emit_nodes(&x->sender);
}

/* Whether the object's rows are for everybody, and nobody is there yet whom that concerns: a package that is new, whose
 * first nodes find its rows as they are. */
static bool for_nobody(const struct running *x, const struct package_run *p, const struct object_delta *w)
{
    for (size_t i = 0; i < p->n; i++)
        if ((&p->viewed[i] == w || p->viewed[i].parent == w) && p->viewed[i].was != WAS_NONE)
            return false;
    return x->unheard && !w->gone && membership_whole(w->object);
}

/* What keeps the object from being routed at all: 1 with the message recorded, 0. */
static int hindered(const struct object_delta *w)
{
    const char *why = w->gone ? NULL : rule_broken(w->rule);
    if (w->parent && w->parent->aside)
        return fail(ERR_REFUSED, "object %s, which it is below, is set aside", w->parent->object->name), 1;
    return why ? fail(ERR_REFUSED, "%s", why), 1 : 0;
}

/* What moved of one object: nothing, when nothing that its rule reads has changed. */
static int move_object(struct object_deltas *v, const struct object_delta *w)
{
    if (!w->gone && w->object->visible == VISIBLE_NONE && w->was == WAS_SAME)
        return 0;
    if (!w->gone && !w->fresh && !w->retry && !object_delta_redefined(w) && !rule_touched(w->rule) &&
        !moves_of_parent(v->db, w) && !membership_whole(w->object))
        return 0;
    if (full_refresh_needed(w))
        return full_refresh_move(v, w);
    bool own = rule_touched_by(w->rule, w->rule->relation);
    if (own && delta_by_key_move(v, w))
        return -1;
    return w->object->visible == VISIBLE_VIA      ? delta_by_key_children(v, w, own)
           : w->object->visible == VISIBLE_SELECT ? delta_join_move(v, w, own)
                                                  : 0;
}

/* What came to be for nodes since their archives were set aside, in one and the same run: rows that moved in between,
 * as the history and this run have it; what changed, from the journal since then. */
static int resume(struct running *x, const struct package_run *p, const struct receiver *r, int64_t audience)
{
    size_t first = x->sender.pieces.n;
    struct fanout resumed = {
        .sender = &x->sender, .resumed = true, .after = r->node.suspended_at, .upto = x->b};
    int64_t present = x->sender.only;
    int64_t changes = x->sender.pieces.changes;
    int rc = 0;
    x->sender.only = audience;
    for (size_t i = 0; rc == 0 && i < p->n; i++)
        rc = moves_since(&x->views, &p->viewed[i], r->node.suspended_run) ||
                     fanout_object(&resumed, &p->viewed[i])
                 ? -1
                 : 0;
    x->sender.only = present;
    if (rc == 0)
        return node_archives_deal_resumed(&x->delivery, p, first);
    if (!set_aside_can())
        return -1;
    block_pool_cut(&x->sender.pieces, first, changes);
    return node_archives_stay_suspended(&x->delivery, audience);
}

/* Nodes that were suspended together are resumed together: often a whole company comes back from its holidays. */
static int wake_all(struct running *x, const struct package_run *p)
{
    const struct receiver *r;
    int64_t audience;
    int rc = 0;
    while (rc == 0 && (rc = node_archives_next_resumed(&x->delivery, p, &r, &audience)) == 0 && r)
        rc = resume(x, p, r, audience);
    return rc;
}

/* Whether nobody holds anything of the package, and nobody is to: then its first node will find it as it is now. */
static int idle(struct running *x, const struct package_run *p)
{
    int64_t n;
    for (size_t i = 0; i < p->n; i++)
        if (p->viewed[i].was != WAS_NONE)
            return 0;
    return package_nodes_count(x->db, &n) ? -1 : n == 0;
}

static int move(struct running *x, struct package_run *p, struct object_delta *w)
{
    if (w->aside || (!w->retry && for_nobody(x, p, w)))
        return 0;
    return (hindered(w) || move_object(&x->views, w)) && object_delta_set_aside(&x->views, w) ? -1 : 0;
}

/* The nodes that came while the object was set aside, and have none of its rows, are left out of *only. */
static int leave_bare(struct running *x, const struct object_delta *w, int64_t *only)
{
    struct stmt *s = db_preparef(x->db,
                                 "SELECT dx_id FROM " PACKAGE_NODES " WHERE dx_id NOT IN (SELECT node FROM "
                                 "main.dx_set_aside_node WHERE obj = %lld AND bare) ORDER BY dx_id",
                                 (long long)w->object->id);
    int64_t *node = NULL, others, bare = 0;
    size_t n = 0;
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        node = mem_grow(node, n + 1, sizeof *node);
        node[n++] = stmt_int(s, 0);
    }
    stmt_free(s);
    others = step == STEP_ERROR ? AUDIENCE_ERROR : audience_intern(x->views.audiences, node, n);
    free(node);
    if (others == AUDIENCE_ERROR ||
        db_get_int(x->db, &bare, "SELECT count(*) FROM main.dx_set_aside_node WHERE obj = %lld AND bare",
                   (long long)w->object->id))
        return -1;
    if (bare)
        *only = *only == AUDIENCE_ALL ? others : audience_both(x->views.audiences, *only, others);
    return *only == AUDIENCE_ERROR ? -1 : bare > 0;
}

/* What of an object goes to whom. Where that was set aside before, all that came meanwhile goes now. */
static int fan_out_one(struct running *x, const struct object_delta *w)
{
    int64_t only = x->sender.only;
    int bare = w->retry ? leave_bare(x, w, &x->sender.only) : 0;
    int rc = bare < 0 || (!w->gone && row_requests_read(&x->views, w)) || fanout_object(&x->fan, w) ? -1 : 0;
    x->sender.only = only;
    return rc || (bare > 0 && fanout_bare(&x->fan, w)) ? -1 : 0;
}

static int fan_out(struct running *x, struct package_run *p, struct object_delta *w)
{
    struct block_pool *pool = &x->sender.pieces;
    size_t pieces = pool->n, aside = x->aside.n;
    int64_t changes = pool->changes, moved = x->fan.rows_moved;
    if (w->aside || (!w->gone && !object_delta_travels(w)))
        return 0;
    if (w->parent && w->parent->aside)
        hindered(w);
    else if (fan_out_one(x, w) == 0) {
        if (w->retry && w->since < p->back)
            p->back = w->since;
        return 0;
    }
    if (!set_aside_can())
        return -1;
    block_pool_cut(pool, pieces, changes);
    x->fan.rows_moved = moved;
    char *why = mem_text(err_message());
    set_aside_cut(&x->aside, aside);
    fail(ERR_REFUSED, "%s", why);
    free(why);
    return object_delta_set_aside(&x->views, w);
}

static int timed(struct running *x, struct package_run *p, struct object_delta *w,
                 int (*step)(struct running *, struct package_run *, struct object_delta *))
{
    double start = clock_seconds();
    int rc = step(x, p, w);
    w->seconds += clock_seconds() - start;
    return rc;
}

static int route_package(struct running *x, struct package_run *p)
{
    size_t first = x->sender.pieces.n;
    int nothing = set_nodes(x, p) ? -1 : idle(x, p);
    if (nothing)
        return nothing < 0 ? -1 : 0;
    if (node_archives_present(&x->delivery, p, &x->sender.only))
        return -1;
    if (x->sender.only != AUDIENCE_ALL)
        x->fan.fresh = audience_both(x->views.audiences, x->fan.fresh, x->sender.only);
    if (x->fan.fresh == AUDIENCE_ERROR)
        return -1;
    p->routed = true;
    p->back = INT64_MAX;
    for (size_t i = 0; i < p->n; i++)
        if (timed(x, p, &p->viewed[i], move))
            return -1;
    for (size_t i = 0; i < p->n; i++)
        if (timed(x, p, &p->viewed[i], fan_out))
            return -1;
    return node_archives_deal(&x->delivery, p, first) || wake_all(x, p) ? -1 : 0;
}

/* Whether a copy of the node is in use, and goes on beside the new one: where both hold the same. A node that came while
 * an object was set aside has none of its rows, but the snapshot does. 1, 0, -1. */
static int offers(struct running *x, const struct node *n)
{
    int64_t bare;
    if (x->route->renumber)
        return 0;
    if (db_get_int(x->db, &bare, "SELECT count(*) FROM main.dx_set_aside_node WHERE node = %lld AND bare",
                   (long long)n->id))
        return -1;
    return bare ? 0 : offer_in_use(x->db, n);
}

/* Who gets snapshots, and which of them are offers. */
static int read_copies(struct running *x)
{
    for (size_t i = 0; i < x->ncopy; i++) {
        struct copy_made *c = &x->copy[i];
        if (node_require(x->db, x->route->extract ? x->route->extract : x->route->copies[i], &c->node))
            return -1;
        int offered = offers(x, &c->node);
        if (offered < 0)
            return -1;
        c->mark.offer = offered;
    }
    return 0;
}

/* The receivers of archives: all but the nodes that begin again with a snapshot. */
static int list_receivers(struct running *x)
{
    char **but = mem_zero(x->ncopy, sizeof *but);
    size_t n = 0;
    for (size_t i = 0; i < x->ncopy; i++)
        if (!x->copy[i].mark.offer)
            but[n++] = x->copy[i].node.name;
    int rc = node_archives_list(&x->delivery, but, n);
    free(but);
    for (size_t i = 0; rc == 0 && i < x->ncopy; i++)
        if (x->copy[i].mark.offer)
            node_archives_current(&x->delivery, x->copy[i].node.id);
    return rc;
}

/* The copy in use gets its archive in the same run, so that the snapshot is the state after that. One that cannot get it
 * does not go on. */
static void settle_number(struct running *x, struct copy_made *c)
{
    const struct receiver *before = c->mark.offer ? node_archives_of(&x->delivery, c->node.id) : NULL;
    if (before && before->state == RECEIVER_SUSPENDED)
        c->mark.offer = false;
    if (before && before->written)
        c->node.archive++;
}

static int write_snapshot(struct running *x)
{
    struct package_run *p = NULL;
    struct copy_made *c = x->copy;
    settle_number(x, c);
    for (size_t i = 0; i < x->nplan; i++)
        if (strcmp(x->plan[i].package->name, c->node.package) == 0)
            p = &x->plan[i];
    x->snapshot = spool_stream();
    return x->snapshot == NULL ||
                   extract_write(x->db, p, &c->node, x->b, x->views.audiences, &x->delivery.ranges,
                                 x->route->sign, fileno(x->snapshot), &x->aside, &c->mark)
               ? -1
               : 0;
}

/* ---- snapshots of many nodes, as files ---- */

static char *copy_name(const struct running *x, const struct node *n, bool part)
{
    char *name = mem_printf(part ? ".%s.dx.part" : "%s.dx", n->name), *path = file_join(x->route->into, name);
    free(name);
    return path;
}

static int open_copy(void *ctx, const struct node *n)
{
    char *path = copy_name(ctx, n, true);
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        fail_errno("%s: cannot write it", path);
    free(path);
    return fd;
}

static int by_node(const void *a, const void *b)
{
    const struct extract_copy *x = a, *y = b;
    return x->node->id < y->node->id ? -1 : x->node->id > y->node->id;
}

static int write_snapshots(struct running *x)
{
    struct extract_copy *to = mem_zero(x->ncopy, sizeof *to);
    int rc = 0;
    for (size_t i = 0; i < x->ncopy; i++)
        settle_number(x, &x->copy[i]);
    for (size_t k = 0; rc == 0 && k < x->nplan; k++) {
        size_t n = 0;
        for (size_t i = 0; i < x->ncopy; i++)
            if (strcmp(x->plan[k].package->name, x->copy[i].node.package) == 0)
                to[n++] = (struct extract_copy){&x->copy[i].node, &x->copy[i].mark};
        if (n == 0)
            continue;
        qsort(to, n, sizeof *to, by_node);
        rc = extract_write_many(x->db, &x->plan[k],
                                &(struct extract_many){.copy = to,
                                                       .n = n,
                                                       .position = x->b,
                                                       .audiences = x->views.audiences,
                                                       .ranges = &x->delivery.ranges,
                                                       .spill = x->spill,
                                                       .sign = x->route->sign,
                                                       .open = open_copy,
                                                       .ctx = x},
                                &x->aside);
    }
    free(to);
    return rc;
}

/* After the commit. */
static int put_snapshots(struct running *x)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < x->ncopy; i++) {
        char *part = copy_name(x, &x->copy[i].node, true), *path = copy_name(x, &x->copy[i].node, false);
        if (rename(part, path))
            rc = fail_errno("%s: cannot be saved", path);
        free(part);
        free(path);
    }
    x->put = rc == 0;
    return rc || file_sync_directory(x->route->into) ? -1 : 0;
}

static void drop_snapshots(struct running *x)
{
    for (size_t i = 0; !x->put && x->route->into && i < x->ncopy && x->copy[i].node.name; i++) {
        char *part = copy_name(x, &x->copy[i].node, true);
        unlink(part);
        free(part);
    }
}

/* ---- the commit ---- */

/* The nodes as this run saw them. */
static int store_routed(struct running *x)
{
    return db_exec(x->db,
                   "DELETE FROM main.dx_routed WHERE id NOT IN (SELECT id FROM temp.dx_node_all);"
                   "INSERT OR REPLACE INTO main.dx_routed (id, name, user, package) SELECT id, name, user, "
                   "package FROM temp.dx_node_all AS n WHERE NOT " ROUTED_AS_IS);
}

/* What a definition gives or takes when it is loaded is no news of a row. */
static int store_object(struct running *x, const struct object_delta *w)
{
    if (w->aside)
        return 0;
    bool news = !w->gone && w->was == WAS_SAME && !membership_whole(w->object);
    struct membership_moves *moves =
        news ? membership_log_moves_open(x->db, w->object->id, x->b, x->routes + 1) : NULL;
    int rc = news && moves == NULL ? -1 : moves_store(&x->views, w, moves);
    return membership_log_moves_close(moves) || rc ? -1 : 0;
}

/* Nodes that begin again hold what the snapshot has of an object that is set aside. */
static int store_copies_aside(struct running *x)
{
    for (size_t i = 0; i < x->ncopy; i++)
        if (!x->copy[i].mark.offer &&
            db_execf(
                x->db,
                "INSERT OR REPLACE INTO main.dx_set_aside_node (obj, node, bare) SELECT a.obj, n.id, 0 FROM "
                "main.dx_set_aside AS a JOIN main.dx_object AS o ON o.id = a.obj JOIN main.dx_nodes AS n ON "
                "n.package = o.package WHERE a.kind = 'object' AND n.id = %lld",
                (long long)x->copy[i].node.id))
            return -1;
    return 0;
}

/* What the run set aside, and who came meanwhile. A row that was set aside and travels again, suspended nodes get
 * when they are resumed. */
static int store_aside(struct running *x)
{
    if (set_aside_store(x->db, &x->aside, x->now, x->route->tell) || set_aside_force_mended(x->db) ||
        db_exec(x->db, "DELETE FROM main.dx_set_aside_node WHERE obj NOT IN (SELECT obj FROM "
                       "main.dx_set_aside WHERE kind = "
                       "'object');"
                       "INSERT OR IGNORE INTO main.dx_set_aside_node (obj, node, bare) SELECT a.obj, n.id, 1 "
                       "FROM main.dx_set_aside "
                       "AS a JOIN main.dx_object AS o ON o.id = a.obj JOIN temp.dx_node_all AS n ON "
                       "n.package = o.package WHERE "
                       "a.kind = 'object' AND NOT EXISTS (SELECT 1 FROM main.dx_routed AS r WHERE r.id = "
                       "n.id AND r.package = "
                       "n.package)") ||
        store_copies_aside(x) || db_get_int(x->db, &x->done->aside, "SELECT count(*) FROM main.dx_set_aside"))
        return -1;
    return 0;
}

/* The journal is kept from where nodes are suspended and objects are set aside. */
static int hold_journal(struct running *x)
{
    return db_exec(
        x->db,
        "DELETE FROM main.dx_meta WHERE name = 'suspended'; INSERT INTO main.dx_meta (name, value) SELECT "
        "'suspended', min(at) FROM (SELECT suspended_at AS at FROM main.dx_nodes WHERE active UNION ALL "
        "SELECT "
        "position "
        "FROM main.dx_set_aside WHERE kind = 'object') HAVING min(at) IS NOT NULL");
}

static int forget(struct running *x)
{
    int64_t suspended;
    return db_get_int(x->db, &suspended,
                      "SELECT coalesce((SELECT value FROM dx_meta WHERE name = 'suspended'), %lld)",
                      (long long)x->b) ||
                   membership_log_forget(x->db, x->a, x->b, suspended) || audience_gc(x->db)
               ? -1
               : 0;
}

/* Tables that this run makes and drops are of no interest to the next; what others changed since it began is. */
static int note_schema(struct running *x, int64_t before)
{
    int64_t after;
    return before == x->schema && (db_get_int(x->db, &after, "PRAGMA main.schema_version") ||
                                   meta_set_int(x->db, "routed_schema", after))
               ? -1
               : 0;
}

static int store_copies(struct running *x)
{
    for (size_t i = 0; i < x->ncopy; i++)
        if (extract_store(x->db, &x->copy[i].node, &x->copy[i].mark, &x->delivery.ranges, x->routes + 1,
                          x->now))
            return -1;
    return 0;
}

static int store(struct running *x)
{
    int64_t routes, schema;
    if (meta_get_int(x->db, "routes", &routes) || db_get_int(x->db, &schema, "PRAGMA main.schema_version") ||
        declare_init(x->db))
        return -1;
    if (routes != x->routes)
        return fail(ERR_BUSY, "%s: another router was faster; run it again", db_path(x->db));
    for (size_t p = 0; p < x->nplan; p++) {
        if (!x->plan[p].routed)
            continue;
        for (size_t i = 0; i < x->plan[p].n; i++)
            if (store_object(x, &x->plan[p].viewed[i]))
                return -1;
        if (package_run_settle(x->db, &x->plan[p]))
            return -1;
    }
    if (node_archives_store(&x->delivery, x->now) || store_aside(x) || store_routed(x) || hold_journal(x) ||
        forget(x) ||
        db_execf(x->db,
                 "DELETE FROM main.dx_force WHERE id <= %lld AND node NOT IN (SELECT id FROM main.dx_nodes "
                 "WHERE active AND suspended_at IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM main.dx_set_aside "
                 "AS a JOIN "
                 "main.dx_object AS o ON o.id = a.obj JOIN main.dx_nodes AS n ON n.package = o.package WHERE "
                 "a.kind = "
                 "'object' AND o.tbl = dx_force.tbl AND n.id = dx_force.node)",
                 (long long)x->last_force) ||
        store_copies(x))
        return -1;
    if (meta_set_int(x->db, "routed", x->b) || meta_set_int(x->db, "routes", x->routes + 1) ||
        continuity_note(x->db) || note_schema(x, schema) ||
        meta_set_text(x->db, "docking", outbox_note(x->outbox)))
        return -1;
    return x->route->accept ? x->route->accept(x->db, x->route->ctx) : 0;
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

static int note_amiss(void *ctx, const char *table, bool captured, const char *amiss)
{
    if (captured && *amiss)
        transition_break(ctx, table, amiss);
    return 0;
}

static int prepare(struct running *x)
{
    x->spill = spill_open();
    if (x->spill == NULL)
        return -1;
    x->delivery = (struct node_archives){.db = x->db,
                                         .sender = &x->sender,
                                         .outbox = x->outbox,
                                         .sign = x->route->sign,
                                         .after = x->a,
                                         .upto = x->b};
    x->views.db = x->db;
    x->views.audiences = audiences_open(x->db);
    x->views.classes = row_classes_open(x->db);
    x->images = transition_open(x->db);
    row_emit_init(&x->sender, x->db, x->views.audiences, x->spill);
    x->views.aside = x->sender.aside = x->delivery.aside = &x->aside;
    if (read_copies(x))
        return -1;
    if (x->views.audiences == NULL || x->views.classes == NULL || x->images == NULL ||
        (x->drift && capture_each(x->db, note_amiss, x->images)) || membership_functions(x->db) ||
        object_delta_init(x->db) || delta_join_init(&x->views) ||
        package_runs_open(&x->views, x->images, x->now, &x->plan, &x->nplan) || list_receivers(x))
        return -1;
    x->fan = (struct fanout){.sender = &x->sender, .images = x->images, .after = x->a, .upto = x->b};
    x->delivery.suspend_after = x->route->suspend_after;
    x->delivery.run = x->routes;
    for (size_t i = 0; i < x->nplan; i++)
        x->delivery.redefined |= package_run_defined_anew(&x->plan[i]);
    node_archives_resume(&x->delivery);
    return db_exec(x->db,
                   "CREATE TEMP TABLE dx_node_all (id INTEGER PRIMARY KEY, name TEXT, user TEXT, package "
                   "TEXT); INSERT INTO temp.dx_node_all SELECT id, name, user, package FROM main.dx_nodes "
                   "WHERE active");
}

/* Everything up to the commit, in one snapshot. */
static int work(struct running *x)
{
    if (prepare(x) || transition_fill(x->images, x->a, x->b))
        return -1;
    for (size_t i = 0; i < x->nplan; i++)
        if (route_package(x, &x->plan[i]))
            return -1;
    x->done->changes = x->sender.pieces.changes;
    x->done->statements = x->views.statements;
    x->done->moved = x->fan.rows_moved;
    if (node_archives_write(&x->delivery) || (x->route->extract && write_snapshot(x)) ||
        (x->route->copies && write_snapshots(x)))
        return -1;
    x->done->archives = x->delivery.archives;
    return db_commit(x->db); /* ends the snapshot; the temporary tables stay */
}

static void release(struct running *x)
{
    package_runs_close(x->plan, x->nplan);
    transition_close(x->images);
    row_emit_free(&x->sender);
    row_classes_close(x->views.classes);
    audiences_close(x->views.audiences);
    node_archives_free(&x->delivery);
    spill_close(x->spill);
    set_aside_free(&x->aside);
    if (x->snapshot)
        fclose(x->snapshot);
    drop_snapshots(x);
    for (size_t i = 0; i < x->ncopy; i++) {
        free(x->copy[i].mark.epoch);
        node_free(&x->copy[i].node);
    }
    free(x->copy);
    free(x->drift);
}

/* Archives that a new numbering has put out of use, and those of nodes that have ended. */
static int clean(struct running *x)
{
    struct stmt *s = db_prepare(x->db, "SELECT name FROM dx_nodes WHERE NOT active");
    enum step step = STEP_ERROR;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < x->ncopy; i++) {
        const struct node *n = &x->copy[i].node;
        rc = x->copy[i].mark.offer ? outbox_remove_after(x->outbox, n->name, n->archive)
                                   : outbox_remove(x->outbox, n->name, INT64_MAX);
    }
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = outbox_remove(x->outbox, stmt_text(s, 0), INT64_MAX);
    stmt_free(s);
    return rc || step == STEP_ERROR ? -1 : 0;
}

static int run_once(struct running *x)
{
    int todo = read_positions(x) ? -1 : anything(x);
    if (todo <= 0)
        return todo || db_get_int(x->db, &x->done->aside, "SELECT count(*) FROM dx_set_aside") ? -1 : 0;
    if (work(x) || commit(x) || outbox_commit(x->outbox) || (x->route->copies && put_snapshots(x)))
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

/* The archives that the node has not applied. Those that it has are kept no more. */
static int hand_out(struct running *x)
{
    struct node n;
    int64_t *count = &x->done->handed;
    if (node_require(x->db, x->route->node, &n))
        return -1;
    int rc = outbox_copy(x->outbox, n.name, n.applied + 1, x->route->out, count);
    if (rc == 0 && *count == 0)
        rc = node_archives_empty(&n, x->route->sign, x->route->out);
    if (rc == 0)
        rc = outbox_remove(x->outbox, n.name, n.applied);
    node_free(&n);
    return rc;
}

/* Whether a run has put archives somewhere before. */
static bool knows_docking(struct db *db)
{
    char *docking = NULL;
    int rc = meta_get_text(db, "docking", &docking);
    if (rc == 0 && docking == NULL)
        fail(ERR_USAGE, "run: where to? a docking directory, or --node NODE for stdout");
    bool known = docking != NULL;
    free(docking);
    return known;
}

static int any_amiss(void *ctx, const char *table, bool captured, const char *amiss)
{
    (void)ctx;
    (void)table;
    return captured && *amiss;
}

/* A database that was routed before things could be set aside lacks the tables for them. */
static int make_tables(struct db *db)
{
    int there = set_aside_present(db);
    if (there)
        return there < 0 ? -1 : 0;
    if (db_begin_write(db))
        return -1;
    if (set_aside_init(db) == 0)
        return db_commit(db);
    db_rollback(db);
    return -1;
}

/* Whether all is captured. Where the fault is with single tables, the objects that read them are set aside; that is
 * reported, and looked at in each run. */
static int check_capture(struct running *x)
{
    if (capture_check(x->db) == 0)
        return 0;
    if (!set_aside_can())
        return -1;
    x->drift = mem_text(err_message());
    int found = capture_each(x->db, any_amiss, NULL);
    if (found > 0 && x->ncopy) /* what a snapshot holds, no later archive may follow */
        found = 0;
    else if (found == 0)
        found = capture_each_gone(x->db, any_amiss, NULL);
    if (found <= 0) {
        fail(ERR_REFUSED, "%s", x->drift);
        return -1;
    }
    if (x->route->tell)
        x->route->tell("%s", x->drift);
    return 0;
}

static void tell_times(const struct running *x)
{
    for (size_t i = 0; i < x->nplan; i++)
        for (size_t k = 0; k < x->plan[i].n; k++) {
            const struct object_delta *w = &x->plan[i].viewed[k];
            x->route->took(x->route->ctx, x->plan[i].package->name, w->object, w->seconds);
        }
}

int route_run(struct db *db, const struct route *r, struct route_done *done)
{
    struct running x = {.db = db, .route = r, .done = done};
    *done = (struct route_done){0};
    if (r->now)
        snprintf(x.now, sizeof x.now, "%s", r->now);
    else
        fixed_now_now(x.now);
    if (r->now && !fixed_now_valid(db, r->now))
        return fail(ERR_USAGE, "--now %s: expected a time, as in 2025-12-31 or '2025-12-31 18:30:00'",
                    r->now);
    struct node n;
    const char *name = r->node ? r->node : r->extract;
    if (meta_require(db) || require_package(db) || (r->log >= 0 && continuity_check_log(db, r->log)) ||
        db_exec(db, "PRAGMA cache_size = -32000"))
        return -1;
    if (name && node_require(db, name, &n))
        return -1;
    if (name)
        node_free(&n);
    else if (r->copies == NULL && r->docking == NULL && !knows_docking(db))
        return -1;
    x.ncopy = r->extract ? 1 : r->ncopies;
    x.copy = mem_zero(x.ncopy, sizeof *x.copy);
    if (node_end_due(db) || make_tables(db))
        return -1;
    x.outbox = outbox_open(db, r->docking, x.ncopy ? "txnroute extract" : "txnroute run", x.ncopy > 0);
    int rc = x.outbox ? db_begin_read(db) : -1;
    rc = rc || check_capture(&x) || run_once(&x) ? -1 : 0;
    done->steps = db_steps(db);
    done->aside += x.drift != NULL;
    db_rollback(db);
    if (rc == 0 && r->took)
        tell_times(&x);
    if (rc == 0 && r->node)
        rc = hand_out(&x);
    outbox_close(x.outbox);
    if (rc == 0 && r->extract)
        rc = copy_snapshot(&x);
    release(&x);
    return rc;
}
