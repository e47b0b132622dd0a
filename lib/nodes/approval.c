/* approval: see nodes/approval.h. */
#include "nodes/approval.h"

#include "nodes/hold.h"

#include <stdio.h>
#include <stdlib.h>

static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_approval ("
                               " node INTEGER PRIMARY KEY, upload INTEGER NOT NULL, digest TEXT NOT NULL,"
                               " decision INTEGER NOT NULL)";
static const char sql_present[] = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'dx_approval'";

int approval_ask(struct db *db, int64_t node, int64_t upload, const char *digest)
{
    return db_exec(db, sql_make) ||
                   db_execf(db, "INSERT OR REPLACE INTO dx_approval VALUES (%lld, %lld, %Q, %d)",
                            (long long)node, (long long)upload, digest, APPROVAL_OPEN)
               ? -1
               : 0;
}

int approval_find(struct db *db, int64_t node, struct approval *out)
{
    int64_t there, decision;
    char *digest = NULL;
    *out = (struct approval){0};
    if (db_get_int(db, &there, "%s", sql_present))
        return -1;
    if (there == 0)
        return 0;
    if (db_get_text(db, &digest, "SELECT digest FROM dx_approval WHERE node = %lld", (long long)node) ||
        db_get_int(db, &out->upload, "SELECT upload FROM dx_approval WHERE node = %lld", (long long)node) ||
        db_get_int(db, &decision, "SELECT decision FROM dx_approval WHERE node = %lld", (long long)node)) {
        free(digest);
        return -1;
    }
    out->decision = (enum approval_decision)decision;
    snprintf(out->digest, sizeof out->digest, "%s", digest ? digest : "");
    there = digest != NULL;
    free(digest);
    return there > 0;
}

int approval_decide(struct db *db, const char *name, enum approval_decision decision)
{
    struct node n;
    struct approval a;
    if (node_require(db, name, &n))
        return -1;
    int found = approval_find(db, n.id, &a);
    if (found > 0 && a.decision != APPROVAL_OPEN)
        found = 0;
    if (found > 0 &&
        (db_execf(db, "UPDATE dx_approval SET decision = %d WHERE node = %lld", decision, (long long)n.id) ||
         hold_release(db, name) < 0))
        found = -1;
    node_free(&n);
    return found;
}

int approval_forget(struct db *db, int64_t node)
{
    int64_t there;
    if (db_get_int(db, &there, "%s", sql_present))
        return -1;
    return there ? db_execf(db, "DELETE FROM dx_approval WHERE node = %lld", (long long)node) : 0;
}
