/* package_nodes: see rules/package_nodes.h. */
#include "rules/package_nodes.h"

static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS " PACKAGE_NODES_NAME " ("
    " dx_id INTEGER PRIMARY KEY, name TEXT UNIQUE, user TEXT, package TEXT, status TEXT);"
    "CREATE INDEX IF NOT EXISTS temp.dx_node_user ON " PACKAGE_NODES_NAME " (user);";
static const char sql_fill[] =
    "DELETE FROM " PACKAGE_NODES "; INSERT INTO " PACKAGE_NODES
    " SELECT id, name, user, package, 'active' FROM main.dx_nodes WHERE active AND package = %Q;"
    "ANALYZE " PACKAGE_NODES;

int package_nodes_init(struct db *db)
{
    return db_exec(db, sql_make);
}

int package_nodes_fill(struct db *db, const char *package)
{
    return db_execf(db, sql_fill, package);
}

int package_nodes_count(struct db *db, int64_t *n)
{
    return db_get_int(db, n, "SELECT count(*) FROM " PACKAGE_NODES);
}
