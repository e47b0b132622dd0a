/* at_archive: see compare/at_archive.h. */
#include "compare/at_archive.h"

#include "apply/pending.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/node.h"

#include <stdlib.h>

/* Changes made here, a device's among them, not those of what was downloaded. */
static const char sql_own[] =
    "SELECT count(*) FROM dx_journal WHERE seq > %lld AND origin IS NOT '" STORE_UPSTREAM "'";

/* What the router would send the node because something else than a row has changed. */
static const char sql_news[] =
    "SELECT EXISTS (SELECT 1 FROM dx_force WHERE node = %lld)"
    " OR EXISTS (SELECT 1 FROM dx_object WHERE package = %Q AND (was IS NOT NULL OR fresh))"
    " OR NOT EXISTS (SELECT 1 FROM dx_routed WHERE id = %lld AND name = %Q AND user = %Q AND package = %Q)";

static int stand_here(struct db *db, int64_t number, char **epoch)
{
    int64_t applied, settled, own;
    if (meta_require(db) || meta_get_text(db, "server", epoch) || meta_get_int(db, "applied", &applied) ||
        pending_settled(db, &settled) || db_get_int(db, &own, sql_own, (long long)settled))
        return -1;
    if (*epoch == NULL)
        return fail(ERR_REFUSED, "%s: is no node's copy, so no archive of a server stands in it",
                    db_path(db));
    if (applied != number)
        return fail(ERR_AGAIN, "%s: has applied archive %lld, not %lld; sync again", db_path(db),
                    (long long)applied, (long long)number);
    if (own)
        return fail(ERR_AGAIN,
                    "%s: %lld changes made here are not acknowledged by the server; sync again when it has "
                    "merged them",
                    db_path(db), (long long)own);
    return 0;
}

static int stand_of(struct db *db, const struct node *n, int64_t number)
{
    int64_t routed, end, news;
    if (meta_get_int(db, "routed", &routed) || journal_end(db, &end) ||
        db_get_int(db, &news, sql_news, (long long)n->id, n->package, (long long)n->id, n->name, n->user,
                   n->package))
        return -1;
    if (n->archive != number)
        return fail(ERR_AGAIN, "%s: the newest archive for %s is %lld, not %lld; sync again", db_path(db),
                    n->name, (long long)n->archive, (long long)number);
    if (routed != end || news || n->suspended_at >= 0 || n->last_ack < n->merged)
        return fail(ERR_AGAIN,
                    "%s: there are changes that have not been routed since archive %lld of %s; sync again "
                    "when they are",
                    db_path(db), (long long)number, n->name);
    return 0;
}

int at_archive_open(struct db *db, const char *node, int64_t number, char **epoch)
{
    struct node n = {0};
    *epoch = NULL;
    if (node == NULL)
        return stand_here(db, number, epoch);
    if (meta_require(db) || node_require(db, node, &n))
        return -1;
    *epoch = mem_text(n.epoch);
    int rc = stand_of(db, &n, number);
    node_free(&n);
    return rc;
}
