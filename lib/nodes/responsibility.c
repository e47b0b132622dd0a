/* responsibility: see nodes/responsibility.h. */
#include "nodes/responsibility.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_user (name TEXT PRIMARY KEY, responsibility TEXT NOT NULL, ended INTEGER "
    "NOT NULL) "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS dx_responsibility (name TEXT PRIMARY KEY, package TEXT NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE TABLE IF NOT EXISTS dx_package_state (package TEXT PRIMARY KEY, published INTEGER NOT NULL, "
    "active INTEGER NOT NULL) WITHOUT ROWID";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package_state'";
static const char sql_loaded[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package'";

static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

static int check_package(struct db *db, const char *package)
{
    int64_t there;
    if (db_get_int(db, &there, "%s", sql_loaded))
        return -1;
    if (there && db_get_int(db, &there, "SELECT count(*) FROM dx_package WHERE name = %Q", package))
        return -1;
    return there ? 0
                 : fail(ERR_REFUSED, "%s: there is no package %s; load it: txnroute load %s DIR", db_path(db),
                        package, db_path(db));
}

/* ---- who gets what ---- */

int responsibility_knows(struct db *db, const char *user)
{
    int there = user ? present(db) : 0;
    int64_t n = 0;
    if (there > 0 && db_get_int(db, &n, "SELECT count(*) FROM dx_user WHERE name = %Q AND NOT ended", user))
        return -1;
    return there < 0 ? -1 : n > 0;
}

int responsibility_package(struct db *db, const char *user, char **package)
{
    char *responsibility = NULL;
    int there = present(db), rc = there < 0 ? -1 : 0;
    int64_t ended = 0;
    *package = NULL;
    if (there > 0 &&
        (db_get_text(db, &responsibility, "SELECT responsibility FROM dx_user WHERE name = %Q", user) ||
         db_get_int(db, &ended, "SELECT ended FROM dx_user WHERE name = %Q", user)))
        rc = -1;
    if (rc == 0 && (responsibility == NULL || ended))
        rc = fail(
            ERR_REFUSED,
            "%s: %s user %s; register one: txnroute user add %s %s --responsibility NAME, or name the node's "
            "package: --package P",
            db_path(db), ended ? "ended is" : "there is no", user, db_path(db), user);
    if (rc == 0)
        rc =
            db_get_text(db, package, "SELECT package FROM dx_responsibility WHERE name = %Q", responsibility);
    if (rc == 0 && *package == NULL)
        rc = fail(ERR_REFUSED,
                  "%s: user %s has the responsibility %s, which has no package; give it one: txnroute "
                  "responsibility "
                  "set %s %s --package P",
                  db_path(db), user, responsibility, db_path(db), responsibility);
    free(responsibility);
    return rc;
}

/* Nodes of the user that have the package `before` get the one that the user has now. */
static int move_nodes(struct db *db, const char *user, const char *before)
{
    struct node *n = NULL;
    size_t count = 0;
    char *package = NULL;
    int rc = before ? responsibility_package(db, user, &package) || node_list(db, &n, &count) : 0;
    for (size_t i = 0; i < count; i++) {
        if (rc == 0 && n[i].active && strcmp(n[i].user, user) == 0 && strcmp(n[i].package, before) == 0)
            rc = node_set(db, n[i].name, NULL, package);
        node_free(&n[i]);
    }
    free(n);
    free(package);
    return rc ? -1 : 0;
}

int responsibility_set_user(struct db *db, const char *user, const char *responsibility)
{
    char *before = NULL;
    if (*user == 0)
        return fail(ERR_USAGE, "a user's name is empty");
    int rc =
        db_exec(db, sql_make) || db_get_text(db, &before,
                                             "SELECT package FROM dx_responsibility WHERE name = (SELECT "
                                             "responsibility FROM dx_user WHERE name = %Q)",
                                             user)
            ? -1
            : db_execf(db, "INSERT OR REPLACE INTO dx_user VALUES (%Q, %Q, 0)", user, responsibility);
    if (rc == 0)
        rc = move_nodes(db, user, before);
    free(before);
    return rc;
}

int responsibility_end_user(struct db *db, const char *user)
{
    int64_t there = 0;
    if (db_exec(db, sql_make) || db_get_int(db, &there, "SELECT count(*) FROM dx_user WHERE name = %Q", user))
        return -1;
    if (!there)
        return fail(ERR_REFUSED, "%s: there is no user %s", db_path(db), user);
    return db_execf(db, "UPDATE dx_user SET ended = 1 WHERE name = %Q", user);
}

/* The users of the responsibility that have not ended; the caller frees each, and the array. */
static int users_of(struct db *db, const char *name, char ***user, size_t *n)
{
    struct stmt *s =
        db_prepare(db, "SELECT name FROM dx_user WHERE responsibility = ?1 AND NOT ended ORDER BY name");
    enum step step = STEP_ERROR;
    if (s)
        stmt_bind_text(s, 1, name);
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *user = mem_grow(*user, *n + 1, sizeof **user);
        (*user)[(*n)++] = mem_text(stmt_text(s, 0));
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

int responsibility_set(struct db *db, const char *name, const char *package)
{
    char *before = NULL, **user = NULL;
    size_t n = 0;
    if (*name == 0)
        return fail(ERR_USAGE, "a responsibility's name is empty");
    int rc =
        check_package(db, package) || db_exec(db, sql_make) ||
                db_get_text(db, &before, "SELECT package FROM dx_responsibility WHERE name = %Q", name) ||
                db_execf(db, "INSERT OR REPLACE INTO dx_responsibility VALUES (%Q, %Q)", name, package) ||
                users_of(db, name, &user, &n)
            ? -1
            : 0;
    for (size_t i = 0; i < n; i++) {
        if (rc == 0)
            rc = move_nodes(db, user[i], before);
        free(user[i]);
    }
    free(user);
    free(before);
    return rc;
}

/* ---- whether it is given out ---- */

static int set_state(struct db *db, const char *package, const char *column, bool on)
{
    return check_package(db, package) || db_exec(db, sql_make) ||
                   db_execf(db, "INSERT OR IGNORE INTO dx_package_state VALUES (%Q, 1, 1)", package) ||
                   db_execf(db, "UPDATE dx_package_state SET %s = %d WHERE package = %Q", column, on, package)
               ? -1
               : 0;
}

int responsibility_publish(struct db *db, const char *package, bool published)
{
    return set_state(db, package, "published", published);
}

int responsibility_activate(struct db *db, const char *package, bool active)
{
    return set_state(db, package, "active", active);
}

int responsibility_check(struct db *db, const struct node *n, bool copy)
{
    int there = present(db);
    int64_t ended = 0, inactive = 0, unpublished = 0;
    if (there <= 0)
        return there;
    if (db_get_int(db, &ended, "SELECT ended FROM dx_user WHERE name = %Q", n->user) ||
        db_get_int(db, &inactive, "SELECT NOT active FROM dx_package_state WHERE package = %Q", n->package) ||
        db_get_int(db, &unpublished, "SELECT NOT published FROM dx_package_state WHERE package = %Q",
                   n->package))
        return -1;
    if (ended)
        return fail(ERR_REFUSED, "user '%s' has been ended here; ask the server's operator", n->user);
    if (inactive)
        return fail(ERR_REFUSED,
                    "package '%s' is not active now; sync again later, or ask the server's operator",
                    n->package);
    if (copy && unpublished)
        return fail(ERR_REFUSED,
                    "package '%s' is not published, so no new copy is made; ask the server's operator",
                    n->package);
    return 0;
}

/* ---- telling ---- */

static int each(struct db *db, const char *sql, responsibility_fn *fn, void *ctx)
{
    struct stmt *s = db_prepare(db, sql);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        const struct responsibility_row row = {stmt_text(s, 0), stmt_text(s, 1), stmt_int(s, 2),
                                               stmt_int(s, 3)};
        fn(ctx, &row);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

int responsibility_each_user(struct db *db, responsibility_fn *fn, void *ctx)
{
    int there = present(db);
    return there <= 0
               ? there
               : each(db, "SELECT name, responsibility, 1, NOT ended FROM dx_user ORDER BY name", fn, ctx);
}

int responsibility_each(struct db *db, responsibility_fn *fn, void *ctx)
{
    int there = present(db);
    return there <= 0 ? there
                      : each(db, "SELECT name, package, 1, 1 FROM dx_responsibility ORDER BY name", fn, ctx);
}

int responsibility_each_package(struct db *db, responsibility_fn *fn, void *ctx)
{
    int there = present(db);
    int64_t loaded = 0;
    if (there < 0 || db_get_int(db, &loaded, "%s", sql_loaded))
        return -1;
    return !loaded ? 0
           : there
               ? each(
                     db,
                     "SELECT name, '', coalesce(published, 1), coalesce(active, 1) FROM dx_package LEFT JOIN "
                     "dx_package_state ON package = name ORDER BY name",
                     fn, ctx)
               : each(db, "SELECT name, '', 1, 1 FROM dx_package ORDER BY name", fn, ctx);
}
