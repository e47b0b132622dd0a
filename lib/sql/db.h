/* db: SQLite. The only module that knows sqlite3.h; its handles do not leave it. */
#ifndef DB_H
#define DB_H

#include "data/val.h"

struct db;
struct stmt;

enum db_mode {
    DB_READ,  /* must exist */
    DB_WRITE, /* must exist */
    DB_CREATE /* made when absent */
};

/* Opens a database file. The connection waits up to 10 s for locks, enforces no foreign keys, keeps temporary tables
 * in files, checkpoints a WAL only while it holds the write lock (no automatic checkpoint of SQLite's, see db.c), and fails
 * (ERR_REFUSED) on a file that is not a database. NULL on failure. */
struct db *db_open(const char *path, enum db_mode mode);
void db_close(struct db *db); /* finalizes what was prepared; rolls back what is open; NULL is fine */
const char *db_path(const struct db *db);

/* Runs SQL without results. The printf form takes SQLite's formats: %Q a quoted string, %w inside a "quoted name",
 * %s, %d, %lld. */
int db_exec(struct db *db, const char *sql);
int db_execf(struct db *db, const char *fmt, ...);

/* The schema is not trusted (PRAGMA trusted_schema = OFF), unless it has what needs that. From here on it is, on this
 * connection: what is added to it now may be that. */
void db_trust_schema(struct db *db);

/* Transactions. begin_read takes a snapshot now; begin_write takes the write lock now (ERR_BUSY if it cannot). One that
 * SQLite takes back on an error, as it does where memory is short, is over: everything fails until db_rollback. */
int db_begin_read(struct db *db);
int db_begin_write(struct db *db);
int db_commit(struct db *db); /* fails only with everything still undone (it rolls back) */
void db_rest(struct db *db);  /* resets every statement: none reads on, as a change of the schema asks for */
void db_rollback(struct db *db); /* also fine with nothing open */

/* Thousands of instructions that SQLite has executed on the connection, in statements of a thousand or more: what work
 * costs, whatever the machine and what else it does. NULL: on all connections of the process, closed ones too. */
int64_t db_steps(const struct db *db);

/* Rows changed by the statement that ran last. */
int64_t db_changes(const struct db *db);
int64_t db_last_rowid(const struct db *db);

/* Whether triggers fire on this connection (they do after open). */
int db_triggers(struct db *db, bool fire);

/* Prepares one statement; NULL on failure. Statements are finalized with stmt_free or at db_close. */
struct stmt *db_prepare(struct db *db, const char *sql);
struct stmt *db_preparef(struct db *db, const char *fmt, ...);
void stmt_free(struct stmt *s);

/* Parameters count from 1. Bound text and blobs are not copied: they must live until the reset or rebind. */
void stmt_bind(struct stmt *s, int i, const struct val *v); /* VAL_NONE binds NULL */
void stmt_bind_int(struct stmt *s, int i, int64_t v);
void stmt_bind_text(struct stmt *s, int i, const char *v); /* NULL binds NULL */

/* What a step may answer. */
enum step {
    STEP_ERROR = -1, /* fail() was called */
    STEP_DONE = 0,
    STEP_ROW = 1,
    STEP_CONSTRAINT = 2 /* a constraint stopped it; stmt_constraint says which; the statement was undone */
};

/* Steps; after STEP_DONE, STEP_CONSTRAINT and STEP_ERROR the statement is reset and may run again. */
enum step stmt_step(struct stmt *s);

/* Runs a statement that yields no rows: 0, or -1 (a constraint is a failure here). */
int stmt_run(struct stmt *s);
void stmt_reset(struct stmt *s);

enum constraint {
    CONSTRAINT_KEY,    /* primary key */
    CONSTRAINT_UNIQUE, /* another unique index */
    CONSTRAINT_CHECK,
    CONSTRAINT_NOTNULL,
    CONSTRAINT_FOREIGN,
    CONSTRAINT_TRIGGER, /* RAISE in a trigger */
    CONSTRAINT_OTHER
};
enum constraint stmt_constraint(const struct stmt *s);
const char *stmt_message(const struct stmt *s); /* SQLite's words of it */

/* Columns count from 0. Text and blobs live until the next step, reset or free. */
int stmt_columns(const struct stmt *s);
struct val stmt_val(struct stmt *s, int i);
int64_t stmt_int(struct stmt *s, int i);
const char *stmt_text(struct stmt *s, int i); /* NULL for NULL */

/* The first column of the first row of a query: an integer (0 when there is no row), or text to free (NULL when
 * there is no row). SQL takes SQLite's printf formats. -1 on failure. */
int db_get_int(struct db *db, int64_t *out, const char *fmt, ...);
int db_get_text(struct db *db, char **out, const char *fmt, ...);

/* Tells `seen` of everything that preparing the SQL would touch: SQLite's authorizer action code (DB_ACTION_...),
 * its first two arguments, and the trigger or view through which it is touched (NULL for none). Nothing runs.
 * -1 when it does not prepare. */
enum db_action {
    DB_ACTION_DELETE = 9,
    DB_ACTION_INSERT = 18,
    DB_ACTION_PRAGMA = 19,
    DB_ACTION_READ = 20,
    DB_ACTION_SELECT = 21,
    DB_ACTION_UPDATE = 23,
    DB_ACTION_FUNCTION = 31,
    DB_ACTION_RECURSIVE = 33
};
typedef void db_seen(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through);
int db_touches(struct db *db, const char *sql, db_seen *seen, void *ctx);

/* Lets `may` decide on everything that statements would touch that are prepared from now on, with the arguments of db_seen:
 * false refuses the statement (ERR_REFUSED). NULL ends it. */
typedef bool db_may(void *ctx, int action, const char *a, const char *b, const char *database,
                    const char *through);
void db_authorize(struct db *db, db_may *may, void *ctx);

/* Writes what the database holds to a new file, and to *version what db_replace wants: 1; 0, and nothing is written, where the
 * database has no write-ahead log, in which readers go on while another connection writes. */
int db_copy(struct db *db, const char *path, int64_t *version);

/* Puts the content of that file, which was changed since, in the place of what the database holds, in one short transaction:
 * connections that have it open see it as any other commit. 1; 0, and nothing is changed, where another connection has
 * committed since the copy was made; -1, and nothing is changed. `db` is the connection that made the copy. */
int db_replace(struct db *db, const char *path, int64_t version);

/* Runs statement after statement; rows are passed over. *done is how many bytes of the text were run: where it fails, the
 * statement behind them is the one. */
int db_script(struct db *db, const char *sql, size_t *done);

/* Whether the connection knows all that the statement names. */
bool db_compiles(struct db *db, const char *sql);

/* Gives SQL on this connection a deterministic function of n arguments (-1: any number). Its result's text or blob
 * must live until the next call. */
typedef struct val db_function_fn(void *ctx, const struct val *args, size_t n);
int db_function(struct db *db, const char *name, int n, db_function_fn *fn, void *ctx);

/* The same with a context that belongs to the connection: free_ctx gets it when the connection closes, when a function
 * of that name takes its place, and on failure. */
int db_function_owning(struct db *db, const char *name, int n, db_function_fn *fn, void *ctx,
                       void (*free_ctx)(void *));

/* Tells what dx_same(a, b, ...) compares its arguments with from now on: it is true when they are these n values, type
 * and bits (val_same). A statement whose WHERE calls it for a row's columns needs no parameter a column. At most
 * DB_EXPECT_MAX values, which must live until the statement has run; what the database's own schema calls by that name
 * is refused. */
enum { DB_EXPECT_MAX = 100 };
int db_expect(struct db *db, const struct val *const *values, size_t n);

/* Tells fn of each row of an ordinary table that a trigger inserts, updates or deletes while a statement runs; fn NULL
 * ends it. old and new are whole rows as SQLite stores them (virtual generated columns left out), n values each, NULL for
 * an insert's old and a delete's new; they live until fn returns. A statement that fails takes back what its triggers did:
 * fn is then called with an op of 0 and table NULL. fn must not use the connection. */
typedef void db_trigger_row_fn(void *ctx, int op, const char *table, const struct val *old,
                               const struct val *new, size_t n);
void db_watch_triggers(struct db *db, db_trigger_row_fn *fn, void *ctx);

/* Attaches another database by this name, for reading beside the one that is open, and detaches it, outside of
 * transactions. */
int db_attach(struct db *db, const char *path, const char *name);
void db_detach(struct db *db, const char *name);

/* The collation a column was declared with ("BINARY" by default); lives with the schema. NULL on failure. */
const char *db_collation(struct db *db, const char *table, const char *column);

#endif
