/* pair_record: see compare/pair_record.h. */
#include "compare/pair_record.h"

#include "compare/pack.h"

#include <stdlib.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_sync (pair TEXT PRIMARY KEY, role INTEGER, run INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS dx_sync_given (pair TEXT, run INTEGER, name TEXT, key, given);"
    "CREATE TABLE IF NOT EXISTS dx_sync_deleted (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, key BLOB)";

static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n,
                      "SELECT count(*) FROM sqlite_schema WHERE name IN ('dx_sync', 'dx_sync_given', "
                      "'dx_sync_deleted')")
               ? -1
               : n == 3;
}

static int load_given(struct db *db, const char *pair, struct pair_record *out)
{
    struct stmt *s =
        db_preparef(db, "SELECT name, key, given FROM dx_sync_given WHERE pair = %Q AND run = %lld", pair,
                    (long long)out->run);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct val row[] = {stmt_val(s, 1), stmt_val(s, 2)};
        pack_text(&out->given, stmt_text(s, 0));
        pack_row(&out->given, row, 2);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

void pair_record_free(struct pair_record *p)
{
    free(p->pairs);
    buf_free(&p->given);
    *p = (struct pair_record){0};
}

int pair_record_get(struct db *db, const char *pair, struct pair_record *out)
{
    int64_t known, role;
    *out = (struct pair_record){0};
    int there = present(db);
    if (there <= 0)
        return there;
    if (db_get_int(db, &known, "SELECT count(*) FROM dx_sync WHERE pair = %Q", pair) ||
        db_get_int(db, &role, "SELECT role FROM dx_sync WHERE pair = %Q", pair) ||
        db_get_int(db, &out->run, "SELECT run FROM dx_sync WHERE pair = %Q", pair) ||
        db_get_int(db, &out->others, "SELECT count(*) FROM dx_sync WHERE pair <> %Q", pair) ||
        db_get_text(db, &out->pairs, "SELECT group_concat(pair || ' ', '') FROM dx_sync") ||
        db_get_int(db, &out->mark, "SELECT max(seq) FROM dx_sync_deleted"))
        return -1;
    out->known = known != 0;
    out->role = (int)role;
    return load_given(db, pair, out);
}

int pair_record_give(struct db *db, const char *pair, int64_t run, const char *table, const struct val *key,
                     const struct val *given)
{
    struct stmt *s = db_preparef(db, "INSERT INTO dx_sync_given VALUES (%Q, %lld, %Q, ?1, ?2)", pair,
                                 (long long)run, table);
    if (s) {
        stmt_bind(s, 1, key);
        stmt_bind(s, 2, given);
    }
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    return rc;
}

int pair_record_put(struct db *db, const char *pair, int role, int64_t run)
{
    return db_exec(db, sql_make) || db_execf(db,
                                             "DELETE FROM dx_sync_given WHERE pair = %Q AND run < %lld;"
                                             "INSERT OR REPLACE INTO dx_sync VALUES (%Q, %d, %lld)",
                                             pair, (long long)run, pair, role, (long long)run)
               ? -1
               : 0;
}

int pair_record_mark(struct db *db, const char *table, const struct val *key)
{
    struct stmt *s = db_preparef(db, "INSERT INTO dx_sync_deleted (name, key) VALUES (%Q, ?1)", table);
    if (s)
        stmt_bind(s, 1, key);
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    return rc;
}

int pair_record_marks(struct db *db, int64_t since, pair_record_fn *fn, void *ctx)
{
    int there = present(db), rc = 0;
    if (there <= 0)
        return there;
    struct stmt *s =
        db_preparef(db, "SELECT name, key FROM dx_sync_deleted WHERE seq > %lld", (long long)since);
    enum step step = STEP_ERROR;
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct val key = stmt_val(s, 1);
        rc = fn(ctx, stmt_text(s, 0), &key);
    }
    stmt_free(s);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}
