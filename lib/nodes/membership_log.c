/* membership_log: see nodes/membership_log.h. */
#include "nodes/membership_log.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/audience.h"

#include <stdlib.h>

static const char sql_make[] =
    /* moves: of rows of one object in one run, one after another: the packed key as val_put writes it, and the audience
     * before and after as varints, one more than their numbers. */
    "CREATE TABLE IF NOT EXISTS dx_history ("
    " position INTEGER NOT NULL, run INTEGER NOT NULL, obj INTEGER NOT NULL, moves BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS dx_archive ("
    " node INTEGER NOT NULL, number INTEGER NOT NULL, position INTEGER NOT NULL, changes INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, made TEXT NOT NULL, digest TEXT NOT NULL, since INTEGER NOT NULL, run INTEGER "
    "NOT "
    "NULL, snapshot INTEGER NOT NULL, PRIMARY KEY (node, number)) WITHOUT ROWID;";

/* Entries of the journal for which moves are remembered. */
enum { REMEMBERED = 1000000 };

int membership_log_init(struct db *db)
{
    return db_exec(db, sql_make);
}

/* ---- moves ---- */

/* Bytes of moves in a row of the table, about. */
enum { BLOCK = 32768 };

struct membership_moves {
    struct stmt *put;
    struct buf block;
};

struct membership_moves *membership_log_moves_open(struct db *db, int64_t object, int64_t position,
                                                   int64_t run)
{
    struct membership_moves *m = mem_zero(1, sizeof *m);
    m->put = db_preparef(
        db, "INSERT INTO main.dx_history (position, run, obj, moves) VALUES (%lld, %lld, %lld, ?1)",
        (long long)position, (long long)run, (long long)object);
    if (m->put)
        return m;
    free(m);
    return NULL;
}

static int end_block(struct membership_moves *m)
{
    struct val block = {.type = VAL_BLOB, .p = m->block.p, .n = m->block.n};
    stmt_bind(m->put, 1, &block);
    int rc = stmt_run(m->put);
    buf_clear(&m->block);
    return rc;
}

int membership_log_move(struct membership_moves *m, const struct val *key, int64_t old, int64_t new)
{
    val_put(&m->block, key);
    wire_put_varint(&m->block, (uint64_t)(old + 1));
    wire_put_varint(&m->block, (uint64_t)(new + 1));
    return m->block.n < BLOCK ? 0 : end_block(m);
}

int membership_log_moves_close(struct membership_moves *m)
{
    if (m == NULL)
        return 0;
    int rc = m->block.n ? end_block(m) : 0;
    stmt_free(m->put);
    buf_free(&m->block);
    free(m);
    return rc;
}

struct membership_log_past {
    struct db *db;
    struct stmt *blocks;
    struct wire block;
    struct membership_log_move move; /* position and run of the block at hand */
};

struct membership_log_past *membership_log_past_open(struct db *db, int64_t object, int64_t run, bool newest)
{
    struct membership_log_past *p = mem_zero(1, sizeof *p);
    p->db = db;
    p->blocks = db_preparef(db,
                            "SELECT moves, position, run FROM main.dx_history WHERE %lld IN (obj, %d) AND "
                            "run > %lld ORDER BY rowid%s",
                            (long long)object, HISTORY_ALL, (long long)run, newest ? " DESC" : "");
    if (p->blocks)
        return p;
    free(p);
    return NULL;
}

int membership_log_past_next(struct membership_log_past *p, struct membership_log_move *m)
{
    while (p->block.p == p->block.end) {
        enum step step = stmt_step(p->blocks);
        if (step != STEP_ROW)
            return (int)step;
        struct val block = stmt_val(p->blocks, 0);
        p->block = wire_over(block.p, block.n);
        p->move.position = stmt_int(p->blocks, 1);
        p->move.run = stmt_int(p->blocks, 2);
    }
    *m = p->move;
    m->key = val_get(&p->block);
    m->old = (int64_t)wire_varint(&p->block) - 1;
    m->new = (int64_t)wire_varint(&p->block) - 1;
    return p->block.state == WIRE_OK ? 1 : fail(ERR_REFUSED, "%s: dx_history is damaged", db_path(p->db));
}

void membership_log_past_close(struct membership_log_past *p)
{
    if (p == NULL)
        return;
    stmt_free(p->blocks);
    free(p);
}

int membership_log_drop(struct db *db, int64_t object)
{
    return db_execf(db, "DELETE FROM main.dx_history WHERE obj = %lld", (long long)object);
}

/* ---- archives ---- */

struct membership_log_notes {
    struct stmt *put, *forget, *digest;
};

struct membership_log_notes *membership_log_notes_open(struct db *db)
{
    struct membership_log_notes *n = mem_zero(1, sizeof *n);
    n->put = db_prepare(
        db, "INSERT OR REPLACE INTO main.dx_archive (node, number, position, changes, bytes, "
            "since, run, snapshot, made, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    n->digest =
        db_prepare(db, "SELECT digest FROM main.dx_archive WHERE node = ?1 AND number = ?2 AND NOT snapshot");
    n->forget =
        db_prepare(db, "DELETE FROM main.dx_archive WHERE node = ?1 AND number < ?2 - 1000 AND NOT snapshot");
    if (n->put && n->forget && n->digest)
        return n;
    membership_log_notes_close(n);
    return NULL;
}

void membership_log_notes_close(struct membership_log_notes *n)
{
    if (n == NULL)
        return;
    stmt_free(n->put);
    stmt_free(n->forget);
    stmt_free(n->digest);
    free(n);
}

int membership_log_archive(struct membership_log_notes *n, const struct membership_log_archive *a)
{
    const int64_t value[] = {a->node,  a->number, a->position, a->changes,
                             a->bytes, a->since,  a->run,      a->snapshot};
    enum { VALUES = sizeof value / sizeof *value };
    for (int i = 0; i < VALUES; i++)
        stmt_bind_int(n->put, i + 1, value[i]);
    stmt_bind_text(n->put, VALUES + 1, a->made);
    stmt_bind_text(n->put, VALUES + 2, a->digest);
    stmt_bind_int(n->forget, 1, a->node);
    stmt_bind_int(n->forget, 2, a->number);
    return stmt_run(n->put) || stmt_run(n->forget) ? -1 : 0;
}

int membership_log_follows(struct membership_log_notes *n, int64_t node, int64_t number, char **digest)
{
    stmt_bind_int(n->digest, 1, node);
    stmt_bind_int(n->digest, 2, number);
    enum step step = stmt_step(n->digest);
    *digest = step == STEP_ERROR ? NULL : mem_text(step == STEP_ROW ? stmt_text(n->digest, 0) : "");
    stmt_reset(n->digest);
    return *digest ? 0 : -1;
}

/* Whether the tables are there: 1, 0, -1. */
static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_archive'") ? -1 : n > 0;
}

int membership_log_digest(struct db *db, int64_t node, int64_t number, char **digest)
{
    int there = present(db);
    *digest = NULL;
    if (there < 0 ||
        (there &&
         db_get_text(db, digest,
                     "SELECT digest FROM dx_archive WHERE node = %lld AND number = %lld AND NOT snapshot",
                     (long long)node, (long long)number)))
        return -1;
    if (*digest == NULL)
        *digest = mem_text("");
    return 0;
}

int membership_log_knows(struct db *db, int64_t node, const char *epoch)
{
    int64_t noted = 0, found = 0;
    int there = present(db);
    if (there < 0 ||
        (there &&
         (db_get_int(db, &noted,
                     "SELECT count(*) FROM dx_archive WHERE node = %lld AND snapshot AND digest <> ''",
                     (long long)node) ||
          db_get_int(db, &found,
                     "SELECT count(*) FROM dx_archive WHERE node = %lld AND snapshot AND digest = %Q",
                     (long long)node, epoch))))
        return -1;
    return noted == 0 || found > 0;
}

int membership_log_begins(struct db *db, int64_t node, int64_t number, const char *epoch)
{
    return db_execf(
        db, "UPDATE main.dx_archive SET snapshot = 1, digest = %Q WHERE node = %lld AND number = %lld", epoch,
        (long long)node, (long long)number);
}

int membership_log_forget(struct db *db, int64_t after, int64_t upto, int64_t keep)
{
    if (after / REMEMBERED == upto / REMEMBERED)
        return 0;
    return db_execf(db, "DELETE FROM main.dx_history WHERE position < %lld",
                    keep < upto - REMEMBERED ? (long long)keep : (long long)upto - REMEMBERED);
}

int membership_log_waiting(struct db *db, int64_t node, int64_t applied, struct membership_log_waiting *w)
{
    struct stmt *s =
        db_preparef(db,
                    "SELECT count(*), total(changes), total(bytes), min(made) FROM dx_archive WHERE "
                    "node = %lld AND number > %lld",
                    (long long)node, (long long)applied);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    *w = (struct membership_log_waiting){0};
    if (step == STEP_ROW)
        *w = (struct membership_log_waiting){stmt_int(s, 0), stmt_int(s, 1), stmt_int(s, 2),
                                             mem_text(stmt_text(s, 3))};
    stmt_free(s);
    return step == STEP_ROW ? 0 : -1;
}

/* The newest move of the row that made a difference to the node. 1, 0, -1. */
static int find(struct audiences *a, struct membership_log_past *p, int64_t node, const struct val *key,
                struct membership_log_entry *e)
{
    struct membership_log_move m;
    int rc;
    while ((rc = membership_log_past_next(p, &m)) > 0) {
        if (val_compare(&m.key, key) != 0)
            continue;
        int before = audience_has(a, m.old, node), after = audience_has(a, m.new, node);
        if (before < 0 || after < 0)
            return -1;
        if (before != after) {
            e->gained = after;
            e->position = m.position;
            e->run = m.run;
            return 1;
        }
    }
    return rc;
}

int membership_log_of(struct db *db, int64_t node, int64_t object, const struct val *key,
                      struct membership_log_entry *e)
{
    int there = present(db);
    *e = (struct membership_log_entry){0};
    if (there <= 0)
        return there;
    struct audiences *a = audiences_open(db);
    struct membership_log_past *p = membership_log_past_open(db, object, 0, true);
    int found = a && p ? 0 : -1;
    if (found == 0) {
        audience_all(a, &node, 1);
        found = find(a, p, node, key, e);
    }
    membership_log_past_close(p);
    audiences_close(a);
    if (found > 0 &&
        db_get_int(db, &e->archive,
                   "SELECT number FROM dx_archive WHERE node = %lld AND since < %lld AND run >= %lld AND NOT "
                   "snapshot",
                   (long long)node, (long long)e->run, (long long)e->run))
        return -1;
    return found;
}

static int each_since(struct audiences *a, struct membership_log_past *p, int64_t node, membership_log_fn *fn,
                      void *ctx)
{
    struct membership_log_move m;
    int rc;
    while ((rc = membership_log_past_next(p, &m)) > 0) {
        int before = audience_has(a, m.old, node), after = audience_has(a, m.new, node);
        if (before < 0 || after < 0 || (before != after && fn(ctx, &m.key, after)))
            return -1;
    }
    return rc;
}

int membership_log_run(struct db *db, int64_t node, int64_t archive, int64_t *run)
{
    int there = present(db);
    int64_t known;
    if (there <= 0)
        return there;
    if (db_get_int(db, &known, "SELECT count(*) FROM dx_archive WHERE node = %lld AND number = %lld",
                   (long long)node, (long long)archive) ||
        db_get_int(db, run, "SELECT run FROM dx_archive WHERE node = %lld AND number = %lld", (long long)node,
                   (long long)archive))
        return -1;
    return known != 0;
}

int membership_log_run_before(struct db *db, int64_t days, int64_t *run)
{
    return db_get_int(
        db, run, "SELECT coalesce(max(run), 0) FROM dx_archive WHERE made < datetime('now', '-%lld days')",
        (long long)days);
}

int membership_log_since(struct db *db, int64_t node, int64_t object, int64_t run, membership_log_fn *fn,
                         void *ctx)
{
    struct audiences *a = audiences_open(db);
    struct membership_log_past *p = membership_log_past_open(db, object, run, false);
    int rc = -1;
    if (a && p) {
        audience_all(a, &node, 1);
        rc = each_since(a, p, node, fn, ctx);
    }
    membership_log_past_close(p);
    audiences_close(a);
    return rc;
}

int membership_log_snapshot(struct db *db, int64_t node, struct membership_log_archive *a)
{
    struct stmt *s =
        db_preparef(db,
                    "SELECT number, position, run FROM dx_archive WHERE node = %lld AND snapshot "
                    "ORDER BY number DESC LIMIT 1",
                    (long long)node);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    *a = (struct membership_log_archive){.node = node, .snapshot = true};
    if (step == STEP_ROW) {
        a->number = stmt_int(s, 0);
        a->position = stmt_int(s, 1);
        a->run = stmt_int(s, 2);
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}
