/* verdict: see nodes/verdict.h. */
#include "nodes/verdict.h"

#include "base/mem.h"

#include <stdlib.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_verdict (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, archive INTEGER,"
    " kind TEXT NOT NULL, outcome TEXT NOT NULL, tbl TEXT NOT NULL, col TEXT, reason TEXT, change BLOB NOT "
    "NULL);"
    "CREATE INDEX IF NOT EXISTS dx_verdict_node ON dx_verdict (node, archive)";
static const char sql_add[] = "INSERT INTO dx_verdict (node, kind, outcome, tbl, col, reason, change)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
static const char sql_next[] = "SELECT id, kind, outcome, tbl, col, reason, change FROM dx_verdict"
                               " WHERE node = ?1 AND archive IS NULL ORDER BY id";
static const char sql_present[] = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'dx_verdict'";

/* What one archive tells: the head is kept in memory, and has its limit (DX_JSON_MAX). */
enum { VERDICTS = 1000, BYTES = 1 << 20 };

/* 1, 0, -1 */
static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

int verdict_add(struct db *db, int64_t node, const struct dx_verdict *v)
{
    struct stmt *s = db_prepare(db, sql_add);
    if (s == NULL && db_exec(db, sql_make) == 0)
        s = db_prepare(db, sql_add);
    if (s == NULL)
        return -1;
    const char *const text[] = {v->kind, v->outcome, v->table, v->column, v->reason};
    struct val change = {.type = VAL_BLOB, .p = v->change.p, .n = v->change.n};
    stmt_bind_int(s, 1, node);
    for (int i = 0; i < 5; i++)
        stmt_bind_text(s, 2 + i, text[i]);
    stmt_bind(s, 7, &change);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int verdict_fill(struct db *db, int64_t node, struct dx_head *h, int64_t *last)
{
    int there = present(db);
    size_t bytes = 0;
    *last = 0;
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, sql_next);
    enum step step = STEP_ERROR;
    if (s)
        stmt_bind_int(s, 1, node);
    while (s && h->nverdict < VERDICTS && bytes < BYTES && (step = stmt_step(s)) == STEP_ROW) {
        struct val change = stmt_val(s, 6);
        const char *const text[] = {stmt_text(s, 1), stmt_text(s, 2), stmt_text(s, 3), stmt_text(s, 4),
                                    stmt_text(s, 5)};
        *last = stmt_int(s, 0);
        dx_head_add_verdict(h, text, change.p, change.n);
        bytes += change.n + 512;
    }
    stmt_free(s);
    return s == NULL || (step == STEP_ERROR && h->nverdict == 0) ? -1 : 0;
}

int verdict_carried(struct db *db, int64_t node, int64_t last, int64_t number)
{
    return last == 0
               ? 0
               : db_execf(db,
                          "UPDATE dx_verdict SET archive = %lld WHERE node = %lld AND archive IS NULL AND "
                          "id <= %lld",
                          (long long)number, (long long)node, (long long)last);
}

int verdict_nodes(struct db *db, int64_t **node, size_t *n)
{
    int there = present(db);
    *node = NULL;
    *n = 0;
    if (there <= 0)
        return there;
    struct stmt *s =
        db_prepare(db, "SELECT DISTINCT node FROM dx_verdict WHERE archive IS NULL ORDER BY node");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *node = mem_grow(*node, *n + 1, sizeof **node);
        (*node)[(*n)++] = stmt_int(s, 0);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

int verdict_any(struct db *db)
{
    int64_t n;
    int there = present(db);
    if (there <= 0)
        return there;
    return db_get_int(db, &n,
                      "SELECT EXISTS (SELECT 1 FROM dx_verdict AS v JOIN dx_nodes AS n ON n.id = v.node "
                      "WHERE n.active AND v.archive IS NULL)")
               ? -1
               : n > 0;
}

int verdict_known(struct db *db, int64_t node, int64_t applied)
{
    int there = present(db);
    return there <= 0 ? there
                      : db_execf(db, "DELETE FROM dx_verdict WHERE node = %lld AND archive <= %lld",
                                 (long long)node, (long long)applied);
}

int verdict_again(struct db *db, int64_t node, int64_t applied)
{
    int there = present(db);
    return there <= 0
               ? there
               : db_execf(db, "UPDATE dx_verdict SET archive = NULL WHERE node = %lld AND archive > %lld",
                          (long long)node, (long long)applied);
}
