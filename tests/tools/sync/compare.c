/* compare: see compare.h. */
#include "compare.h"

#include "../sim/same.h"
#include "account.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/val.h"
#include "files.h"
#include "mail.h"
#include "stage.h"

#include <stdlib.h>
#include <string.h>

static int check_table(struct run *r, int node, int t)
{
    const struct sim_table *x = &r->h->table[t];
    struct buf view = {0}, copy = {0}, why = {0};
    size_t n;
    buf_puts(&view, "SELECT ");
    files_columns(x, &view);
    buf_add(&copy, view.p, view.n);
    buf_addf(&copy, " FROM %s r", x->name);
    buf_addf(&view, " FROM %s r WHERE ", x->name);
    files_seen(r->h, t, "r", node, 0, &view);
    int same = same_rows(r->server.db, buf_text(&view), r->client[node].db, buf_text(&copy), &why, &n);
    if (same <= 0)
        stage_broke("n%d, %s: %s", node, x->name, same ? err_message() : buf_text(&why));
    buf_free(&view);
    buf_free(&copy);
    buf_free(&why);
    return same > 0 ? 0 : -1;
}

static int check_pending(struct run *r, int node)
{
    int64_t n = party_number(r->client[node].db,
                             "SELECT count(*) FROM dx_journal WHERE origin IS NOT '^' AND seq > "
                             "coalesce((SELECT value FROM dx_meta WHERE name = 'settled'), 0)",
                             0);
    return n ? stage_broke("n%d: %lld changes are still pending", node, (long long)n) : 0;
}

static int check_digest(int node)
{
    char *name = mem_printf("n%d", node), *db = party_database(node);
    int a = RUN(NULL, NULL, "digest-server", "txnlog", "digest", "hq.db", "--node", name);
    int b = a ? 0 : RUN(NULL, NULL, "digest-client", "txnlog", "digest", db);
    int rc = a || b ? stage_surprise("txnlog digest", a + b) : 0;
    if (rc == 0 && !mail_same("digest-server", "digest-client"))
        rc = stage_broke("%s: the copy is right, but its digest is not the server's", name);
    free(name);
    free(db);
    return rc;
}

/* Where the applications enforce their references a merge leaves none that leads nowhere. No row waits for ever because
 * another took its key. */
static int check_server(struct run *r)
{
    static const char taken[] = "SELECT count(*) FROM dx_quarantine WHERE reason GLOB 'UNIQUE*.id'";
    static const char there[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_quarantine'";
    struct db *db = r->server.db;
    int64_t lost = r->h->enforced ? party_number(db, "SELECT count(*) FROM pragma_foreign_key_check", 0) : 0;
    if (lost)
        return stage_broke("%lld rows of the server refer to nothing", (long long)lost);
    return party_number(db, there, 0) && party_number(db, taken, 0)
               ? stage_broke("a row waits in quarantine for a key that another has")
               : 0;
}

int compare_all(struct run *r)
{
    int rc = party_gather(&r->server) || check_server(r);
    for (int n = 0; rc == 0 && n < r->h->nnode; n++) {
        if (r->client[n].db == NULL)
            continue;
        for (int t = 0; rc == 0 && t < r->h->ntable; t++)
            rc = check_table(r, n, t);
        rc = rc || check_pending(r, n) || check_digest(n) || party_gather(&r->client[n]) ||
             account_check(r, n);
    }
    return rc ? -1 : 0;
}
