/* node: see nodes/node.h. */
#include "nodes/node.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sha.h"
#include "journal/meta.h"
#include "nodes/departure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_nodes ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, user TEXT NOT NULL, package TEXT NOT "
    "NULL,"
    " epoch TEXT NOT NULL, active INTEGER NOT NULL, archive INTEGER NOT NULL DEFAULT 0,"
    " position INTEGER NOT NULL DEFAULT 0, suspended_at INTEGER, suspended_run INTEGER,"
    " applied INTEGER NOT NULL DEFAULT 0, merged INTEGER NOT NULL DEFAULT 0, last_ack INTEGER NOT NULL "
    "DEFAULT 0);"

    "CREATE VIEW IF NOT EXISTS dx_node (name, user, package, status) AS"
    " SELECT name, user, package, iif(active, 'active', 'ended') FROM dx_nodes;"

    /* Rows to send whole, or to remove, with the node's next archive. */
    "CREATE TABLE IF NOT EXISTS dx_force ("
    " id INTEGER PRIMARY KEY, node INTEGER NOT NULL, tbl TEXT NOT NULL, key NOT NULL, UNIQUE (node, tbl, "
    "key));";

static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_nodes'";

#define COLUMNS                                                                   \
    "id, name, user, package, epoch, active, archive, position, applied, merged," \
    " last_ack, coalesce(suspended_at, -1), suspended_run"

int node_init(struct db *db)
{
    return db_exec(db, sql_make);
}

/* Whether there are nodes at all: 1, 0, -1. */
static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

static struct node take(struct stmt *s)
{
    return (struct node){.id = stmt_int(s, 0),
                         .name = mem_text(stmt_text(s, 1)),
                         .user = mem_text(stmt_text(s, 2)),
                         .package = mem_text(stmt_text(s, 3)),
                         .epoch = mem_text(stmt_text(s, 4)),
                         .active = stmt_int(s, 5) != 0,
                         .archive = stmt_int(s, 6),
                         .position = stmt_int(s, 7),
                         .applied = stmt_int(s, 8),
                         .merged = stmt_int(s, 9),
                         .last_ack = stmt_int(s, 10),
                         .suspended_at = stmt_int(s, 11),
                         .suspended_run = stmt_int(s, 12)};
}

int node_find(struct db *db, const char *name, struct node *out)
{
    memset(out, 0, sizeof *out);
    int there = present(db);
    if (there <= 0)
        return there;
    struct stmt *s = db_preparef(db, "SELECT " COLUMNS " FROM dx_nodes WHERE name = %Q", name);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW)
        *out = take(s);
    stmt_free(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

void node_free(struct node *n)
{
    free(n->name);
    free(n->user);
    free(n->package);
    free(n->epoch);
    memset(n, 0, sizeof *n);
}

/* Whether the node has come to its end by its date: 1, 0, -1. */
static int is_over(struct db *db, const struct node *n)
{
    struct departure d;
    int noted = departure_find(db, n->id, &d);
    bool due = noted > 0 && departure_due(&d);
    departure_free(&d);
    return noted < 0 ? -1 : due;
}

int node_require(struct db *db, const char *name, struct node *out)
{
    int found = node_find(db, name, out);
    int over = found > 0 ? is_over(db, out) : 0;
    if (found < 0 || over < 0) {
        node_free(out);
        return -1;
    }
    if (found == 0)
        return fail(ERR_REFUSED, "node %s is unknown here; register it: txnroute node add %s %s --package P",
                    name, db_path(db), name);
    if (out->active && !over)
        return 0;
    node_free(out);
    return fail(
        ERR_REFUSED,
        "node %s has been ended; to take it up again: txnroute node add, then initialize its copy again",
        name);
}

int node_list(struct db *db, struct node **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    int there = present(db);
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, "SELECT " COLUMNS " FROM dx_nodes ORDER BY name");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *out = mem_grow(*out, *n + 1, sizeof **out);
        (*out)[(*n)++] = take(s);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* The package must be loaded. */
static int check_package(struct db *db, const char *package)
{
    int64_t n;
    if (db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package'"))
        return -1;
    if (n && db_get_int(db, &n, "SELECT count(*) FROM dx_package WHERE name = %Q", package))
        return -1;
    return n ? 0
             : fail(ERR_REFUSED, "%s: no package %s is loaded; load it: txnroute load %s DIRECTORY",
                    db_path(db), package, db_path(db));
}

/* A new numbering: what copies of this node there are must be made again. */
static int renew(struct db *db, const char *name)
{
    char epoch[17];
    sha_random_hex(8, epoch);
    return db_execf(db, "UPDATE dx_nodes SET epoch = %Q, suspended_at = NULL WHERE name = %Q", epoch, name);
}

int node_add(struct db *db, const char *name, const char *user, const char *package)
{
    struct node known;
    if (!meta_node_name(name))
        return fail(ERR_REFUSED,
                    "'%s' cannot be a node's name: 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter, "
                    "digit or _; not lock, cron.lock, cron.log, cron.log.new, stick.lock, files.new, "
                    "files.seen or unfinished, which the docking directory keeps itself",
                    name);
    if (node_init(db) || check_package(db, package))
        return -1;
    int found = node_find(db, name, &known), over = found > 0 ? is_over(db, &known) : 0;
    bool active = known.active && !over;
    int64_t id = known.id;
    node_free(&known);
    if (found < 0 || over < 0)
        return -1;
    if (found && active)
        return fail(ERR_REFUSED, "%s: node %s is registered already; change it by txnroute node set",
                    db_path(db), name);
    int rc = db_execf(db,
                      "INSERT INTO dx_nodes (name, user, package, epoch, active) VALUES (%Q, %Q, %Q, '', 1) "
                      "ON CONFLICT (name) DO UPDATE SET user = excluded.user, package = excluded.package, "
                      "active = 1",
                      name, user ? user : "", package);
    return rc || (found && departure_cancel(db, id)) ? -1 : renew(db, name);
}

int node_set(struct db *db, const char *name, const char *user, const char *package)
{
    struct node n;
    if (node_require(db, name, &n))
        return -1;
    int rc = 0;
    if (user)
        rc = db_execf(db, "UPDATE dx_nodes SET user = %Q WHERE name = %Q", user, name);
    if (rc == 0 && package && strcmp(package, n.package) != 0) {
        rc = check_package(db, package);
        rc = rc || db_execf(db, "UPDATE dx_nodes SET package = %Q WHERE name = %Q", package, name);
        rc = rc || renew(db, name);
    }
    node_free(&n);
    return rc ? -1 : 0;
}

static int end(struct db *db, const struct node *n)
{
    return db_execf(db,
                    "UPDATE dx_nodes SET active = 0 WHERE id = %lld; DELETE FROM dx_force WHERE node = %lld",
                    (long long)n->id, (long long)n->id);
}

int node_end(struct db *db, const char *name)
{
    struct node n;
    if (node_require(db, name, &n))
        return -1;
    int rc = departure_cancel(db, n.id) || end(db, &n) ? -1 : 0;
    node_free(&n);
    return rc;
}

int node_end_at(struct db *db, const char *name, int64_t at, const char *site)
{
    struct node n;
    if (node_require(db, name, &n))
        return -1;
    int rc = at ? departure_set(db, n.id, at, site) : departure_cancel(db, n.id);
    if (rc == 0 && at && at <= (int64_t)time(NULL))
        rc = end(db, &n);
    node_free(&n);
    return rc;
}

#define DUE "(SELECT node FROM dx_departure WHERE time <= %lld)"

int node_end_due(struct db *db)
{
    int64_t n = 0, now = (int64_t)time(NULL);
    int there = departure_present(db);
    if (there <= 0)
        return there;
    if (db_get_int(db, &n, "SELECT count(*) FROM dx_nodes WHERE active AND id IN " DUE, (long long)now))
        return -1;
    if (n == 0)
        return 0;
    if (db_begin_write(db))
        return -1;
    if (db_execf(
            db, "UPDATE dx_nodes SET active = 0 WHERE id IN " DUE "; DELETE FROM dx_force WHERE node IN " DUE,
            (long long)now, (long long)now) == 0)
        return db_commit(db);
    db_rollback(db);
    return -1;
}

int node_note_merged(struct db *db, int64_t node, int64_t number)
{
    return db_execf(db, "UPDATE dx_nodes SET merged = %lld WHERE id = %lld", (long long)number,
                    (long long)node);
}

int node_note_applied(struct db *db, int64_t node, int64_t number)
{
    return db_execf(db, "UPDATE dx_nodes SET applied = %lld WHERE id = %lld AND applied < %lld",
                    (long long)number, (long long)node, (long long)number);
}

int node_force(struct db *db, int64_t node, const char *table, const struct val *key)
{
    /* A request made again gets a new number, so that one made during a run outlives that run. */
    struct stmt *s = db_prepare(db, "INSERT OR REPLACE INTO dx_force (node, tbl, key) VALUES (?1, ?2, ?3)");
    if (s == NULL)
        return -1;
    stmt_bind_int(s, 1, node);
    stmt_bind_text(s, 2, table);
    stmt_bind(s, 3, key);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}
