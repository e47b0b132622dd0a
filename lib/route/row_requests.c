/* row_requests: see route/row_requests.h. */
#include "route/row_requests.h"

#include "base/mem.h"
#include "rules/package_nodes.h"

#include <stdlib.h>

#define FORCED "temp.dx_forcing"
#define OWED   "temp.dx_owed"

static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_forcing (obj INTEGER, key, node INTEGER, PRIMARY KEY (obj, key, "
    "node)) WITHOUT ROWID;"
    "CREATE TEMP TABLE IF NOT EXISTS dx_owed (obj INTEGER, key, PRIMARY KEY (obj, key)) WITHOUT ROWID;";
static const char sql_force[] =
    "INSERT OR IGNORE INTO " FORCED " (obj, key, node) SELECT %lld, f.key, f.node FROM main.dx_force AS f "
    "CROSS JOIN " PACKAGE_NODES " AS n WHERE n.dx_id = f.node AND f.tbl = %Q";
static const char sql_owe[] =
    "INSERT OR IGNORE INTO " OWED " (obj, key) SELECT obj, key FROM main.dx_set_aside WHERE kind = 'row' AND "
    "obj = %lld";

int row_requests_init(struct db *db)
{
    return db_exec(db, sql_make);
}

static int read_owed(struct object_deltas *v, const struct object_delta *w)
{
    if (!w->owed)
        return 0;
    long long id = (long long)w->object->id;
    char *keys = mem_printf("SELECT key FROM " OWED " WHERE obj = %lld", id);
    int rc = db_execf(v->db, sql_owe, id) || moves_name(v->db, w, keys) ? -1 : 0;
    free(keys);
    return rc;
}

int row_requests_read(struct object_deltas *v, const struct object_delta *w)
{
    long long id = (long long)w->object->id;
    char *keys = mem_printf("SELECT DISTINCT key FROM " FORCED " WHERE obj = %lld", id);
    int rc = db_execf(v->db, sql_force, id, w->object->table) || moves_name(v->db, w, keys) ? -1 : 0;
    free(keys);
    return rc || read_owed(v, w) ? -1 : 0;
}

void row_requests_keys(struct buf *sql, const struct object_delta *w)
{
    buf_addf(sql, "SELECT key FROM " FORCED " WHERE obj = %lld", (long long)w->object->id);
}

int row_requests_any(struct db *db, const struct object_delta *w, bool *any)
{
    int64_t n;
    if (db_get_int(db, &n, "SELECT EXISTS (SELECT 1 FROM " FORCED " WHERE obj = %lld)",
                   (long long)w->object->id))
        return -1;
    *any = n != 0;
    return 0;
}

struct stmt *row_requests_nodes(struct db *db)
{
    return db_prepare(db, "SELECT node FROM " FORCED " WHERE obj = ?1 AND key = ?2");
}

struct stmt *row_requests_owed(struct db *db)
{
    return db_prepare(db, "SELECT 1 FROM " OWED " WHERE obj = ?1 AND key = ?2");
}
