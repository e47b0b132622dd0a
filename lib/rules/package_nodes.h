/* package_nodes: the nodes of the package that is being routed, as the table that rules call dx_node. */
#ifndef PACKAGE_NODES_H
#define PACKAGE_NODES_H

#include "sql/db.h"

/* The table, for SQL: (dx_id, name, user, package, status). dx_id is the node's number; it has a name that no table of
 * an application has, so that NATURAL JOIN and USING do not join by it. */
#define PACKAGE_NODES_NAME "dx_node_now"
#define PACKAGE_NODES      "temp." PACKAGE_NODES_NAME

/* Makes the table, if it is not there. */
int package_nodes_init(struct db *db);

/* Empties it, and fills it with the active nodes of that package. */
int package_nodes_fill(struct db *db, const char *package);

/* How many there are. */
int package_nodes_count(struct db *db, int64_t *n);

#endif
