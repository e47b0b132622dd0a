/* full_refresh: see route/full_refresh.h. */
#include "route/full_refresh.h"

#include "base/mem.h"
#include "journal/journal.h"
#include "nodes/membership.h"
#include "route/evaluate.h"
#include "route/moves.h"
#include "route/next_audience.h"
#include "rules/rule_fence.h"
#include "sql/key.h"

#include <stdlib.h>

static int run_sql(struct object_deltas *v, struct buf *sql)
{
    int rc = rule_fence_exec(v->db, buf_text(sql));
    buf_free(sql);
    return rc;
}

/* ---- comparing with what was held ---- */

static int compare_member(struct object_deltas *v, const struct object_delta *w)
{
    long long id = (long long)w->object->id;
    const char *next = next_audience_table(NEXT_ROWS);
    struct buf sql = {0};
    moves_insert(&sql, w);
    buf_addf(&sql,
             "n.key, coalesce(m.audience, 0), n.audience FROM %s AS n LEFT JOIN main.dx_member_%lld AS m ON "
             "m.key = n.key WHERE m.audience IS NOT n.audience;",
             next, id);
    moves_insert(&sql, w);
    buf_addf(
        &sql,
        "m.key, m.audience, 0 FROM main.dx_member_%lld AS m WHERE NOT EXISTS (SELECT 1 FROM %s AS n WHERE "
        "n.key = +m.key)",
        id, next);
    return run_sql(v, &sql);
}

/* The rows that came (here) or went since the object was evaluated last, into temp.dx_came. */
static int find_came(struct object_deltas *v, const struct object_delta *w)
{
    const struct table *t = w->object->sent;
    struct change c = {0};
    struct buf room = {0};
    struct val *key = mem_zero(t->nkey, sizeof *key);
    int64_t end;
    if (db_exec(v->db, "CREATE TEMP TABLE IF NOT EXISTS dx_came (key PRIMARY KEY, here INTEGER) WITHOUT "
                       "ROWID; DELETE FROM "
                       "temp.dx_came") ||
        journal_end(v->db, &end)) {
        free(key);
        return -1;
    }
    struct stmt *put = db_prepare(v->db, "INSERT INTO temp.dx_came (key, here) VALUES (?1, ?2)");
    struct journal_net *net =
        put ? journal_net_some(v->db, t->name, w->since, end, JOURNAL_TOUCHED, NULL, 0) : NULL;
    int got = net ? 1 : -1;
    while (got > 0 && (got = journal_net_next(net, &c)) > 0) {
        struct journal_touch touch = journal_net_touch(net);
        if (touch.existed == touch.exists)
            continue;
        change_key(&c, key);
        struct val packed = key_pack(key, t->nkey, &room);
        stmt_bind(put, 1, &packed);
        stmt_bind_int(put, 2, touch.exists);
        if (stmt_run(put))
            got = -1;
    }
    journal_net_close(net);
    stmt_free(put);
    buf_free(&room);
    free(key);
    return got;
}

/* The object was held by everybody: the rows there were before the run are those of now, without those that came,
 * with those that went. */
static int compare_whole(struct object_deltas *v, const struct object_delta *w)
{
    struct buf sql = {0};
    const char *next = next_audience_table(NEXT_ROWS);
    const struct relation *r = w->rule ? w->rule->relation : NULL;
    bool journal = w->retry || r == NULL; /* no images of the rows are there */
    if (journal && find_came(v, w))
        return -1;
    moves_insert(&sql, w);
    buf_addf(&sql, "key, %d, coalesce((SELECT audience FROM %s AS n WHERE n.key = was.key), 0) FROM (SELECT ",
             AUDIENCE_ALL, next);
    membership_key(&sql, w->object->sent, "x");
    buf_puts(&sql, " AS key FROM main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x");
    if (journal)
        buf_puts(
            &sql,
            " EXCEPT SELECT key FROM temp.dx_came WHERE here UNION SELECT key FROM temp.dx_came WHERE NOT "
            "here");
    else {
        buf_puts(&sql, " EXCEPT SELECT ");
        membership_key(&sql, w->object->sent, "x");
        buf_addf(&sql, " FROM %s AS x UNION SELECT ", r->new_name);
        membership_key(&sql, w->object->sent, "x");
        buf_addf(&sql, " FROM %s AS x", r->old_name);
    }
    buf_puts(&sql, ") AS was;");
    buf_puts(&sql, "DELETE FROM ");
    moves_table(&sql, w);
    buf_puts(&sql, " WHERE old = new;");
    moves_insert_new(&sql, w);
    buf_addf(&sql, "key, 0, audience FROM %s", next);
    return run_sql(v, &sql);
}

/* Whether an object went with its table. Rows that everybody held are then known to nobody; what copies still have of
 * them goes with their next snapshot. 1, 0, -1. */
static int table_went(struct object_deltas *v, const struct object_delta *w)
{
    int64_t n = 1;
    if (w->gone && db_get_int(v->db, &n,
                              "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = %Q "
                              "COLLATE NOCASE",
                              w->object->table))
        return -1;
    return n == 0;
}

static int move_whole(struct object_deltas *v, const struct object_delta *w)
{
    if (evaluate_fill(v, w, NULL))
        return -1;
    if (w->was != WAS_WHOLE)
        return compare_member(v, w);
    int went = table_went(v, w);
    return went ? (went < 0 ? -1 : 0) : compare_whole(v, w);
}

/* ---- rows that everybody holds ---- */

/* Came and went: only the children of the object ask. */
static int move_all(struct object_deltas *v, const struct object_delta *w)
{
    struct relation *r = w->rule->relation;
    if (!r->wanted || !r->came)
        return 0;
    struct buf sql = {0};
    for (int went = 0; went < 2; went++) {
        moves_insert(&sql, w);
        membership_key(&sql, w->object->sent, "x");
        buf_addf(&sql, ", %d, %d FROM %s AS x WHERE NOT EXISTS (SELECT 1 FROM %s AS y WHERE ",
                 went ? AUDIENCE_ALL : 0, went ? 0 : AUDIENCE_ALL, went ? r->old_name : r->new_name,
                 went ? r->new_name : r->old_name);
        for (size_t k = 0; k < w->object->sent->nkey; k++) {
            const char *column = w->object->sent->col[w->object->sent->key[k]];
            buf_puts(&sql, k ? " AND y." : "y.");
            buf_name(&sql, column);
            buf_puts(&sql, " = x.");
            buf_name(&sql, column);
        }
        buf_puts(&sql, ");");
    }
    return run_sql(v, &sql);
}

/* ---- the whole ---- */

/* More columns travel: every row that is held is named, moved or not. */
static int name_all(struct object_deltas *v, const struct object_delta *w)
{
    struct buf sql = {0};
    moves_insert_new(&sql, w);
    if (membership_whole(w->object)) {
        membership_key(&sql, w->object->sent, "x");
        buf_addf(&sql, ", %d, %d FROM main.", AUDIENCE_ALL, AUDIENCE_ALL);
        buf_name(&sql, w->object->table);
        buf_puts(&sql, " AS x");
    } else
        buf_addf(&sql, "key, audience, audience FROM main.dx_member_%lld", (long long)w->object->id);
    return run_sql(v, &sql);
}

bool full_refresh_needed(const struct object_delta *w)
{
    return w->gone || w->fresh || w->retry || object_delta_redefined(w) || w->rule->full_refresh ||
           membership_whole(w->object);
}

int full_refresh_move(struct object_deltas *v, const struct object_delta *w)
{
    bool all = !w->gone && membership_whole(w->object) && w->was == WAS_SAME;
    /* The children of what was set aside were so, too: they ask for nothing. */
    int rc = !all ? move_whole(v, w) : w->retry ? 0 : move_all(v, w);
    return rc || (w->fresh && name_all(v, w)) ? -1 : 0;
}
