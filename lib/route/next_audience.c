/* next_audience: see route/next_audience.h. */
#include "route/next_audience.h"

#include "base/mem.h"

#include <stdlib.h>

#define PAIRS "temp.dx_pair"

static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_pair (key, node INTEGER);"
    "CREATE TEMP TABLE IF NOT EXISTS dx_next (key PRIMARY KEY, audience INTEGER) WITHOUT ROWID;"
    "CREATE TEMP TABLE IF NOT EXISTS dx_class_next (key INTEGER PRIMARY KEY, audience INTEGER);";

static const char *const table[] = {[NEXT_ROWS] = "temp.dx_next", [NEXT_CLASSES] = "temp.dx_class_next"};

int next_audience_init(struct db *db)
{
    return db_exec(db, sql_make);
}

int next_audience_clear(struct db *db)
{
    return db_execf(db, "DELETE FROM %s", table[NEXT_ROWS]);
}

void next_audience_insert(struct buf *sql)
{
    buf_addf(sql, "INSERT INTO %s (key, audience) SELECT ", table[NEXT_ROWS]);
}

const char *next_audience_table(enum next_audience which)
{
    return table[which];
}

int next_audience_clear_pairs(struct db *db)
{
    return db_exec(db, "DELETE FROM " PAIRS);
}

void next_audience_insert_pairs(struct buf *sql)
{
    buf_puts(sql, "INSERT INTO " PAIRS " (key, node) ");
}

int next_audience_group(struct object_deltas *v, enum next_audience which)
{
    struct stmt *s = db_prepare(v->db, "SELECT key, node FROM " PAIRS " ORDER BY key, node");
    struct stmt *put =
        db_preparef(v->db, "INSERT OR REPLACE INTO %s (key, audience) VALUES (?1, ?2)", table[which]);
    int64_t *node = NULL;
    size_t n = 0;
    struct val *key = NULL;
    enum step step = STEP_ERROR;
    int rc = s && put ? db_execf(v->db, "DELETE FROM %s", table[which]) : -1;
    while (rc == 0) {
        step = stmt_step(s);
        struct val next = step == STEP_ROW ? stmt_val(s, 0) : (struct val){0};
        if (key && (step != STEP_ROW || !val_same(key, &next))) {
            int64_t id = audience_intern(v->audiences, node, n);
            stmt_bind(put, 1, key);
            stmt_bind_int(put, 2, id);
            rc = id == AUDIENCE_ERROR || stmt_run(put) ? -1 : 0;
            free(key);
            key = NULL;
            n = 0;
        }
        if (step != STEP_ROW || rc)
            break;
        if (key == NULL)
            key = vals_copy(&next, 1);
        int64_t id = stmt_int(s, 1);
        if (n && node[n - 1] == id)
            continue;
        node = mem_grow(node, n + 1, sizeof *node);
        node[n++] = id;
    }
    free(key);
    free(node);
    stmt_free(s);
    stmt_free(put);
    return rc || step == STEP_ERROR ? -1 : 0;
}
