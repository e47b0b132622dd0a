/* upload_quota: see apply/upload_quota.h. */
#include "apply/upload_quota.h"

#include "apply/apply_context.h"
#include "base/err.h"
#include "nodes/site_conf.h"

/* A row is at most so large that its old and its new values fit one change of an archive. */
enum { ROW_MOST = 60 << 20 };

static const char sql_make_merges[] =
    "CREATE TABLE IF NOT EXISTS dx_merges (node TEXT PRIMARY KEY, hour TEXT, n INTEGER) WITHOUT ROWID";
static const char sql_merge[] =
    "INSERT INTO dx_merges VALUES (%Q, strftime('%%Y-%%m-%%dT%%H', 'now'), 1) "
    "ON CONFLICT (node) DO UPDATE SET n = iif(hour = excluded.hour, n + 1, 1), hour = "
    "excluded.hour";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q";

/* The rows of a dx_ table that may not be there. */
static int count(struct db *db, const char *table, const char *where, const char *node, int64_t *n)
{
    if (db_get_int(db, n, sql_present, table))
        return -1;
    return *n == 0 ? 0 : db_get_int(db, n, "SELECT count(*) FROM %s WHERE origin = %Q%s", table, node, where);
}

/* Merges of the hour, by the server's clock. */
static int count_merge(struct db *db, const char *node, int64_t most)
{
    int64_t n;
    if (db_exec(db, sql_make_merges) || db_execf(db, sql_merge, node) ||
        db_get_int(db, &n, "SELECT n FROM dx_merges WHERE node = %Q", node))
        return -1;
    return n <= most ? 0
                     : fail(ERR_BUSY,
                            "%lld uploads of node %s have been merged within the hour, as many as "
                            "merges_per_hour of site.conf allows; the next hour takes more",
                            (long long)most, node);
}

int upload_quota_read(struct upload_quota *q, struct db *db, const char *node)
{
    struct site_conf site;
    int rc = site_conf_of(db, &site);
    *q = (struct upload_quota){.values = {.value = site.value_bytes, .row = 2 * site.value_bytes},
                               .rows = site.rows,
                               .bytes = site.expanded_bytes,
                               .ratio = site.expanded_ratio,
                               .conflicts = site.open_conflicts,
                               .quarantined = site.quarantined_rows};
    if (q->values.row > ROW_MOST)
        q->values.row = ROW_MOST;
    int64_t merges = site.merges_per_hour;
    site_conf_free(&site);
    return rc || count_merge(db, node, merges) ||
                   count(db, "dx_conflict", " AND resolved IS NULL", node, &q->had_conflicts)
               ? -1
               : 0;
}

static int over(struct upload_quota *q, const char *what, const char *name, int64_t most)
{
    q->over = true;
    return fail(ERR_GUARD, "%s, more than %s = %lld of site.conf allows; nothing was changed", what, name,
                (long long)most);
}

static int check_conflicts(struct upload_quota *q, const struct apply_count *done)
{
    int64_t more = done->conflicts + done->refused;
    if (more && q->had_conflicts + more > q->conflicts)
        return over(q, "the node has more open conflicts", "open_conflicts", q->conflicts);
    return 0;
}

int upload_quota_row(struct upload_quota *q, const struct dx_reader *r, const struct apply_count *done)
{
    const struct dx_end *read = dx_end(r);
    if (read->changes > q->rows)
        return over(q, "the upload has more changes", "rows", q->rows);
    if (read->bytes > q->bytes)
        return over(q, "the upload is larger unpacked", "expanded_bytes", q->bytes);
    if (site_conf_expands(q->ratio, dx_packed(r), read->bytes))
        return over(q, "the upload unpacks to more bytes for each packed one", "expanded_ratio", q->ratio);
    return check_conflicts(q, done);
}

int upload_quota_waiting(struct upload_quota *q, int64_t n)
{
    return n > q->quarantined
               ? over(q, "the node has more rows in quarantine", "quarantined_rows", q->quarantined)
               : 0;
}

int upload_quota_end(struct upload_quota *q, struct db *db, const char *node, const struct apply_count *done)
{
    int64_t n = 0;
    if (check_conflicts(q, done))
        return -1;
    if (done->quarantined && count(db, "dx_quarantine", "", node, &n))
        return -1;
    return upload_quota_waiting(q, n);
}
