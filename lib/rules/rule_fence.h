/* rule_fence: runs SQL that holds text of a package. Such a statement may read tables of the application and nodes, and write
 * temporary tables; SQLite's authorizer refuses it everything else when it is prepared, whatever its text says. */
#ifndef RULE_FENCE_H
#define RULE_FENCE_H

#include "sql/db.h"

/* As db_exec, db_prepare. */
int rule_fence_exec(struct db *db, const char *sql);
struct stmt *rule_fence_prepare(struct db *db, const char *sql);

#endif
