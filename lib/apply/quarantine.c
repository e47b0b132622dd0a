/* quarantine: see apply/quarantine.h. */
#include "apply/quarantine.h"

#include "journal/meta.h"

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_quarantine (id INTEGER PRIMARY KEY, way "
    "INTEGER, judged INTEGER, tbl TEXT, key,"
    " origin TEXT, archive TEXT, reason TEXT, change BLOB, sent_back INTEGER);"
    "CREATE INDEX IF NOT EXISTS dx_quarantine_row ON dx_quarantine (origin, tbl, key)";
#define COLUMNS \
    "SELECT id, way, judged, tbl, origin, archive, reason, key, change, sent_back FROM dx_quarantine "
static const char sql_all[] = COLUMNS "ORDER BY id";
static const char sql_one[] = COLUMNS "WHERE id = ?1";
static const char sql_add[] =
    "INSERT INTO dx_quarantine (id, way, judged, tbl, origin, archive, reason, key, change, sent_back)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_quarantine'";

enum {
    AT_ID,
    AT_WAY,
    AT_JUDGED,
    AT_TABLE,
    AT_ORIGIN,
    AT_ARCHIVE,
    AT_REASON,
    AT_KEY,
    AT_CHANGE,
    AT_SENT_BACK
};

/* Calls fn for each entry of the statement, which is freed. */
static int each(struct stmt *s, quarantine_fn *fn, void *ctx)
{
    enum step step = STEP_ERROR;
    int rc = 0;
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct quarantined q = {.id = stmt_int(s, AT_ID),
                                .way = (int)stmt_int(s, AT_WAY),
                                .judged = stmt_int(s, AT_JUDGED) != 0,
                                .table = stmt_text(s, AT_TABLE),
                                .origin = stmt_text(s, AT_ORIGIN),
                                .archive = stmt_text(s, AT_ARCHIVE),
                                .reason = stmt_text(s, AT_REASON),
                                .key = stmt_val(s, AT_KEY),
                                .change = stmt_val(s, AT_CHANGE),
                                .sent_back = stmt_int(s, AT_SENT_BACK)};
        rc = fn(ctx, &q);
    }
    stmt_free(s);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}

int quarantine_each(struct db *db, quarantine_fn *fn, void *ctx)
{
    int64_t there;
    if (db_get_int(db, &there, "%s", sql_present))
        return -1;
    return there ? each(db_prepare(db, sql_all), fn, ctx) : 0;
}

int quarantine_one(struct db *db, int64_t id, quarantine_fn *fn, void *ctx)
{
    struct stmt *s = db_prepare(db, sql_one);
    if (s)
        stmt_bind_int(s, 1, id);
    return each(s, fn, ctx);
}

/* A number that no row in quarantine has or had. */
static int next_id(struct db *db, int64_t *id)
{
    int64_t newest, had = 0;
    int known = meta_present(db);
    if (known < 0 || db_get_int(db, &newest, "SELECT max(id) FROM dx_quarantine") ||
        (known && meta_get_int(db, "quarantined", &had)))
        return -1;
    *id = (newest > had ? newest : had) + 1;
    return known ? meta_set_int(db, "quarantined", *id) : 0;
}

int quarantine_add(struct db *db, struct quarantined *q)
{
    struct stmt *s = db_prepare(db, sql_add);
    if (s == NULL && db_exec(db, sql_make) == 0)
        s = db_prepare(db, sql_add);
    if (s == NULL || (q->id == 0 && next_id(db, &q->id))) {
        stmt_free(s);
        return -1;
    }
    const char *const text[] = {q->table, q->origin, q->archive, q->reason};
    stmt_bind_int(s, 1 + AT_ID, q->id);
    stmt_bind_int(s, 1 + AT_WAY, q->way);
    stmt_bind_int(s, 1 + AT_JUDGED, q->judged);
    for (int i = 0; i < 4; i++)
        stmt_bind_text(s, 1 + AT_TABLE + i, text[i]);
    stmt_bind(s, 1 + AT_KEY, &q->key);
    stmt_bind(s, 1 + AT_CHANGE, &q->change);
    stmt_bind_int(s, 1 + AT_SENT_BACK, q->sent_back);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int quarantine_make(struct db *db)
{
    return db_exec(db, sql_make);
}

int quarantine_count(struct db *db, int64_t *n)
{
    if (db_get_int(db, n, "%s", sql_present))
        return -1;
    return *n ? db_get_int(db, n, "SELECT count(*) FROM dx_quarantine") : 0;
}

int quarantine_remove(struct db *db, int64_t id)
{
    return db_execf(db, "DELETE FROM dx_quarantine WHERE id = %lld", (long long)id);
}
