/* history: see history.h. */
#include "history.h"

#include "audience.h"
#include "mem.h"

#include <stdlib.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_history ("
    " position INTEGER NOT NULL, run INTEGER NOT NULL, obj INTEGER NOT NULL, key NOT NULL, old INTEGER NOT "
    "NULL, new INTEGER NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS dx_archive ("
    " node INTEGER NOT NULL, number INTEGER NOT NULL, position INTEGER NOT NULL, changes INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, made TEXT NOT NULL, digest TEXT NOT NULL, since INTEGER NOT NULL, run INTEGER "
    "NOT "
    "NULL, snapshot INTEGER NOT NULL, PRIMARY KEY (node, number)) WITHOUT ROWID;";

/* Entries of the journal for which moves are remembered. */
enum { REMEMBERED = 1000000 };

int history_init(struct db *db)
{
    return db_exec(db, sql_make);
}

int history_note(struct db *db, int64_t object, int64_t position, int64_t run)
{
    return db_execf(
        db,
        "INSERT INTO main.dx_history (position, run, obj, key, old, new) "
        "SELECT %lld, %lld, obj, key, old, new FROM temp.dx_moved WHERE obj = %lld AND old <> new",
        (long long)position, (long long)run, (long long)object);
}

struct history_notes {
    struct stmt *put, *forget, *digest;
};

struct history_notes *history_notes_open(struct db *db)
{
    struct history_notes *n = mem_zero(1, sizeof *n);
    n->put = db_prepare(
        db, "INSERT OR REPLACE INTO main.dx_archive (node, number, position, changes, bytes, "
            "since, run, snapshot, made, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    n->digest = db_prepare(db, "SELECT digest FROM main.dx_archive WHERE node = ?1 AND number = ?2");
    n->forget =
        db_prepare(db, "DELETE FROM main.dx_archive WHERE node = ?1 AND number < ?2 - 1000 AND NOT snapshot");
    if (n->put && n->forget && n->digest)
        return n;
    history_notes_close(n);
    return NULL;
}

void history_notes_close(struct history_notes *n)
{
    if (n == NULL)
        return;
    stmt_free(n->put);
    stmt_free(n->forget);
    stmt_free(n->digest);
    free(n);
}

int history_archive(struct history_notes *n, const struct history_archive *a)
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

int history_follows(struct history_notes *n, int64_t node, int64_t number, char **digest)
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

int history_digest(struct db *db, int64_t node, int64_t number, char **digest)
{
    int there = present(db);
    *digest = NULL;
    if (there < 0 ||
        (there && db_get_text(db, digest, "SELECT digest FROM dx_archive WHERE node = %lld AND number = %lld",
                              (long long)node, (long long)number)))
        return -1;
    if (*digest == NULL)
        *digest = mem_text("");
    return 0;
}

int history_forget(struct db *db, int64_t after, int64_t upto, int64_t keep)
{
    if (after / REMEMBERED == upto / REMEMBERED)
        return 0;
    return db_execf(db, "DELETE FROM main.dx_history WHERE position < %lld",
                    keep < upto - REMEMBERED ? (long long)keep : (long long)upto - REMEMBERED);
}

int history_waiting(struct db *db, int64_t node, int64_t applied, struct history_waiting *w)
{
    struct stmt *s =
        db_preparef(db,
                    "SELECT count(*), total(changes), total(bytes), min(made) FROM dx_archive WHERE "
                    "node = %lld AND number > %lld",
                    (long long)node, (long long)applied);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    *w = (struct history_waiting){0};
    if (step == STEP_ROW)
        *w = (struct history_waiting){stmt_int(s, 0), stmt_int(s, 1), stmt_int(s, 2),
                                      mem_text(stmt_text(s, 3))};
    stmt_free(s);
    return step == STEP_ROW ? 0 : -1;
}

static int find(struct audiences *a, struct stmt *s, int64_t node, struct history_entry *e)
{
    enum step step;
    while ((step = stmt_step(s)) == STEP_ROW) {
        int before = audience_has(a, stmt_int(s, 1), node), after = audience_has(a, stmt_int(s, 2), node);
        if (before < 0 || after < 0)
            return -1;
        if (before != after) {
            e->gained = after;
            e->position = stmt_int(s, 0);
            e->run = stmt_int(s, 3);
            return 1;
        }
    }
    return step == STEP_ERROR ? -1 : 0;
}

int history_of(struct db *db, int64_t node, int64_t object, const struct val *key, struct history_entry *e)
{
    int there = present(db);
    *e = (struct history_entry){0};
    if (there <= 0)
        return there;
    struct audiences *a = audiences_open(db);
    struct stmt *s =
        db_prepare(db, "SELECT position, old, new, run FROM dx_history WHERE obj = ?1 AND key = ?2 "
                       "ORDER BY rowid DESC");
    int found = a && s ? 0 : -1;
    if (found == 0) {
        audience_all(a, &node, 1);
        stmt_bind_int(s, 1, object);
        stmt_bind(s, 2, key);
        found = find(a, s, node, e);
    }
    stmt_free(s);
    audiences_close(a);
    if (found > 0 &&
        db_get_int(db, &e->archive,
                   "SELECT number FROM dx_archive WHERE node = %lld AND since < %lld AND run >= %lld AND NOT "
                   "snapshot",
                   (long long)node, (long long)e->run, (long long)e->run))
        return -1;
    return found;
}

int history_snapshot(struct db *db, int64_t node, struct history_archive *a)
{
    struct stmt *s =
        db_preparef(db,
                    "SELECT number, position, run FROM dx_archive WHERE node = %lld AND snapshot "
                    "ORDER BY number DESC LIMIT 1",
                    (long long)node);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    *a = (struct history_archive){.node = node, .snapshot = true};
    if (step == STEP_ROW) {
        a->number = stmt_int(s, 0);
        a->position = stmt_int(s, 1);
        a->run = stmt_int(s, 2);
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}
