/* moves: see route/moves.h. */
#include "route/moves.h"

#include "nodes/membership.h"
#include "route/row_requests.h"

/* The object's table, by its number; and the table of moves_since. Nobody else names them. */
#define OF    "temp.dx_moved_%lld"
#define SINCE "temp.dx_moved_since"

#define COLUMNS "(key PRIMARY KEY, old INTEGER, new INTEGER) WITHOUT ROWID"

int moves_init(struct db *db)
{
    return db_exec(db, "CREATE TEMP TABLE IF NOT EXISTS dx_moved_since " COLUMNS);
}

int moves_make(struct db *db, const struct object_delta *w)
{
    long long id = (long long)w->object->id;
    return db_execf(db, "CREATE TEMP TABLE IF NOT EXISTS dx_moved_%lld " COLUMNS "; DELETE FROM " OF, id, id);
}

int moves_clear(struct db *db, const struct object_delta *w)
{
    return db_execf(db, "DELETE FROM " OF, (long long)w->object->id);
}

void moves_table(struct buf *sql, const struct object_delta *w)
{
    buf_addf(sql, OF, (long long)w->object->id);
}

void moves_insert(struct buf *sql, const struct object_delta *w)
{
    buf_addf(sql, "INSERT INTO " OF " (key, old, new) SELECT ", (long long)w->object->id);
}

void moves_insert_new(struct buf *sql, const struct object_delta *w)
{
    buf_addf(sql, "INSERT OR IGNORE INTO " OF " (key, old, new) SELECT ", (long long)w->object->id);
}

struct stmt *moves_put(struct db *db, const struct object_delta *w)
{
    return db_preparef(db, "INSERT INTO " OF " (key, old, new) VALUES (?1, ?2, ?3)",
                       (long long)w->object->id);
}

int moves_name(struct db *db, const struct object_delta *w, const char *keys)
{
    struct buf sql = {0};
    moves_insert_new(&sql, w);
    buf_puts(&sql, "key, audience, audience FROM (SELECT key, ");
    object_delta_audience(&sql, w, "f.key");
    buf_addf(&sql, " AS audience FROM (%s) AS f)", keys);
    int rc = db_exec(db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

bool moves_of_parent(struct db *db, const struct object_delta *w)
{
    int64_t n = 1;
    if (w->parent)
        db_get_int(db, &n, "SELECT 1 FROM " OF " LIMIT 1", (long long)w->parent->object->id);
    return w->parent && n;
}

/* ---- into the database ---- */

/* Saves the audiences that rows moved to, and notes the moves. *gone: whether any row is nobody's now. */
static int note_moves(struct object_deltas *v, const struct object_delta *w, struct membership_moves *moves,
                      bool *gone)
{
    struct stmt *s = db_preparef(v->db, "SELECT key, old, new FROM " OF, (long long)w->object->id);
    int64_t last = AUDIENCE_NOBODY;
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    *gone = false;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        int64_t old = stmt_int(s, 1), new = stmt_int(s, 2);
        *gone |= new == AUDIENCE_NOBODY;
        if (new != last)
            rc = audience_save(v->audiences, new);
        last = new;
        if (rc == 0 && moves && old != new) {
            struct val key = stmt_val(s, 0);
            rc = membership_log_move(moves, &key, old, new);
        }
    }
    stmt_free(s);
    return rc || step == STEP_ERROR ? -1 : 0;
}

int moves_store(struct object_deltas *v, const struct object_delta *w, struct membership_moves *moves)
{
    long long id = (long long)w->object->id;
    bool gone;
    if (w->gone || w->aside)
        return 0;
    if (membership_whole(w->object) || w->object->visible == VISIBLE_NONE)
        return w->was == WAS_SAME ? 0 : db_execf(v->db, "DELETE FROM main.dx_member_%lld", id);
    if (note_moves(v, w, moves, &gone) ||
        (gone &&
         db_execf(v->db,
                  "DELETE FROM main.dx_member_%lld WHERE key IN (SELECT key FROM " OF " WHERE new = 0)", id,
                  id)))
        return -1;
    return db_execf(v->db,
                    "INSERT OR REPLACE INTO main.dx_member_%lld (key, audience) SELECT key, new FROM " OF
                    " WHERE new <> 0",
                    id, id);
}

/* ---- since a run ---- */

/* The audience of each row before it moved first. */
static int put_past(struct object_deltas *v, const struct object_delta *w, int64_t run)
{
    struct membership_log_past *past = membership_log_past_open(v->db, w->object->id, run, false);
    struct stmt *put = db_prepare(v->db, "INSERT OR IGNORE INTO " SINCE " (key, old) VALUES (?1, ?2)");
    struct membership_log_move m;
    int rc = past && put ? 1 : -1;
    while (rc > 0 && (rc = membership_log_past_next(past, &m)) > 0) {
        stmt_bind(put, 1, &m.key);
        stmt_bind_int(put, 2, m.old);
        rc = stmt_run(put) ? -1 : 1;
    }
    stmt_free(put);
    membership_log_past_close(past);
    return rc;
}

static int run_sql(struct db *db, struct buf *sql)
{
    int rc = db_exec(db, buf_text(sql));
    buf_free(sql);
    return rc;
}

int moves_since(struct object_deltas *v, const struct object_delta *w, int64_t run)
{
    struct buf sql = {0};
    if (db_exec(v->db, "DELETE FROM " SINCE))
        return -1;
    if (!w->gone && membership_whole(w->object)) { /* the journal has what came and went of these */
        buf_puts(&sql, "INSERT INTO " SINCE " SELECT * FROM ");
        moves_table(&sql, w);
        buf_puts(&sql, " WHERE old = new");
        return run_sql(v->db, &sql);
    }
    if (put_past(v, w, run))
        return -1;
    buf_puts(&sql, "INSERT OR IGNORE INTO " SINCE " (key, old) SELECT key, old FROM ");
    moves_table(&sql, w);
    buf_puts(&sql, ";UPDATE " SINCE " SET new = ");
    if (w->gone)
        buf_puts(&sql, "0");
    else
        object_delta_audience(&sql, w, "dx_moved_since.key");
    buf_puts(&sql, ";INSERT OR IGNORE INTO " SINCE " (key, old, new) SELECT f.key, m.new, m.new FROM (");
    row_requests_keys(&sql, w);
    buf_puts(&sql, ") AS f JOIN ");
    moves_table(&sql, w);
    buf_puts(&sql, " AS m ON m.key = f.key");
    return run_sql(v->db, &sql);
}

const char *moves_since_table(void)
{
    return SINCE;
}
