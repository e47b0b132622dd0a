/* db: see sql/db.h. */
#include "sql/db.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/progress.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* Debian's library has it */
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUSY_MS = 10000,
    WAL_PAGES = 1000 /* from here on the WAL is checkpointed after a commit: SQLite's own default */
};

struct db {
    sqlite3 *handle;
    char *path;
    struct stmt *all;                  /* every live statement, for db_close */
    bool writing, lost;                /* in a write transaction; which SQLite has taken back */
    bool trusting;                     /* the schema, whatever it has */
    int64_t schema_version;            /* that was looked at; -1: none */
    const struct val *const *expected; /* by dx_same; NULL until db_expect */
    size_t nexpected;
    int64_t steps;
    db_may *may; /* decides what statements may touch; NULL: nobody does */
    void *may_ctx;
    int wal_pages; /* in the WAL after the last commit; 0: none was made, or they are checkpointed */
    db_trigger_row_fn *trigger_row; /* NULL: nobody watches */
    void *trigger_ctx;
};

struct stmt {
    sqlite3_stmt *handle;
    struct db *db;
    struct stmt *next, **link;
    int error; /* extended result code of the last step */
    char *message;
};

/* Where memory or disk is short, SQLite takes the whole transaction back, and would do each statement after it on its own.
 * Whoever goes on must not get half of it done. */
static bool lost(struct db *db)
{
    if (db->lost)
        fail(ERR_SYSTEM, "%s: the transaction was taken back before; nothing was changed", db->path);
    return db->lost;
}

static int fail_db(struct db *db, const char *doing)
{
    int rc = sqlite3_errcode(db->handle);
    enum err_code code = ERR_SYSTEM;
    const char *hint = "";
    db->lost |= db->writing && sqlite3_get_autocommit(db->handle);
    if (rc == SQLITE_NOMEM)
        limits_memory_out();
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
        code = ERR_BUSY;
        hint =
            "; another program holds the write lock, or reads a database that is not in WAL mode; try again";
    } else if (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT) {
        code = ERR_REFUSED;
        hint = "; is this the right file?";
    } else if (rc == SQLITE_ERROR || rc == SQLITE_CONSTRAINT || rc == SQLITE_MISMATCH ||
               rc == SQLITE_TOOBIG || rc == SQLITE_AUTH)
        code = ERR_REFUSED;
    else if (rc == SQLITE_FULL)
        hint = "; nothing was changed, free some space and run it again";
    return fail(code, "%s: %s%s%s%s", db->path, doing, *doing ? ": " : "", sqlite3_errmsg(db->handle), hint);
}

static int64_t all_steps; /* of all connections */

/* Called after each thousand instructions of a statement. */
static int still_working(void *ctx)
{
    struct db *db = ctx;
    db->steps++;
    all_steps++;
    if (db->steps % 20 == 0)
        progress_still(db->path);
    return 0;
}

int64_t db_steps(const struct db *db)
{
    return db ? db->steps : all_steps;
}

/* ---- the WAL ----
 *
 * A checkpoint copies the WAL's pages into the database; once all are there, the next commit begins the WAL again at its
 * start. SQLite before 3.51.3 (and before 3.44.6 and 3.50.7 in their branches; Debian 12 has 3.40.1) has a race there: a
 * checkpoint reads the WAL's header, another connection commits and begins the WAL again, and the checkpoint then takes the
 * old header's number of pages for what it has copied of the new WAL. Pages committed after that never reach the database.
 *
 * SQLite's automatic checkpoint can be that checkpoint, because it runs when the commit has given up the write lock. So can
 * FULL, RESTART and TRUNCATE: where they do not get the write lock within the timeout, they go on without it. So our
 * connections make no automatic checkpoint. After a commit that leaves many pages in the WAL, a second connection takes the
 * write lock and keeps it while the checkpoint runs: nobody can commit, so nobody can begin the WAL again. Where another
 * program has the lock, the checkpoint is left to the next commit of any command. The checkpoint that SQLite makes when a
 * database is closed is safe: it needs the exclusive lock of the file, which only the last connection gets. */

/* Copies what the WAL holds, as far as no reader needs the database as it was. Failing is no error: the pages are safe in
 * the WAL. */
static void checkpoint(struct db *db)
{
    sqlite3 *writer = NULL;
    const char *file = sqlite3_db_filename(db->handle, "main");
    if (sqlite3_open_v2(file, &writer, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_wal_autocheckpoint(writer, 0) == SQLITE_OK &&
        sqlite3_exec(writer, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_wal_checkpoint_v2(db->handle, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
        db->wal_pages = 0;
    sqlite3_close(writer);
}

/* Called after each commit, when its locks are given up. */
static int on_wal(void *ctx, sqlite3 *handle, const char *database, int pages)
{
    struct db *db = ctx;
    (void)handle;
    if (strcmp(database, "main") == 0)
        db->wal_pages = pages;
    if (db->wal_pages >= WAL_PAGES)
        checkpoint(db);
    return SQLITE_OK;
}

/* After one large transaction the file stays as large until the WAL begins again; then it is cut to this. */
#define WAL_KEEP "16777216"

/* No statement writes past SQLite's own order, or reaches another file. The limits are far beyond what an application's
 * schema asks for, and far below what one made to do harm could. */
static void restrict_handle(sqlite3 *handle)
{
    static const int limits[][2] = {{SQLITE_LIMIT_ATTACHED, 0},          {SQLITE_LIMIT_LENGTH, 512 << 20},
                                    {SQLITE_LIMIT_SQL_LENGTH, 64 << 20}, {SQLITE_LIMIT_TRIGGER_DEPTH, 100},
                                    {SQLITE_LIMIT_VDBE_OP, 10000000},    {SQLITE_LIMIT_WORKER_THREADS, 0}};
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0, NULL);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        sqlite3_limit(handle, limits[i][0], limits[i][1]);
}

/* What the schema says may use no function and no virtual table that SQLite does not call harmless. Two things need more:
 * triggers that keep a full-text index or an R*Tree write to a virtual table; and SQLite before 3.41 counts the JSON functions
 * among those that may do harm (0x200000 marks the harmless ones): "unsafe use of json_extract()" in CHECK, generated
 * columns, indexes, triggers and views. Where the schema has these, it is trusted. There, too, it calls nothing that
 * could do harm: load_extension and fts3_tokenizer are for direct use only, and tests/unit.c looks that all others are
 * harmless or JSON's, full-text search's and R*Tree's. */
static const char sql_needs_trust[] =
    "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE (rootpage = 0 AND type = 'table') OR"
    " (name NOT LIKE 'dx\\_%' ESCAPE '\\' AND (sql LIKE '%->%' OR sql LIKE '%json%') AND"
    "  (SELECT flags & 0x200000 FROM pragma_function_list WHERE name = 'json_extract') = 0))";

static int set_trust(struct db *db)
{
    int64_t version, needs;
    if (db_get_int(db, &version, "SELECT schema_version FROM pragma_schema_version"))
        return -1;
    if (version == db->schema_version)
        return 0;
    if (db_get_int(db, &needs, "%s", sql_needs_trust))
        return -1;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, db->trusting || needs != 0, NULL);
    db->schema_version = version;
    return 0;
}

/* A generated column that another program has added meanwhile cannot even be read without trust. */
static int distrust_schema(struct db *db)
{
    if (set_trust(db) == 0)
        return 0;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
    return set_trust(db);
}

void db_trust_schema(struct db *db)
{
    db->trusting = true;
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
}

struct db *db_open(const char *path, enum db_mode mode)
{
    static bool configured;
    if (!configured) {
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        sqlite3_config(SQLITE_CONFIG_SINGLETHREAD); /* no locks inside; take() relies on it */
        configured = true;
    }
    int flags = SQLITE_OPEN_READWRITE;
    if (mode == DB_CREATE)
        flags |= SQLITE_OPEN_CREATE;
    struct db *db = mem_zero(1, sizeof *db);
    db->path = mem_text(path);
    db->schema_version = -1;
    db->trusting = strcmp(path, ":memory:") == 0; /* there only what was looked at is made */
    if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        int why = sqlite3_system_errno(db->handle);
        fail(ERR_SYSTEM, "%s: cannot open the database: %s", path,
             why ? strerror(why) : sqlite3_errmsg(db->handle));
        db_close(db);
        return NULL;
    }
    restrict_handle(db->handle);
    sqlite3_extended_result_codes(db->handle, 0);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_progress_handler(db->handle, 1000, still_working, db);
    sqlite3_wal_hook(db->handle, on_wal, db); /* takes the place of the automatic checkpoint */
    /* Reading the schema is what makes SQLite look at the header. */
    if (db_exec(db,
                "SELECT count(*) FROM sqlite_schema; PRAGMA foreign_keys = OFF; PRAGMA temp_store = FILE; "
                "PRAGMA journal_size_limit = " WAL_KEEP)) {
        db_close(db);
        return NULL;
    }
    if (distrust_schema(db)) {
        db_close(db);
        return NULL;
    }
    return db;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    while (db->all)
        stmt_free(db->all);
    if (db->wal_pages >= WAL_PAGES) /* a statement that read on has hindered it so far */
        checkpoint(db);
    sqlite3_close(db->handle);
    free(db->path);
    free(db);
}

const char *db_path(const struct db *db)
{
    return db->path;
}

int db_exec(struct db *db, const char *sql)
{
    if (lost(db))
        return -1;
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail_db(db, "");
}

static char *format_sql(const char *fmt, va_list ap)
{
    char *sql = sqlite3_vmprintf(fmt, ap);
    if (sql == NULL)
        mem_grow(NULL, SIZE_MAX, 2); /* ends the process: out of memory */
    return sql;
}

int db_execf(struct db *db, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = format_sql(fmt, ap);
    va_end(ap);
    int rc = db_exec(db, sql);
    sqlite3_free(sql);
    return rc;
}

int db_begin_read(struct db *db)
{
    /* BEGIN alone takes no snapshot: the first read does. */
    return db_exec(db, "BEGIN") || distrust_schema(db) ? -1 : 0;
}

int db_begin_write(struct db *db)
{
    if (db_exec(db, "BEGIN IMMEDIATE"))
        return -1;
    db->writing = true;
    if (distrust_schema(db) == 0) /* somebody may have changed it */
        return 0;
    db_rollback(db);
    return -1;
}

int db_commit(struct db *db)
{
    crashpoint();
    if (db_exec(db, "COMMIT")) {
        db_rollback(db);
        return -1;
    }
    db->writing = false;
    crashpoint();
    return 0;
}

void db_rest(struct db *db)
{
    for (struct stmt *s = db->all; s; s = s->next)
        sqlite3_reset(s->handle);
}

void db_rollback(struct db *db)
{
    if (db && !sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    if (db)
        db->writing = db->lost = false;
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t db_last_rowid(const struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

int db_triggers(struct db *db, bool fire)
{
    if (sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, fire ? 1 : 0, (int *)NULL) != SQLITE_OK)
        return fail_db(db, "cannot switch triggers");
    return 0;
}

struct stmt *db_prepare(struct db *db, const char *sql)
{
    sqlite3_stmt *handle = NULL;
    if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL) != SQLITE_OK) {
        fail_db(db, "");
        return NULL;
    }
    struct stmt *s = mem_alloc(sizeof *s);
    *s = (struct stmt){.handle = handle, .db = db, .next = db->all, .link = &db->all};
    if (s->next)
        s->next->link = &s->next;
    db->all = s;
    return s;
}

struct stmt *db_preparef(struct db *db, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *sql = format_sql(fmt, ap);
    va_end(ap);
    struct stmt *s = db_prepare(db, sql);
    sqlite3_free(sql);
    return s;
}

void stmt_free(struct stmt *s)
{
    if (s == NULL)
        return;
    sqlite3_finalize(s->handle);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    free(s->message);
    free(s);
}

void stmt_bind(struct stmt *s, int i, const struct val *v)
{
    switch (v->type) {
    case VAL_INT:
        sqlite3_bind_int64(s->handle, i, v->i);
        break;
    case VAL_REAL:
        sqlite3_bind_double(s->handle, i, v->r);
        break;
    case VAL_TEXT:
        sqlite3_bind_text64(s->handle, i, v->n ? v->p : "", v->n, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case VAL_BLOB:
        sqlite3_bind_blob64(s->handle, i, v->n ? v->p : "", v->n, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_null(s->handle, i);
    }
}

void stmt_bind_int(struct stmt *s, int i, int64_t v)
{
    sqlite3_bind_int64(s->handle, i, v);
}

void stmt_bind_text(struct stmt *s, int i, const char *v)
{
    sqlite3_bind_text(s->handle, i, v, -1, SQLITE_STATIC);
}

/* Ends a step that gave neither row nor done: a constraint is an answer, the rest a failure. */
static enum step step_failed(struct stmt *s, int rc)
{
    s->error = sqlite3_extended_errcode(s->db->handle);
    if (s->db->trigger_row)
        s->db->trigger_row(s->db->trigger_ctx, 0, NULL, NULL, NULL, 0);
    s->db->lost |= s->db->writing && sqlite3_get_autocommit(s->db->handle);
    if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        free(s->message);
        s->message = mem_text(sqlite3_errmsg(s->db->handle));
        sqlite3_reset(s->handle);
        return STEP_CONSTRAINT;
    }
    fail_db(s->db, "");
    sqlite3_reset(s->handle);
    return STEP_ERROR;
}

enum step stmt_step(struct stmt *s)
{
    if (lost(s->db)) {
        sqlite3_reset(s->handle);
        return STEP_ERROR;
    }
    int rc = sqlite3_step(s->handle);
    if (rc == SQLITE_ROW)
        return STEP_ROW;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(s->handle);
        return STEP_DONE;
    }
    return step_failed(s, rc);
}

int stmt_run(struct stmt *s)
{
    enum step step = stmt_step(s);
    if (step == STEP_ROW)
        stmt_reset(s);
    if (step == STEP_CONSTRAINT)
        return fail(ERR_REFUSED, "%s: %s", s->db->path, s->message);
    return step == STEP_ERROR ? -1 : 0;
}

void stmt_reset(struct stmt *s)
{
    sqlite3_reset(s->handle);
}

enum constraint stmt_constraint(const struct stmt *s)
{
    static const struct {
        int code;
        enum constraint constraint;
    } known[] = {
        {SQLITE_CONSTRAINT_PRIMARYKEY, CONSTRAINT_KEY},  {SQLITE_CONSTRAINT_ROWID, CONSTRAINT_KEY},
        {SQLITE_CONSTRAINT_UNIQUE, CONSTRAINT_UNIQUE},   {SQLITE_CONSTRAINT_CHECK, CONSTRAINT_CHECK},
        {SQLITE_CONSTRAINT_NOTNULL, CONSTRAINT_NOTNULL}, {SQLITE_CONSTRAINT_FOREIGNKEY, CONSTRAINT_FOREIGN},
        {SQLITE_CONSTRAINT_TRIGGER, CONSTRAINT_TRIGGER}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == s->error)
            return known[i].constraint;
    return CONSTRAINT_OTHER;
}

const char *stmt_message(const struct stmt *s)
{
    return s->message ? s->message : "";
}

int stmt_columns(const struct stmt *s)
{
    return sqlite3_column_count(s->handle);
}

static struct val take(sqlite3_value *value)
{
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        return val_int(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
        return (struct val){.type = VAL_REAL, .r = sqlite3_value_double(value)};
    case SQLITE_TEXT: {
        const void *p = sqlite3_value_text(value); /* before its length */
        return (struct val){.type = VAL_TEXT, .p = p, .n = (size_t)sqlite3_value_bytes(value)};
    }
    case SQLITE_BLOB: {
        const void *p = sqlite3_value_blob(value);
        return (struct val){.type = VAL_BLOB, .p = p, .n = (size_t)sqlite3_value_bytes(value)};
    }
    default:
        return (struct val){.type = VAL_NULL};
    }
}

struct val stmt_val(struct stmt *s, int i)
{
    return take(sqlite3_column_value(s->handle, i));
}

int64_t stmt_int(struct stmt *s, int i)
{
    return sqlite3_column_int64(s->handle, i);
}

const char *stmt_text(struct stmt *s, int i)
{
    return (const char *)sqlite3_column_text(s->handle, i);
}

/* The first value of the first row as a number or as text, whichever is asked for. */
static int get(struct db *db, int64_t *number, char **text, const char *fmt, va_list ap)
{
    char *sql = format_sql(fmt, ap);
    struct stmt *s = db_prepare(db, sql);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (number)
        *number = step == STEP_ROW ? stmt_int(s, 0) : 0;
    if (text)
        *text = step == STEP_ROW ? mem_text(stmt_text(s, 0)) : NULL;
    sqlite3_free(sql);
    stmt_free(s);
    return step == STEP_ERROR ? -1 : 0;
}

int db_get_int(struct db *db, int64_t *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = get(db, out, NULL, fmt, ap);
    va_end(ap);
    return rc;
}

int db_get_text(struct db *db, char **out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = get(db, NULL, out, fmt, ap);
    va_end(ap);
    return rc;
}

struct watch {
    db_seen *seen;
    void *ctx;
};

static int on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                    const char *through)
{
    struct watch *watch = ctx;
    watch->seen(watch->ctx, action, a ? a : "", b ? b : "", database, through);
    return SQLITE_OK;
}

int db_touches(struct db *db, const char *sql, db_seen *seen, void *ctx)
{
    struct watch watch = {seen, ctx};
    sqlite3_stmt *handle = NULL;
    sqlite3_set_authorizer(db->handle, on_touch, &watch);
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &handle, NULL);
    sqlite3_set_authorizer(db->handle, NULL, NULL);
    sqlite3_finalize(handle);
    return rc == SQLITE_OK ? 0 : fail_db(db, "");
}

static int on_may(void *ctx, int action, const char *a, const char *b, const char *database,
                  const char *through)
{
    struct db *db = ctx;
    return db->may(db->may_ctx, action, a ? a : "", b ? b : "", database, through) ? SQLITE_OK : SQLITE_DENY;
}

void db_authorize(struct db *db, db_may *may, void *ctx)
{
    db->may = may;
    db->may_ctx = ctx;
    sqlite3_set_authorizer(db->handle, may ? on_may : NULL, db);
}

int db_script(struct db *db, const char *sql, size_t *done)
{
    const char *at = sql;
    for (*done = 0; *at; *done = (size_t)(at - sql)) {
        sqlite3_stmt *handle = NULL;
        int rc = sqlite3_prepare_v2(db->handle, at, -1, &handle, &at);
        while (rc == SQLITE_OK && handle && (rc = sqlite3_step(handle)) == SQLITE_ROW)
            rc = SQLITE_OK;
        if (rc != SQLITE_OK && rc != SQLITE_DONE) {
            int failed = fail_db(db, "");
            sqlite3_finalize(handle);
            return failed;
        }
        sqlite3_finalize(handle);
    }
    return 0;
}

struct function {
    db_function_fn *fn;
    void *ctx;
    void (*free_ctx)(void *); /* NULL: it is not the connection's */
};

static void give_result(sqlite3_context *c, const struct val *v)
{
    switch (v->type) {
    case VAL_INT:
        sqlite3_result_int64(c, v->i);
        break;
    case VAL_REAL:
        sqlite3_result_double(c, v->r);
        break;
    case VAL_TEXT:
        sqlite3_result_text64(c, v->n ? v->p : "", v->n, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case VAL_BLOB:
        sqlite3_result_blob64(c, v->n ? v->p : "", v->n, SQLITE_TRANSIENT);
        break;
    default:
        sqlite3_result_null(c);
    }
}

static void call_function(sqlite3_context *c, int n, sqlite3_value **args)
{
    enum { ARGS_MAX = 128 }; /* SQLite's own limit is 127 */
    struct val v[ARGS_MAX];
    const struct function *f = sqlite3_user_data(c);
    for (int i = 0; i < n && i < ARGS_MAX; i++)
        v[i] = take(args[i]);
    struct val result = f->fn(f->ctx, v, (size_t)n);
    give_result(c, &result);
}

static void free_function(void *p)
{
    struct function *f = p;
    if (f->free_ctx)
        f->free_ctx(f->ctx);
    free(f);
}

bool db_compiles(struct db *db, const char *sql)
{
    sqlite3_stmt *handle = NULL;
    bool compiles = sqlite3_prepare_v2(db->handle, sql, -1, &handle, NULL) == SQLITE_OK;
    sqlite3_finalize(handle);
    return compiles;
}

int db_function_owning(struct db *db, const char *name, int n, db_function_fn *fn, void *ctx,
                       void (*free_ctx)(void *))
{
    struct function *f = mem_alloc(sizeof *f);
    *f = (struct function){fn, ctx, free_ctx};
    if (sqlite3_create_function_v2(db->handle, name, n, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                   f, call_function, NULL, NULL, free_function) != SQLITE_OK)
        return fail_db(db, name);
    return 0;
}

int db_function(struct db *db, const char *name, int n, db_function_fn *fn, void *ctx)
{
    return db_function_owning(db, name, n, fn, ctx, NULL);
}

static void call_same(sqlite3_context *c, int n, sqlite3_value **args)
{
    const struct db *db = sqlite3_user_data(c);
    bool same = (size_t)n == db->nexpected;
    for (int i = 0; i < n && same; i++) {
        struct val v = take(args[i]);
        same = val_same(&v, db->expected[i]);
    }
    sqlite3_result_int(c, same);
}

int db_expect(struct db *db, const struct val *const *values, size_t n)
{
    if (db->expected == NULL &&
        sqlite3_create_function(db->handle, "dx_same", -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, db, call_same,
                                NULL, NULL) != SQLITE_OK)
        return fail_db(db, "dx_same");
    db->expected = values;
    db->nexpected = n;
    return 0;
}

/* ---- a copy beside it, and back ---- */

/* What `PRAGMA data_version` tells: another number once another connection has committed. */
static int read_version(struct db *db, int64_t *version)
{
    return db_get_int(db, version, "PRAGMA data_version");
}

/* All pages of a database that nobody changes meanwhile. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int rc = b ? sqlite3_backup_step(b, -1) : SQLITE_ERROR;
    sqlite3_backup_finish(b);
    return rc;
}

int db_copy(struct db *db, const char *path, int64_t *version)
{
    sqlite3 *to = NULL;
    char *mode = NULL;
    if (db_get_text(db, &mode, "PRAGMA journal_mode"))
        return -1;
    bool wal = mode && strcmp(mode, "wal") == 0;
    free(mode);
    if (!wal)
        return 0;
    int rc = db_begin_read(db) || read_version(db, version) ? -1 : 1;
    if (rc > 0 &&
        (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) ||
         copy_pages(db->handle, to) != SQLITE_DONE))
        rc = fail(ERR_SYSTEM, "%s: cannot copy %s there: %s", path, db->path,
                  to ? sqlite3_errmsg(to) : "no memory");
    sqlite3_close(to);
    db_rollback(db);
    return rc;
}

int db_replace(struct db *db, const char *path, int64_t version)
{
    struct db *to = db_open(db->path, DB_WRITE), *from = to ? db_open(path, DB_READ) : NULL;
    sqlite3_backup *b = from ? sqlite3_backup_init(to->handle, "main", from->handle, "main") : NULL;
    int64_t now = 0;
    int rc = -1, step = SQLITE_ERROR;
    /* No page takes the write lock; then nobody commits any more, and who reads goes on reading what was there. */
    if (b && (step = sqlite3_backup_step(b, 0)) == SQLITE_OK && read_version(db, &now) == 0)
        rc = now == version;
    if (rc > 0 && (step = sqlite3_backup_step(b, -1)) != SQLITE_DONE)
        rc = -1;
    crashpoint();
    int end = b ? sqlite3_backup_finish(b) : SQLITE_ERROR;
    if (from && rc < 0 && step != SQLITE_OK)
        fail(step == SQLITE_BUSY ? ERR_BUSY : ERR_SYSTEM,
             "%s: cannot be replaced by what was made beside it: %s", db->path,
             sqlite3_errstr(b ? step : end));
    else if (rc > 0)
        checkpoint(to);
    db_close(from);
    db_close(to);
    return rc;
}

int db_attach(struct db *db, const char *path, const char *name)
{
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 1);
    int rc = db_execf(db, "ATTACH %Q AS %s", path, name);
    sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    return rc;
}

void db_detach(struct db *db, const char *name)
{
    char *sql = sqlite3_mprintf("DETACH %s", name);
    if (sql)
        sqlite3_exec(db->handle, sql, NULL, NULL, NULL); /* else it goes with the connection */
    sqlite3_free(sql);
}

const char *db_collation(struct db *db, const char *table, const char *column)
{
    const char *name = NULL;
    if (sqlite3_table_column_metadata(db->handle, "main", table, column, NULL, &name, NULL, NULL, NULL))
        fail_db(db, table);
    return name;
}

/* ---- what triggers write ---- */

/* The values of the row before, or after, as far as SQLite gives them: how many. */
static size_t hook_row(sqlite3 *handle, int (*side)(sqlite3 *, int, sqlite3_value **), struct val *row, int n)
{
    sqlite3_value *value = NULL;
    int i = 0;
    for (; i < n && side(handle, i, &value) == SQLITE_OK && value; i++)
        row[i] = take(value);
    return (size_t)i;
}

static void on_row(void *ctx, sqlite3 *handle, int op, const char *database, const char *table,
                   sqlite3_int64 before, sqlite3_int64 after)
{
    struct db *db = ctx;
    (void)before;
    (void)after;
    if (sqlite3_preupdate_depth(handle) == 0 || strcmp(database, "main") != 0)
        return;
    int n = sqlite3_preupdate_count(handle);
    struct val *old = mem_zero((size_t)n, sizeof *old), *new = mem_zero((size_t)n, sizeof *new);
    size_t nold = op == SQLITE_INSERT ? 0 : hook_row(handle, sqlite3_preupdate_old, old, n);
    size_t nnew = op == SQLITE_DELETE ? 0 : hook_row(handle, sqlite3_preupdate_new, new, n);
    db->trigger_row(db->trigger_ctx, op, table, op == SQLITE_INSERT ? NULL : old,
                    op == SQLITE_DELETE ? NULL : new, nold > nnew ? nold : nnew);
    free(old);
    free(new);
}

void db_watch_triggers(struct db *db, db_trigger_row_fn *fn, void *ctx)
{
    db->trigger_row = fn;
    db->trigger_ctx = ctx;
    sqlite3_preupdate_hook(db->handle, fn ? on_row : NULL, db);
}
