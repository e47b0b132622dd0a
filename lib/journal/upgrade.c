/* upgrade: see journal/upgrade.h.
 *
 * A step leads from one format to the next. Its SQL and its encodings are those of its time and are written out here:
 * a step must not change when the modules do. Not every database has all tables (a client has no nodes), so a step
 * asks first. A table that its module makes when it is not there needs no step; a column does. */
#include "journal/upgrade.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "sql/layout.h"

#include <stdlib.h>

static int has_table(struct db *db, const char *table, bool *has)
{
    int64_t n;
    int rc = db_get_int(db, &n, "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = %Q",
                        table);
    *has = rc == 0 && n > 0;
    return rc;
}

/* Adds a column where the table is there and lacks it. The declaration is what follows the name. */
static int add_column(struct db *db, const char *table, const char *column, const char *declaration)
{
    bool has;
    int64_t n;
    if (has_table(db, table, &has) ||
        db_get_int(db, &n, "SELECT count(*) FROM pragma_table_info(%Q) WHERE name = %Q", table, column))
        return -1;
    return !has || n ? 0 : db_execf(db, "ALTER TABLE main.%s ADD COLUMN %s %s", table, column, declaration);
}

/* ---- 1 to 2: what is held, and what moved, has a table or blocks for each object ---- */

/* dx_member_ID of one object, with the object's rows of dx_member. */
static int split_member(struct db *db, int64_t object, const char *table)
{
    struct layout *l = layout_of(db, table); /* NULL for a table that is gone */
    long long id = (long long)object;
    int rc = db_execf(db,
                      l && l->rowid_key
                          ? "CREATE TABLE dx_member_%lld (key INTEGER PRIMARY KEY, audience INTEGER NOT NULL)"
                          : "CREATE TABLE dx_member_%lld (key PRIMARY KEY, audience INTEGER NOT NULL) "
                            "WITHOUT ROWID",
                      id);
    layout_free(l);
    return rc ? -1
              : db_execf(db,
                         "INSERT INTO dx_member_%lld SELECT key, audience FROM dx_member WHERE obj = %lld",
                         id, id);
}

/* Objects are listed first: SQLite makes no table while a statement reads the schema. */
static int split_members(struct db *db)
{
    bool has;
    if (has_table(db, "dx_member", &has) || !has)
        return has ? -1 : 0;
    int64_t id = 0;
    do {
        char *table = NULL;
        if (db_get_int(db, &id, "SELECT min(id) FROM dx_object WHERE id > %lld", (long long)id) ||
            (id && db_get_text(db, &table, "SELECT tbl FROM dx_object WHERE id = %lld", (long long)id)))
            return -1;
        int rc = id ? split_member(db, id, table) : 0;
        free(table);
        if (rc)
            return -1;
    } while (id);
    return db_exec(db, "DROP TABLE dx_member");
}

struct move_block {
    struct stmt *put;
    int64_t position, run, object;
    struct buf moves;
};

static int end_block(struct move_block *b)
{
    if (b->moves.n == 0)
        return 0;
    struct val moves = {.type = VAL_BLOB, .p = b->moves.p, .n = b->moves.n};
    stmt_bind_int(b->put, 1, b->position);
    stmt_bind_int(b->put, 2, b->run);
    stmt_bind_int(b->put, 3, b->object);
    stmt_bind(b->put, 4, &moves);
    int rc = stmt_run(b->put);
    buf_clear(&b->moves);
    return rc;
}

/* A move in a block: the packed key, and the audience before and after, one more than their numbers. */
static int add_move(struct move_block *b, struct stmt *row)
{
    enum { BLOCK = 32768 };
    int64_t position = stmt_int(row, 0), run = stmt_int(row, 1), object = stmt_int(row, 2);
    if ((position != b->position || run != b->run || object != b->object || b->moves.n >= BLOCK) &&
        end_block(b))
        return -1;
    struct val key = stmt_val(row, 3);
    b->position = position;
    b->run = run;
    b->object = object;
    val_put(&b->moves, &key);
    wire_put_varint(&b->moves, (uint64_t)(stmt_int(row, 4) + 1));
    wire_put_varint(&b->moves, (uint64_t)(stmt_int(row, 5) + 1));
    return 0;
}

static int gather_moves(struct db *db)
{
    struct stmt *rows =
        db_prepare(db, "SELECT position, run, obj, key, old, new FROM dx_moves_1 ORDER BY rowid");
    struct move_block b = {
        .put = db_prepare(db, "INSERT INTO dx_history (position, run, obj, moves) VALUES (?1, ?2, ?3, ?4)")};
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && rows && b.put && (step = stmt_step(rows)) == STEP_ROW)
        rc = add_move(&b, rows);
    rc = rc || step != STEP_DONE || end_block(&b) ? -1 : 0;
    stmt_free(rows);
    stmt_free(b.put);
    buf_free(&b.moves);
    return rc;
}

static int block_history(struct db *db)
{
    bool has;
    if (has_table(db, "dx_history", &has) || !has)
        return has ? -1 : 0;
    if (db_exec(db,
                "ALTER TABLE dx_history RENAME TO dx_moves_1;"
                "CREATE TABLE dx_history (position INTEGER NOT NULL, run INTEGER NOT NULL, obj INTEGER NOT "
                "NULL, moves BLOB NOT NULL)"))
        return -1;
    return gather_moves(db) || db_exec(db, "DROP TABLE dx_moves_1") ? -1 : 0;
}

static int from_1(struct db *db)
{
    return split_members(db) || block_history(db) ? -1 : 0;
}

/* ---- 2 to 3 ---- */

/* The keys of rows that another row took the place of may be texts. */
static int untype_rekeys(struct db *db)
{
    bool has;
    if (has_table(db, "dx_rekey", &has) || !has)
        return has ? -1 : 0;
    return db_exec(db, "ALTER TABLE dx_rekey RENAME TO dx_rekey_2;"
                       "CREATE TABLE dx_rekey (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, tbl TEXT NOT "
                       "NULL, old NOT NULL,"
                       " new NOT NULL, archive INTEGER, refs TEXT, adopt INTEGER NOT NULL DEFAULT 0);"
                       "INSERT INTO dx_rekey (id, node, tbl, old, new, archive, refs)"
                       " SELECT id, node, tbl, old, new, archive, refs FROM dx_rekey_2;"
                       "DROP TABLE dx_rekey_2");
}

static int from_2(struct db *db)
{
    if (untype_rekeys(db))
        return -1;
    /* The time at which a conflict was recorded; what an object says of references and triggers; and the mark of a reader is
     * of an epoch, which late programs of format 2 noted already. */
    if (add_column(db, "dx_conflict", "made", "TEXT") ||
        add_column(db, "dx_object", "refs", "TEXT NOT NULL DEFAULT ''") ||
        add_column(db, "dx_object", "triggers", "TEXT NOT NULL DEFAULT 'server'") ||
        add_column(db, "dx_peer", "epoch", "TEXT NOT NULL DEFAULT ''") ||
        db_exec(
            db,
            "UPDATE dx_peer SET epoch = (SELECT value FROM dx_meta WHERE name = 'epoch') WHERE epoch = ''"))
        return -1;
    return 0;
}

/* ---- 3 to 4 ---- */

/* How much one upload may change of an object; a conflict of a copy tells what the server decided about its own change. */
static int from_3(struct db *db)
{
    return add_column(db, "dx_object", "guard", "TEXT NOT NULL DEFAULT ''") ||
                   add_column(db, "dx_conflict", "own", "INTEGER NOT NULL DEFAULT 0")
               ? -1
               : 0;
}

/* ---- 4 to 5: columns get other names ----
 *
 * dx_nodes: asleep is suspended_at, slept suspended_run, told last_ack; dx_quarantine: told is sent_back.
 * ALTER TABLE RENAME COLUMN fails where any view of the application is broken, so the tables are made again. */

/* The counter of AUTOINCREMENT stays, so that no node gets the number of one that is gone. */
static int rename_node_columns(struct db *db)
{
    static const char sql[] =
        "CREATE TEMP TABLE dx_nodes_4 AS SELECT * FROM main.dx_nodes;"
        "CREATE TEMP TABLE dx_sequence_4 AS SELECT seq FROM main.sqlite_sequence WHERE name = 'dx_nodes';"
        "DROP TABLE main.dx_nodes;"

        "CREATE TABLE main.dx_nodes ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, user TEXT NOT NULL,"
        " package TEXT NOT NULL, epoch TEXT NOT NULL, active INTEGER NOT NULL,"
        " archive INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0,"
        " suspended_at INTEGER, suspended_run INTEGER, applied INTEGER NOT NULL DEFAULT 0,"
        " merged INTEGER NOT NULL DEFAULT 0, last_ack INTEGER NOT NULL DEFAULT 0);"

        "INSERT INTO main.dx_nodes (id, name, user, package, epoch, active, archive, position,"
        " suspended_at, suspended_run, applied, merged, last_ack)"
        " SELECT id, name, user, package, epoch, active, archive, position,"
        " asleep, slept, applied, merged, told FROM temp.dx_nodes_4 ORDER BY id;"

        "DELETE FROM main.sqlite_sequence WHERE name = 'dx_nodes';"
        "INSERT INTO main.sqlite_sequence (name, seq) SELECT 'dx_nodes', seq FROM temp.dx_sequence_4;"
        "DROP TABLE temp.dx_nodes_4; DROP TABLE temp.dx_sequence_4";
    bool has;
    if (has_table(db, "dx_nodes", &has))
        return -1;
    return has ? db_exec(db, sql) : 0;
}

static int rename_quarantine_columns(struct db *db)
{
    static const char sql[] =
        "CREATE TEMP TABLE dx_quarantine_4 AS SELECT * FROM main.dx_quarantine;"
        "DROP TABLE main.dx_quarantine;"

        "CREATE TABLE main.dx_quarantine (id INTEGER PRIMARY KEY, way INTEGER, judged INTEGER, tbl TEXT,"
        " key, origin TEXT, archive TEXT, reason TEXT, change BLOB, sent_back INTEGER);"

        "INSERT INTO main.dx_quarantine (id, way, judged, tbl, key, origin, archive, reason, change, "
        "sent_back)"
        " SELECT id, way, judged, tbl, key, origin, archive, reason, change, told"
        " FROM temp.dx_quarantine_4 ORDER BY id;"

        "CREATE INDEX main.dx_quarantine_row ON dx_quarantine (origin, tbl, key);"
        "DROP TABLE temp.dx_quarantine_4";
    bool has;
    if (has_table(db, "dx_quarantine", &has))
        return -1;
    return has ? db_exec(db, sql) : 0;
}

static int from_4(struct db *db)
{
    return rename_node_columns(db) || rename_quarantine_columns(db) ||
                   db_exec(db, "UPDATE dx_meta SET name = 'suspended' WHERE name = 'asleep'")
               ? -1
               : 0;
}

/* ---- 5 to 6: objects have a limit for late changes ---- */

static int from_5(struct db *db)
{
    return add_column(db, "dx_object", "late", "TEXT NOT NULL DEFAULT ''");
}

/* ---- all of them ---- */

/* steps[i] leads from format i + 1 to the next. */
static int (*const steps[])(struct db *db) = {from_1, from_2, from_3, from_4, from_5};

_Static_assert(sizeof steps / sizeof *steps == UPGRADE_FORMAT - 1, "each format has a step to the next");

static int refuse_unknown(struct db *db, int64_t format)
{
    return fail(
        ERR_REFUSED,
        "%s: its dx_ tables are of format %lld, these programs know formats 1 to %d; use the programs "
        "that made it",
        db_path(db), (long long)format, UPGRADE_FORMAT);
}

int upgrade_tables(struct db *db, int64_t *from)
{
    bool has;
    *from = 0;
    if (has_table(db, "dx_meta", &has) || !has)
        return has ? -1 : 0;
    if (meta_get_int(db, "format", from))
        return -1;
    if (*from < 1 || *from > UPGRADE_FORMAT)
        return refuse_unknown(db, *from);
    for (int64_t format = *from; format < UPGRADE_FORMAT; format++)
        if (steps[format - 1](db))
            return -1;
    return *from == UPGRADE_FORMAT ? 0 : meta_set_int(db, "format", UPGRADE_FORMAT);
}

int upgrade_require(struct db *db)
{
    int64_t format;
    if (meta_get_int(db, "format", &format))
        return -1;
    if (format == UPGRADE_FORMAT)
        return 0;
    if (format < 1 || format > UPGRADE_FORMAT)
        return refuse_unknown(db, format);
    return fail(
        ERR_REFUSED,
        "%s: its dx_ tables are of format %lld, these programs use format %d; upgrade it with `txnlog "
        "attach %s`, which keeps all that is in them",
        db_path(db), (long long)format, UPGRADE_FORMAT, db_path(db));
}
