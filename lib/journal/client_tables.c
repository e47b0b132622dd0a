/* client_tables: see journal/client_tables.h. */
#include "journal/client_tables.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/columns.h"

#include <stdlib.h>
#include <string.h>

/* columns and key are JSON arrays of names. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_copy (name TEXT PRIMARY KEY, columns TEXT NOT NULL, key TEXT NOT NULL)"
    " WITHOUT ROWID";
static const char sql_add[] = "INSERT INTO dx_copy (name, columns, key) VALUES (?1, ?2, ?3)";
static const char sql_all[] = "SELECT name, columns, key FROM dx_copy ORDER BY name";

static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_copy'")
               ? -1
               : n > 0;
}

static bool as_recorded(const struct table *t, const char *columns, const char *key)
{
    char *c = columns_text(t, false), *k = columns_text(t, true);
    bool same = columns && key && strcmp(c, columns) == 0 && strcmp(k, key) == 0;
    free(c);
    free(k);
    return same;
}

/* Whether dx_copy says just this already, as it does at nearly every apply: 1, 0, -1. */
static int unchanged(struct db *db, struct table *const *table, size_t n)
{
    struct stmt *s = db_prepare(db, "SELECT columns, key FROM dx_copy WHERE name = ?1");
    int64_t count;
    if (s == NULL || db_get_int(db, &count, "SELECT count(*) FROM dx_copy")) {
        stmt_free(s);
        return -1;
    }
    int same = (size_t)count == n;
    for (size_t i = 0; i < n && same > 0; i++) {
        stmt_bind_text(s, 1, table[i]->name);
        enum step step = stmt_step(s);
        same = step == STEP_ERROR
                   ? -1
                   : step == STEP_ROW && as_recorded(table[i], stmt_text(s, 0), stmt_text(s, 1));
        stmt_reset(s);
    }
    stmt_free(s);
    return same;
}

int client_tables_set(struct db *db, struct table *const *table, size_t n)
{
    if (db_exec(db, sql_make))
        return -1;
    int same = unchanged(db, table, n);
    if (same)
        return same < 0 ? -1 : 0;
    struct stmt *s = db_exec(db, "DELETE FROM dx_copy") ? NULL : db_prepare(db, sql_add);
    int rc = s ? 0 : -1;
    for (size_t i = 0; i < n && rc == 0; i++) {
        char *columns = columns_text(table[i], false), *key = columns_text(table[i], true);
        stmt_bind_text(s, 1, table[i]->name);
        stmt_bind_text(s, 2, columns);
        stmt_bind_text(s, 3, key);
        rc = stmt_run(s);
        free(columns);
        free(key);
    }
    stmt_free(s);
    return rc;
}

int client_tables_load(struct db *db, struct table ***out, size_t *n)
{
    *out = NULL;
    *n = 0;
    int there = present(db);
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, sql_all);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct table *t = columns_table(stmt_text(s, 0), stmt_text(s, 1), stmt_text(s, 2));
        if (t == NULL) {
            fail(ERR_REFUSED, "%s: dx_copy: the entry of table %s is damaged", db_path(db), stmt_text(s, 0));
            step = STEP_ERROR;
            break;
        }
        *out = mem_grow(*out, *n + 1, sizeof **out);
        (*out)[(*n)++] = t;
    }
    stmt_free(s);
    if (step == STEP_DONE)
        return 0;
    client_tables_free(*out, *n);
    *out = NULL;
    *n = 0;
    return -1;
}

void client_tables_free(struct table **tables, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_free(tables[i]);
    free(tables);
}

int client_tables_has(struct db *db, const char *table)
{
    int64_t n;
    int there = present(db);
    if (there <= 0)
        return there;
    return db_get_int(db, &n, "SELECT count(*) FROM dx_copy WHERE name = %Q COLLATE NOCASE", table) ? -1
                                                                                                    : n > 0;
}
