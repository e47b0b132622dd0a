/* extract: see route/extract.h. */
#include "route/extract.h"

#include "archive/dx.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"
#include "nodes/offer.h"
#include "nodes/rekey_map.h"
#include "nodes/verdict.h"
#include "route/block_pool.h"
#include "route/declare.h"
#include "route/moves.h"
#include "route/set_aside.h"
#include "sql/key.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the rows ---- */

/* The keys of the rows that the node holds, into temp.dx_held. */
static int hold_keys(struct db *db, const struct object_delta *w, const char *audiences)
{
    struct buf sql = {0};
    buf_addf(&sql,
             "DELETE FROM temp.dx_held;"
             "INSERT INTO temp.dx_held (key) SELECT m.key FROM main.dx_member_%lld AS m WHERE m.audience IN "
             "(%s) AND NOT EXISTS (SELECT 1 FROM ",
             (long long)w->object->id, audiences);
    moves_table(&sql, w);
    buf_puts(&sql, " AS v WHERE v.key = +m.key);INSERT OR IGNORE INTO temp.dx_held (key) SELECT key FROM ");
    moves_table(&sql, w);
    buf_addf(&sql, " WHERE new <> 0 AND (new = %d OR dx_held_by(new))", AUDIENCE_ALL);
    int rc = db_exec(db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

/* Whether every copy holds every row, as far as this run has moved the object. */
static bool held_whole(const struct object_delta *w)
{
    return w->aside && w->was != WAS_SAME ? w->was == WAS_WHOLE : membership_whole(w->object);
}

/* Whether the snapshot holds the object; of one that is set aside, it holds what the copies hold. */
static bool in_snapshot(const struct object_delta *w)
{
    return !w->gone && w->object->visible != VISIBLE_NONE && !w->unread;
}

static struct stmt *prepare_rows(struct db *db, const struct object_delta *w)
{
    const struct table *t = w->object->sent;
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, t, "x.");
    if (held_whole(w)) {
        buf_puts(&sql, " FROM main.");
        buf_name(&sql, t->name);
        buf_puts(&sql, " AS x");
    } else {
        buf_puts(&sql, " FROM temp.dx_held AS h CROSS JOIN main.");
        buf_name(&sql, t->name);
        buf_puts(&sql, " AS x WHERE ");
        membership_where(&sql, t, "x", "h.key");
    }
    buf_puts(&sql, " ORDER BY ");
    if (!held_whole(w) && t->nkey == 1)
        buf_puts(&sql, "h.key"); /* the same order, in which they stand there */
    else
        layout_keys(&sql, t, "x.");
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static bool keyed(const struct change *c)
{
    for (size_t k = 0; k < c->table->nkey; k++)
        if (c->new[c->table->key[k]].type == VAL_NULL)
            return false;
    return true;
}

/* A row that no archive carries is set aside. */
static int set_row_aside(struct set_aside *aside, const struct object_delta *v, const struct change *c)
{
    struct buf room = {0};
    struct val *key = mem_zero(c->table->nkey, sizeof *key);
    if (!set_aside_can()) {
        free(key);
        return -1;
    }
    change_key(c, key);
    struct val packed = key_pack(key, c->table->nkey, &room);
    struct set_aside_entry *e = set_aside_note(aside, SET_ASIDE_ROW, SET_ASIDE_SMALLER);
    e->object = v->object->id;
    e->key = mem_text(vals_show(key, c->table->nkey));
    e->packed = vals_copy(&packed, 1);
    buf_free(&room);
    free(key);
    return 0;
}

static int write_rows(struct db *db, struct dx_writer *w, const struct object_delta *v,
                      struct set_aside *aside)
{
    const struct table *t = v->object->sent;
    struct stmt *s = prepare_rows(db, v);
    struct val *row = mem_zero(t->ncol, sizeof *row), *none = mem_zero(t->ncol, sizeof *none);
    struct change c = {.table = t, .op = CHANGE_INSERT, .origin = "", .old = none, .new = row};
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        for (size_t i = 0; i < t->ncol; i++)
            row[i] = stmt_val(s, (int)i);
        if (keyed(&c) && dx_write(w, &c))
            rc = set_row_aside(aside, v, &c);
    }
    stmt_free(s);
    free(row);
    free(none);
    return rc || step == STEP_ERROR ? -1 : 0;
}

/* dx_held_by(audience): whether the node is in it. */
struct holder {
    struct audiences *audiences;
    int64_t node;
};

static struct val sql_holds(void *ctx, const struct val *args, size_t n)
{
    const struct holder *h = ctx;
    return val_int(n == 1 && audience_has(h->audiences, args[0].i, h->node) > 0);
}

static int write_objects(struct db *db, struct dx_writer *w, const struct package_run *p,
                         const char *audiences, struct set_aside *aside)
{
    for (size_t i = 0; i < p->n; i++) {
        struct object_delta *v = &p->viewed[i];
        double start = clock_seconds();
        if (!in_snapshot(v) || (v->aside && v->was == WAS_NONE))
            continue;
        if ((!held_whole(v) && hold_keys(db, v, audiences)) || write_rows(db, w, v, aside))
            return -1;
        v->seconds += clock_seconds() - start;
    }
    return 0;
}

static int add_schema(struct db *db, struct dx_head *h, const struct object *o)
{
    struct declaration d;
    int rc = declare_object(db, o, &d);
    dx_head_add_table(h, o->sent);
    for (size_t i = 0; i < d.n; i++)
        dx_head_add_schema(h, d.sql[i]);
    declare_free(&d);
    return rc;
}

/* Whether the object's table and columns are there, as an object that is set aside may lack. 1, 0, -1. */
static int readable(struct db *db, const struct object_delta *w)
{
    const struct table *t = w->object->sent;
    int64_t n;
    for (size_t i = 0; i < t->ncol; i++)
        if (db_get_int(db, &n, "SELECT count(*) FROM pragma_table_xinfo(%Q) WHERE name = %Q COLLATE NOCASE",
                       t->name, t->col[i]) ||
            n == 0)
            return n == 0 ? 0 : -1;
    return 1;
}

/* What is the same in the snapshots of all nodes of the package. */
static int begin_head(struct db *db, struct dx_head *h, struct package_run *p)
{
    dx_head_init(h, DX_SNAPSHOT);
    dx_head_set(&h->package, p->package->name);
    h->form = CHANGESET_PATCH;
    for (size_t i = 0; i < p->n; i++) {
        struct object_delta *w = &p->viewed[i];
        int there = w->aside ? readable(db, w) : 1;
        w->unread = !there;
        if (there < 0 || (in_snapshot(w) && add_schema(db, h, w->object)))
            return -1;
    }
    return 0;
}

static void begin_mark(struct extract_mark *mark, const struct node *n, int64_t position)
{
    mark->epoch = mem_zero(17, 1);
    sha_random_hex(8, mark->epoch);
    mark->number = n->archive;
    mark->position = position;
    mark->ack = n->merged;
    mark->node = n->id;
    mark->applied = n->applied;
}

static int fill_head(struct db *db, struct dx_head *h, const struct package_run *p, const struct node *n,
                     struct key_ranges *ranges, struct extract_mark *mark)
{
    dx_head_set(&h->to, n->name);
    dx_head_set(&h->epoch, mark->epoch);
    if (mark->offer)
        dx_head_set(&h->continues, n->epoch);
    h->number = mark->number;
    h->upto = mark->number;
    h->ack = mark->ack;
    return key_ranges_fill(ranges, db, n, mark->epoch, p->package, h) ||
                   rekey_fill_snapshot(db, n->id, n->applied, h, &mark->rekey)
               ? -1
               : 0;
}

int extract_write(struct db *db, struct package_run *p, const struct node *n, int64_t position,
                  struct audiences *all, struct key_ranges *ranges, const char *sign, int fd,
                  struct set_aside *aside, struct extract_mark *mark)
{
    struct holder *holder = mem_alloc(sizeof *holder);
    struct dx_head h;
    struct buf audiences = {0};
    begin_mark(mark, n, position);
    *holder = (struct holder){all, n->id};
    int rc = begin_head(db, &h, p) || db_function_owning(db, "dx_held_by", 1, sql_holds, holder, free) ||
             audience_of_node(db, n->id, &audiences) ||
             db_exec(db, "CREATE TEMP TABLE IF NOT EXISTS dx_held (key PRIMARY KEY) WITHOUT ROWID") ||
             fill_head(db, &h, p, n, ranges, mark);
    struct dx_writer *w = rc ? NULL : dx_writer_open(fd, "snapshot", &h, DX_LEVEL_SNAPSHOT);
    if (w)
        dx_writer_sign(w, sign);
    rc = w ? write_objects(db, w, p, buf_text(&audiences), aside) : -1;
    mark->changes = w ? dx_written(w) : 0;
    if (w && rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    mark->bytes = (int64_t)lseek(fd, 0, SEEK_END);
    dx_head_free(&h);
    buf_free(&audiences);
    return rc ? -1 : 0;
}

/* ---- many nodes ---- */

/* dx_share(audience): the part of it that gets snapshots. */
struct sharing {
    struct audiences *audiences;
    int64_t all; /* of those nodes */
};

static struct val sql_share(void *ctx, const struct val *args, size_t n)
{
    const struct sharing *s = ctx;
    if (n != 1 || args[0].i == AUDIENCE_NOBODY)
        return val_int(AUDIENCE_NOBODY);
    return val_int(args[0].i == AUDIENCE_ALL ? s->all : audience_both(s->audiences, args[0].i, s->all));
}

static const char sql_make_shares[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_share (audience INTEGER PRIMARY KEY, share INTEGER);"
    "CREATE TEMP TABLE IF NOT EXISTS dx_shared (share INTEGER, key, PRIMARY KEY (share, key)) WITHOUT ROWID";

/* The keys of the rows that the nodes hold, and which of them do, into temp.dx_shared. */
static int share_keys(struct db *db, const struct object_delta *w)
{
    struct buf sql = {0};
    long long id = (long long)w->object->id;
    int64_t failed;
    buf_addf(&sql,
             "DELETE FROM temp.dx_share; DELETE FROM temp.dx_shared;"
             "INSERT INTO temp.dx_share SELECT audience, dx_share(audience) FROM (SELECT audience FROM "
             "main.dx_member_%lld UNION SELECT new FROM ",
             id);
    moves_table(&sql, w);
    buf_addf(
        &sql,
        ");INSERT INTO temp.dx_shared SELECT s.share, m.key FROM main.dx_member_%lld AS m JOIN "
        "temp.dx_share AS s ON s.audience = m.audience WHERE s.share <> 0 AND NOT EXISTS (SELECT 1 FROM ",
        id);
    moves_table(&sql, w);
    buf_puts(&sql,
             " AS v WHERE v.key = +m.key);INSERT OR IGNORE INTO temp.dx_shared SELECT s.share, v.key FROM ");
    moves_table(&sql, w);
    buf_puts(&sql, " AS v JOIN temp.dx_share AS s ON s.audience = v.new WHERE s.share <> 0");
    int rc = db_exec(db, buf_text(&sql)) ||
                     db_get_int(db, &failed, "SELECT count(*) FROM temp.dx_share WHERE share = %d",
                                AUDIENCE_ERROR) ||
                     failed
                 ? -1
                 : 0;
    buf_free(&sql);
    return rc;
}

static struct stmt *prepare_shared(struct db *db, const struct object_delta *w, int64_t all)
{
    const struct table *t = w->object->sent;
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, t, "x.");
    if (held_whole(w)) {
        buf_addf(&sql, ", %lld FROM main.", (long long)all);
        buf_name(&sql, t->name);
        buf_puts(&sql, " AS x ORDER BY ");
        layout_keys(&sql, t, "x.");
    } else {
        buf_puts(&sql, ", h.share FROM temp.dx_shared AS h CROSS JOIN main.");
        buf_name(&sql, t->name);
        buf_puts(&sql, " AS x WHERE ");
        membership_where(&sql, t, "x", "h.key");
        buf_puts(&sql, " ORDER BY h.share, h.key");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static int pool_rows(struct db *db, struct block_pool *pool, const struct object_delta *v, int64_t all,
                     struct set_aside *aside)
{
    const struct table *t = v->object->sent;
    struct stmt *s = prepare_shared(db, v, all);
    struct val *row = mem_zero(t->ncol, sizeof *row), *none = mem_zero(t->ncol, sizeof *none);
    struct change c = {.table = t, .op = CHANGE_INSERT, .origin = "", .old = none, .new = row};
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    block_pool_begin(pool, t, (int64_t)v->place);
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        for (size_t i = 0; i < t->ncol; i++)
            row[i] = stmt_val(s, (int)i);
        if (keyed(&c) && (rc = block_pool_add(pool, stmt_int(s, (int)t->ncol), &c)) > 0)
            rc = set_row_aside(aside, v, &c);
    }
    stmt_free(s);
    free(row);
    free(none);
    return rc || step == STEP_ERROR ? -1 : block_pool_end(pool);
}

static int pool_objects(struct db *db, struct block_pool *pool, const struct package_run *p, int64_t all,
                        struct set_aside *aside)
{
    for (size_t i = 0; i < p->n; i++) {
        struct object_delta *v = &p->viewed[i];
        double start = clock_seconds();
        if (!in_snapshot(v) || (v->aside && v->was == WAS_NONE))
            continue;
        if ((!held_whole(v) && share_keys(db, v)) || pool_rows(db, pool, v, all, aside))
            return -1;
        v->seconds += clock_seconds() - start;
    }
    return 0;
}

/* One node's snapshot: the blocks of which it is one of the receivers. Objects stand in the pool parents first. */
static int write_copy(struct db *db, const struct package_run *p, const struct extract_many *m, size_t i,
                      struct dx_head *h, const struct block_pool *pool)
{
    const struct node *n = m->copy[i].node;
    struct extract_mark *mark = m->copy[i].mark;
    dx_head_clear_ranges(h);
    free(h->continues);
    h->continues = NULL;
    int rc = fill_head(db, h, p, n, m->ranges, mark), has = 0, fd = rc ? -1 : m->open(m->ctx, n);
    struct dx_writer *w = fd < 0 ? NULL : dx_writer_open(fd, n->name, h, DX_LEVEL_SNAPSHOT);
    if (w)
        dx_writer_sign(w, m->sign);
    rc = w ? 0 : -1;
    for (size_t k = 0; rc == 0 && k < pool->n; k++)
        if ((has = audience_has(m->audiences, pool->piece[k].audience, n->id)) != 0)
            rc = has < 0 ? -1 : dx_write_block(w, pool->piece[k].block);
    mark->changes = w ? dx_written(w) : 0;
    if (w && rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    if (rc == 0 && fsync(fd))
        rc = fail_errno("%s.dx: cannot write it", n->name);
    mark->bytes = fd < 0 ? 0 : (int64_t)lseek(fd, 0, SEEK_END);
    if (fd >= 0)
        close(fd);
    return rc;
}

int extract_write_many(struct db *db, struct package_run *p, const struct extract_many *m,
                       struct set_aside *aside)
{
    struct sharing *sharing = mem_alloc(sizeof *sharing);
    struct block_pool pool = {.audiences = m->audiences, .level = DX_LEVEL_SNAPSHOT, .spill = m->spill};
    struct dx_head h;
    int64_t *id = mem_zero(m->n, sizeof *id);
    for (size_t i = 0; i < m->n; i++) {
        id[i] = m->copy[i].node->id;
        begin_mark(m->copy[i].mark, m->copy[i].node, m->position);
    }
    *sharing = (struct sharing){m->audiences, audience_intern(m->audiences, id, m->n)};
    int64_t all = sharing->all;
    free(id);
    int rc =
        db_function_owning(db, "dx_share", 1, sql_share, sharing, free) || all == AUDIENCE_ERROR ? -1 : 0;
    rc = begin_head(db, &h, p) || rc || db_exec(db, sql_make_shares) || pool_objects(db, &pool, p, all, aside)
             ? -1
             : 0;
    for (size_t i = 0; rc == 0 && i < m->n; i++) {
        if (h.nrekey) { /* those are of one node */
            dx_head_free(&h);
            rc = begin_head(db, &h, p);
        }
        rc = rc || write_copy(db, p, m, i, &h, &pool) ? -1 : 0;
    }
    dx_head_free(&h);
    block_pool_free(&pool);
    return rc;
}

/* The old numbering ends: key changes and verdicts that were sent in it, and are not known to have arrived, are sent again. */
static int begin_again(struct db *db, const struct extract_mark *mark, int64_t run, const char *now)
{
    struct membership_log_archive a = {.node = mark->node,
                                       .number = mark->number,
                                       .position = mark->position,
                                       .since = run,
                                       .run = run,
                                       .changes = mark->changes,
                                       .bytes = mark->bytes,
                                       .snapshot = true,
                                       .made = now,
                                       .digest = mark->epoch};
    struct membership_log_notes *notes = membership_log_notes_open(db);
    int rc = notes ? membership_log_archive(notes, &a) : -1;
    membership_log_notes_close(notes);
    if (rc || rekey_carried(db, mark->node, mark->rekey, mark->number) ||
        verdict_again(db, mark->node, mark->applied) || offer_given(db, mark->node, mark->epoch))
        return -1;
    return db_execf(db,
                    "UPDATE main.dx_nodes SET epoch = %Q, position = %lld, last_ack = %lld, applied = %lld, "
                    "suspended_at = NULL WHERE id = %lld",
                    mark->epoch, (long long)mark->position, (long long)mark->ack, (long long)mark->number,
                    (long long)mark->node);
}

int extract_store(struct db *db, const struct node *n, const struct extract_mark *mark,
                  const struct key_ranges *ranges, int64_t run, const char *now)
{
    const struct offer offer = {mark->epoch, mark->number, mark->rekey};
    return (mark->offer ? offer_make(db, n, &offer) : begin_again(db, mark, run, now)) ||
                   key_ranges_store(ranges, db, n->id, mark->epoch)
               ? -1
               : 0;
}
