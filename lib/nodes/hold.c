/* hold: see nodes/hold.h. */
#include "nodes/hold.h"

#include <stdlib.h>

static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_hold ("
                               " node INTEGER PRIMARY KEY, why TEXT NOT NULL, since TEXT NOT NULL)";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_hold'";

static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

int hold_node(struct db *db, const char *name, const char *why)
{
    struct node n;
    if (node_require(db, name, &n))
        return -1;
    int rc = db_exec(db, sql_make) ||
             db_execf(db, "INSERT OR IGNORE INTO dx_hold VALUES (%lld, %Q, datetime('now'))", (long long)n.id,
                      why);
    node_free(&n);
    return rc ? -1 : 0;
}

int hold_release(struct db *db, const char *name)
{
    struct node n;
    char *why, *since;
    if (node_require(db, name, &n))
        return -1;
    int held = hold_find(db, n.id, &why, &since);
    free(why);
    free(since);
    if (held > 0 && db_execf(db, "DELETE FROM dx_hold WHERE node = %lld", (long long)n.id))
        held = -1;
    node_free(&n);
    return held;
}

int hold_find(struct db *db, int64_t node, char **why, char **since)
{
    int there = present(db);
    *why = *since = NULL;
    if (there <= 0)
        return there;
    if (db_get_text(db, why, "SELECT why FROM dx_hold WHERE node = %lld", (long long)node) ||
        db_get_text(db, since, "SELECT since FROM dx_hold WHERE node = %lld", (long long)node))
        return -1;
    return *why != NULL;
}
