/* audience_gc: see route/audience_gc.h. */
#include "route/audience_gc.h"

#include "journal/meta.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"

static int live_in_members(struct db *db)
{
    return membership_each(db,
                           "'INSERT OR IGNORE INTO temp.dx_live SELECT audience FROM main.dx_member_' || id");
}

static int live_in_history(struct db *db)
{
    struct membership_log_past *past = membership_log_past_open(db, HISTORY_ALL, 0, false);
    struct stmt *put = db_prepare(db, "INSERT OR IGNORE INTO temp.dx_live VALUES (?1), (?2)");
    struct membership_log_move m, last = {0};
    int rc = past && put ? 1 : -1;
    while (rc > 0 && (rc = membership_log_past_next(past, &m)) > 0) {
        if (m.old == last.old && m.new == last.new)
            continue;
        stmt_bind_int(put, 1, m.old);
        stmt_bind_int(put, 2, m.new);
        rc = stmt_run(put) ? -1 : 1;
        last = m;
    }
    stmt_free(put);
    membership_log_past_close(past);
    return rc;
}

static int delete_dead(struct db *db)
{
    return db_exec(db, "CREATE TEMP TABLE dx_live (id INTEGER PRIMARY KEY)") || live_in_members(db) ||
                   live_in_history(db) ||
                   db_exec(db, "DELETE FROM main.dx_audience WHERE id NOT IN (SELECT id FROM temp.dx_live);"
                               "DROP TABLE temp.dx_live")
               ? -1
               : 0;
}

int audience_gc(struct db *db)
{
    enum { FEW = 1000 };
    int64_t newest, then, live;
    if (db_get_int(db, &newest, "SELECT max(id) FROM main.dx_audience") || meta_get_int(db, "collect", &then))
        return -1;
    if (then && newest < then)
        return 0;
    if ((then && delete_dead(db)) || db_get_int(db, &newest, "SELECT max(id) FROM main.dx_audience") ||
        db_get_int(db, &live, "SELECT count(*) FROM main.dx_audience"))
        return -1;
    return meta_set_int(db, "collect", newest + (live > FEW ? live : FEW));
}
