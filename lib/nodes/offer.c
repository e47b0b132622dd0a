/* offer: see nodes/offer.h. */
#include "nodes/offer.h"

#include "base/mem.h"
#include "nodes/membership_log.h"
#include "nodes/rekey_map.h"
#include "nodes/verdict.h"

#include <stdlib.h>
#include <string.h>

/* before: the epoch of the copy that is in use; equal to epoch where nothing is offered. merged: the newest upload merged
 * when the offer was made. */
static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_offer (node INTEGER PRIMARY KEY, before TEXT "
                               "NOT NULL, epoch TEXT NOT NULL,"
                               " archive INTEGER NOT NULL, merged INTEGER NOT NULL, rekey INTEGER NOT NULL);"
                               /* Every numbering of a copy that was given out or offered. */
                               "CREATE TABLE IF NOT EXISTS dx_numbering (node INTEGER, epoch TEXT, PRIMARY "
                               "KEY (node, epoch)) WITHOUT ROWID";
static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_offer'";

/* 1, 0, -1 */
static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

static int put(struct db *db, int64_t node, const char *before, const struct offer *o, int64_t merged)
{
    return db_exec(db, sql_make) ||
                   db_execf(db, "INSERT OR REPLACE INTO dx_offer VALUES (%lld, %Q, %Q, %lld, %lld, %lld)",
                            (long long)node, before, o->epoch, (long long)o->archive, (long long)merged,
                            (long long)o->rekey) ||
                   db_execf(db, "INSERT OR IGNORE INTO dx_numbering VALUES (%lld, %Q)", (long long)node,
                            o->epoch)
               ? -1
               : 0;
}

int offer_given(struct db *db, int64_t node, const char *epoch)
{
    return put(db, node, epoch, &(struct offer){.epoch = epoch}, 0);
}

int offer_in_use(struct db *db, const struct node *n)
{
    int64_t count;
    int there = present(db);
    if (there <= 0)
        return there;
    return db_get_int(db, &count, "SELECT count(*) FROM dx_offer WHERE node = %lld AND before = %Q",
                      (long long)n->id, n->epoch)
               ? -1
               : count > 0;
}

int offer_make(struct db *db, const struct node *n, const struct offer *o)
{
    return put(db, n->id, n->epoch, o, n->merged);
}

int offer_find(struct db *db, const struct node *n, char **epoch)
{
    int there = present(db);
    *epoch = NULL;
    if (there <= 0)
        return there;
    if (db_get_text(db, epoch,
                    "SELECT epoch FROM dx_offer WHERE node = %lld AND before = %Q AND epoch <> before AND "
                    "merged = %lld",
                    (long long)n->id, n->epoch, (long long)n->merged))
        return -1;
    return *epoch != NULL;
}

int offer_accept(struct db *db, struct node *n, const char *epoch)
{
    char *offered;
    int64_t archive, rekey;
    int open = offer_find(db, n, &offered);
    bool same = open > 0 && strcmp(offered, epoch) == 0;
    free(offered);
    if (!same)
        return open < 0 ? -1 : 0;
    if (db_get_int(db, &archive, "SELECT archive FROM dx_offer WHERE node = %lld", (long long)n->id) ||
        db_get_int(db, &rekey, "SELECT rekey FROM dx_offer WHERE node = %lld", (long long)n->id) ||
        db_execf(db, "UPDATE dx_nodes SET epoch = %Q, applied = max(applied, %lld) WHERE id = %lld", epoch,
                 (long long)archive, (long long)n->id) ||
        membership_log_begins(db, n->id, archive, epoch) || rekey_known(db, n->id, rekey, archive) ||
        verdict_again(db, n->id, n->applied) || offer_given(db, n->id, epoch))
        return -1;
    free(n->epoch);
    n->epoch = mem_text(epoch);
    n->applied = n->applied < archive ? archive : n->applied;
    return 1;
}

int offer_knows(struct db *db, int64_t node, const char *epoch)
{
    int64_t n;
    int there = present(db);
    if (there <= 0)
        return there;
    return db_get_int(db, &n, "SELECT count(*) FROM dx_numbering WHERE node = %lld AND epoch = %Q",
                      (long long)node, epoch)
               ? -1
               : n > 0;
}
