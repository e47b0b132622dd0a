/* continuity: see route/continuity.h. */
#include "route/continuity.h"

#include "archive/dx.h"
#include "base/err.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>

static int check_head(struct db *db, const struct dx_head *h, const char *name)
{
    char *epoch = NULL;
    int64_t routed;
    if (meta_get_text(db, "epoch", &epoch) || meta_get_int(db, "routed", &routed)) {
        free(epoch);
        return -1;
    }
    int rc = 0;
    if (h->kind != DX_CHANGES || h->to[0])
        rc = fail(ERR_REFUSED,
                  "%s: an archive of kind %s%s%s; expected the log: txnlog read %s | txnroute run", name,
                  dx_kind_name(h->kind), h->to[0] ? " for node " : "", h->to, db_path(db));
    else if (epoch && strcmp(epoch, h->epoch) != 0)
        rc = fail(ERR_REFUSED,
                  "%s: a log of epoch %s, the journal of %s is of epoch %s; it is another database's, or one "
                  "was restored",
                  name, h->epoch, db_path(db), epoch);
    else if (h->after > routed)
        rc =
            fail(ERR_REFUSED,
                 "%s: the log begins behind entry %lld, but routing stands at %lld: entries %lld to %lld are "
                 "missing; read from there: txnlog read %s --after %lld",
                 name, (long long)h->after, (long long)routed, (long long)routed + 1, (long long)h->after,
                 db_path(db), (long long)routed);
    free(epoch);
    return rc;
}

/* The log on stdin is a claim of what changed: it must be whole and of this journal. What changed is then read from
 * the journal itself, in the run's snapshot. */
int continuity_check_log(struct db *db, int fd)
{
    static const char name[] = "stdin";
    const struct dx_head *h;
    struct dx_reader *r = dx_reader_open(fd, name);
    int got = r ? 1 : -1;
    while (got > 0 && (got = dx_next(r, &h)) > 0)
        if (check_head(db, h, name) || dx_skip(r))
            got = -1;
    dx_reader_close(r);
    return got;
}

/* The epoch of the journal that was routed is kept in dx_meta, too. */
static int check_epoch(struct db *db)
{
    char *epoch = NULL, *routed = NULL;
    int rc = meta_get_text(db, "epoch", &epoch) || meta_get_text(db, "routed_epoch", &routed) ? -1 : 0;
    if (rc == 0 && epoch && routed && strcmp(epoch, routed) != 0)
        rc = fail(ERR_REFUSED,
                  "%s: the journal was begun again (epoch %s, routed was %s), so that changes may be missing "
                  "in it; "
                  "load the package again, and extract every node again",
                  db_path(db), epoch, routed);
    free(epoch);
    free(routed);
    return rc;
}

int continuity_note(struct db *db)
{
    return db_exec(
        db, "INSERT OR REPLACE INTO dx_meta (name, value) SELECT 'routed_epoch', value FROM dx_meta WHERE "
            "name = 'epoch'");
}

int continuity_check_journal(struct db *db, int64_t a, int64_t b)
{
    int64_t first;
    if (check_epoch(db))
        return -1;
    if (db_get_int(db, &first, "SELECT min(seq) FROM dx_journal"))
        return -1;
    if (a > b)
        return fail(ERR_REFUSED,
                    "%s: routing stands at %lld, the journal ends at %lld: the database was restored from a "
                    "backup; load the package again, and extract every node again",
                    db_path(db), (long long)a, (long long)b);
    if (b > a && first > a + 1)
        return fail(ERR_REFUSED,
                    "%s: entries %lld to %lld are gone from the journal before they were routed; load the "
                    "package again, and extract every node again",
                    db_path(db), (long long)a + 1, (long long)first - 1);
    return 0;
}
