/* local_sql: see sql/local_sql.h. */
#include "sql/local_sql.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* SQLite's authorizer codes beside those of sql/db.h. */
enum {
    CREATE_INDEX = 1,
    CREATE_TABLE = 2,
    CREATE_TRIGGER = 7,
    CREATE_VIEW = 8,
    DROP_INDEX = 10,
    DROP_TABLE = 11,
    DROP_TRIGGER = 16,
    DROP_VIEW = 17,
    ALTER_TABLE = 26,
    REINDEX = 27,
    ANALYZE = 28,
    CREATE_VTABLE = 29,
    DROP_VTABLE = 30
};

/* kind, name: as in sqlite_schema. */
static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_package_object (type TEXT NOT NULL, name TEXT "
                               "NOT NULL, PRIMARY KEY (type, "
                               "name)) WITHOUT ROWID";
static const char sql_before[] = "DROP TABLE IF EXISTS temp.dx_schema_before; CREATE TEMP TABLE "
                                 "dx_schema_before AS SELECT type, name, sql "
                                 "FROM main.sqlite_schema";
static const char sql_note[] =
    "INSERT INTO dx_package_object (type, name) SELECT type, name FROM sqlite_schema WHERE type IN ('view', "
    "'trigger', 'index') AND sql IS NOT NULL AND name NOT LIKE 'dx~_%' ESCAPE '~' EXCEPT SELECT type, name "
    "FROM "
    "temp.dx_schema_before; DROP TABLE temp.dx_schema_before";
static const char sql_made[] =
    "SELECT o.type, o.name FROM dx_package_object o JOIN sqlite_schema s ON s.type = "
    "o.type AND s.name = o.name ORDER BY o.type = 'index', o.type = 'view', o.name";
/* Unique indexes that were not there before, with their tables. */
static const char sql_unique[] =
    "SELECT s.name, s.tbl_name FROM sqlite_schema s JOIN pragma_index_list(s.tbl_name) l ON l.name = s.name "
    "AND "
    "l.\"unique\" WHERE s.type = 'index' AND s.sql IS NOT NULL AND s.name NOT IN (SELECT name FROM "
    "temp.dx_schema_before WHERE type = 'index')";

struct run {
    local_sql_travels *travels;
    void *ctx;
    char why[256]; /* what was not allowed; "" */
};

/* ---- what may be ---- */

static bool begins(const char *name, const char *with)
{
    return strncasecmp(name, with, strlen(with)) == 0;
}

static bool is_schema(const char *table)
{
    return strcasecmp(table, "sqlite_master") == 0 || strcasecmp(table, "sqlite_schema") == 0;
}

static bool is_in(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcasecmp(word, *list) == 0)
            return true;
    return false;
}

static bool refuse(struct run *r, const char *why, const char *name)
{
    if (*r->why == 0)
        snprintf(r->why, sizeof r->why, "%s%s%.100s", why, *name ? ": " : "", name);
    return false;
}

static bool may_name(struct run *r, const char *name)
{
    return !begins(name, "dx_") && !begins(name, "sqlite_")
               ? true
               : refuse(r, "names that begin with dx_ or sqlite_ are not for a package", name);
}

static bool may_form(struct run *r, const char *table)
{
    return !may_name(r, table) ? false
           : r->travels(r->ctx, table)
               ? refuse(r, "only the server changes the form of a table that travels", table)
               : true;
}

static bool may_write(struct run *r, const char *table)
{
    static const char *const own[] = {"sqlite_stat1", "sqlite_stat4", NULL}; /* ANALYZE */
    if (is_schema(table) || is_in(table, own))
        return true; /* SQLite lets nobody write there but its own CREATE and DROP */
    return !may_name(r, table) ? false
           : r->travels(r->ctx, table)
               ? refuse(r, "rows of a table that travels are not for a package to write", table)
               : true;
}

static bool may_call(struct run *r, const char *function)
{
    static const char *const banned[] = {"load_extension", "readfile",       "writefile",
                                         "edit",           "fts3_tokenizer", NULL};
    return is_in(function, banned) ? refuse(r, "not a function for a package", function) : true;
}

static bool may_module(struct run *r, const char *table, const char *module)
{
    static const char *const known[] = {"fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly", NULL};
    return !may_form(r, table)    ? false
           : is_in(module, known) ? true
                                  : refuse(r, "not a kind of virtual table for a package", module);
}

static bool on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through)
{
    static const char *const pragmas[] = {"data_version", "page_size",
                                          NULL}; /* which full-text indexes ask for */
    struct run *r = ctx;
    (void)through;
    if (database && strcmp(database, "main") != 0)
        return refuse(r, "a package's SQL is about the copy alone, not about", database);
    switch (action) {
    case DB_ACTION_READ:
    case DB_ACTION_SELECT:
    case DB_ACTION_RECURSIVE:
    case REINDEX:
    case ANALYZE:
        return true;
    case DB_ACTION_FUNCTION:
        return may_call(r, b);
    case DB_ACTION_INSERT:
    case DB_ACTION_UPDATE:
    case DB_ACTION_DELETE:
        return may_write(r, a);
    case CREATE_INDEX: /* on a table that travels, too: it makes reading fast */
        return begins(a, "sqlite_autoindex_") || (may_name(r, a) && may_name(r, b));
    case CREATE_TRIGGER:
        return may_name(r, a) && may_name(r, b);
    case CREATE_VIEW:
    case DROP_VIEW:
    case DROP_TRIGGER:
        return may_name(r, a);
    case CREATE_TABLE:
    case DROP_TABLE:
        return begins(a, "sqlite_stat") || may_form(r, a);
    case ALTER_TABLE:
        return may_form(r, b);
    case DROP_INDEX:
        return may_name(r, a) && may_form(r, b);
    case CREATE_VTABLE:
    case DROP_VTABLE:
        return may_module(r, a, b);
    case DB_ACTION_PRAGMA:
        return is_in(a, pragmas) ? true : refuse(r, "a package's SQL has no pragmas", a);
    default:
        return refuse(r, "a statement that is not for a package", "");
    }
}

/* ---- running ---- */

int local_sql_drop(struct db *db)
{
    char **drop = NULL;
    size_t n = 0;
    struct stmt *s = db_exec(db, sql_make) ? NULL : db_prepare(db, sql_made);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct buf b = {0};
        buf_addf(&b, "DROP %s IF EXISTS main.", stmt_text(s, 0)); /* a view takes its triggers along */
        buf_name(&b, stmt_text(s, 1));
        drop = mem_grow(drop, n + 1, sizeof *drop);
        drop[n++] = buf_take(&b);
    }
    stmt_free(s);
    int rc = step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < n; i++) {
        rc = rc || db_exec(db, drop[i]) ? -1 : 0;
        free(drop[i]);
    }
    free(drop);
    return rc ? -1 : db_exec(db, "DELETE FROM dx_package_object");
}

/* The line in which the statement behind `done` begins. */
static int line_of(const char *text, size_t done)
{
    int line = 1;
    done += strspn(text + done, " \t\r\n;");
    for (size_t i = 0; i < done && text[i]; i++)
        line += text[i] == '\n';
    return line;
}

static int check_unique(struct db *db, struct run *r, const char *name)
{
    struct stmt *s = db_prepare(db, sql_unique);
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW)
        if (r->travels(r->ctx, stmt_text(s, 1)))
            rc = fail(ERR_REFUSED,
                      "%s: the unique index %s is on table %s, which travels: rows of the server would not "
                      "fit; make "
                      "it one that is not unique, or make it at the server",
                      name, stmt_text(s, 0), stmt_text(s, 1));
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}

int local_sql_run(struct db *db, const char *text, const char *name, local_sql_travels *travels, void *ctx)
{
    struct run r = {.travels = travels, .ctx = ctx};
    size_t done;
    if (local_sql_drop(db) || db_exec(db, sql_before))
        return -1;
    db_trust_schema(db); /* triggers that keep a full-text index */
    db_authorize(db, on_touch, &r);
    int rc = db_script(db, text, &done);
    db_authorize(db, NULL, NULL);
    if (rc && *r.why)
        return fail(ERR_REFUSED, "%s:%d: %s", name, line_of(text, done), r.why);
    if (rc && err_code() == ERR_REFUSED) {
        char *why = mem_text(err_message());
        const char *path = db_path(db);
        size_t n = strlen(path);
        fail(ERR_REFUSED, "%s:%d: %s", name, line_of(text, done),
             strncmp(why, path, n) == 0 && strncmp(why + n, ": ", 2) == 0 ? why + n + 2 : why);
        free(why);
    }
    return rc || check_unique(db, &r, name) ? -1 : db_exec(db, sql_note);
}
