/* object_delta: see route/object_delta.h. */
#include "route/object_delta.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "route/set_aside.h"

#include <stdlib.h>
#include <string.h>

static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_woken (key PRIMARY KEY, old INTEGER, new INTEGER) WITHOUT ROWID;"
    "CREATE TEMP TABLE IF NOT EXISTS dx_forcing (obj INTEGER, key, node INTEGER, PRIMARY KEY (obj, key, "
    "node)) "
    "WITHOUT ROWID;"
    "CREATE TEMP TABLE IF NOT EXISTS dx_owed (obj INTEGER, key, PRIMARY KEY (obj, key)) WITHOUT ROWID;"
    /* Pairs that a rule yields, and what they come to by key. */
    "CREATE TEMP TABLE IF NOT EXISTS dx_pair (key, node INTEGER);"
    "CREATE TEMP TABLE IF NOT EXISTS dx_next (key PRIMARY KEY, audience INTEGER) WITHOUT ROWID;"
    "CREATE TEMP TABLE IF NOT EXISTS dx_class_next (key INTEGER PRIMARY KEY, audience INTEGER);";

int object_delta_init(struct db *db)
{
    return db_exec(db, sql_make);
}

int object_delta_object(struct db *db, const struct object_delta *w)
{
    long long id = (long long)w->object->id;
    return db_execf(db,
                    "CREATE TEMP TABLE IF NOT EXISTS dx_moved_%lld (key PRIMARY KEY, old INTEGER, new "
                    "INTEGER) WITHOUT ROWID; DELETE FROM temp.dx_moved_%lld",
                    id, id);
}

/* ---- SQL of one object ---- */

void object_delta_kept(struct buf *sql, const struct object_delta *w, const char *source)
{
    if (w->rule->keep == NULL) {
        buf_puts(sql, source);
        return;
    }
    buf_addf(sql, "(SELECT * FROM %s AS ", source);
    buf_name(sql, w->object->table);
    buf_addf(sql, " WHERE (%s\n))", w->rule->keep);
}

void object_delta_arm_key(struct buf *sql, const struct object_delta *w)
{
    size_t n = w->object->sent->nkey;
    buf_puts(sql, n > 1 ? "dx_key(" : "");
    for (size_t k = 0; k < n; k++)
        buf_addf(sql, "%sk%zu", k ? ", " : "", k);
    buf_puts(sql, n > 1 ? ")" : "");
}

/* The columns of `via`; the caller frees each, and the array. */
static char **via_columns(const struct object_delta *w, size_t *n)
{
    const char *list = w->object->via_column;
    char **column = NULL;
    for (*n = 0; *list; list += strspn(list, ", ")) {
        size_t length = strcspn(list, ",");
        column = mem_grow(column, *n + 1, sizeof *column);
        column[(*n)++] = mem_printf("%.*s", (int)length, list);
        list += length;
    }
    return column;
}

static void free_columns(char **column, size_t n)
{
    while (n)
        free(column[--n]);
    free(column);
}

void object_delta_parent_key(struct buf *sql, const struct object_delta *w, const char *alias)
{
    size_t n;
    char **column = via_columns(w, &n);
    membership_key_of(sql, column, n, alias);
    free_columns(column, n);
}

void object_delta_where_parent(struct buf *sql, const struct object_delta *w, const char *alias,
                               const char *key)
{
    size_t n;
    char **column = via_columns(w, &n);
    for (size_t i = 0; i < n; i++) {
        buf_addf(sql, "%s%s.", i ? " AND " : "", alias);
        buf_name(sql, column[i]);
        if (n == 1)
            buf_addf(sql, " = %s", key);
        else
            buf_addf(sql, " = dx_part(%s, %zu, %zu)", key, i, n);
    }
    free_columns(column, n);
}

void object_delta_audience(struct buf *sql, const struct object_delta *w, const char *key)
{
    long long id = (long long)w->object->id;
    if (membership_whole(w->object)) {
        buf_puts(sql, "CASE WHEN EXISTS (SELECT 1 FROM main.");
        buf_name(sql, w->object->table);
        buf_puts(sql, " AS dx_w WHERE ");
        membership_where(sql, w->object->sent, "dx_w", key);
        buf_addf(sql, ") THEN %d ELSE 0 END", AUDIENCE_ALL);
    } else
        buf_addf(sql,
                 "coalesce((SELECT new FROM temp.dx_moved_%lld WHERE key = %s), (SELECT audience FROM "
                 "main.dx_member_%lld WHERE key = %s), 0)",
                 id, key, id, key);
}

int object_delta_group(struct object_deltas *v, const char *into)
{
    struct stmt *s = db_prepare(v->db, "SELECT key, node FROM temp.dx_pair ORDER BY key, node");
    struct stmt *put =
        db_preparef(v->db, "INSERT OR REPLACE INTO temp.%s (key, audience) VALUES (?1, ?2)", into);
    int64_t *node = NULL;
    size_t n = 0;
    struct val *key = NULL;
    enum step step = STEP_ERROR;
    int rc = s && put ? db_execf(v->db, "DELETE FROM temp.%s", into) : -1;
    while (rc == 0) {
        step = stmt_step(s);
        struct val next = step == STEP_ROW ? stmt_val(s, 0) : (struct val){0};
        if (key && (step != STEP_ROW || !val_same(key, &next))) {
            int64_t id = audience_intern(v->audiences, node, n);
            stmt_bind(put, 1, key);
            stmt_bind_int(put, 2, id);
            rc = id == AUDIENCE_ERROR || stmt_run(put) ? -1 : 0;
            free(key);
            key = NULL;
            n = 0;
        }
        if (step != STEP_ROW || rc)
            break;
        if (key == NULL)
            key = vals_copy(&next, 1);
        int64_t id = stmt_int(s, 1);
        if (n && node[n - 1] == id)
            continue;
        node = mem_grow(node, n + 1, sizeof *node);
        node[n++] = id;
    }
    free(key);
    free(node);
    stmt_free(s);
    stmt_free(put);
    return rc || step == STEP_ERROR ? -1 : 0;
}

/* ---- the whole ---- */

bool object_delta_redefined(const struct object_delta *w)
{
    return w->was != WAS_SAME || (w->bound_now && (w->bound == NULL || strcmp(w->bound, w->bound_now) != 0));
}

bool object_delta_parent_moved(struct object_deltas *v, const struct object_delta *w)
{
    int64_t n = 1;
    if (w->parent)
        db_get_int(v->db, &n, "SELECT 1 FROM temp.dx_moved_%lld LIMIT 1", (long long)w->parent->object->id);
    return w->parent && n;
}

bool object_delta_travels(const struct object_delta *w)
{
    return w->was == WAS_WHOLE || w->was == WAS_MEMBER || (!w->gone && w->object->visible != VISIBLE_NONE);
}

int object_delta_set_aside(struct object_deltas *v, struct object_delta *w)
{
    if (!set_aside_can())
        return -1;
    struct set_aside_entry *e = set_aside_note(v->aside, SET_ASIDE_OBJECT,
                                               w->parent && w->parent->aside
                                                   ? "see there; the next run tries again"
                                                   : "mend the row, the table or the rule that it names; the "
                                                     "next run tries again, and `txnroute load` takes a "
                                                     "changed package");
    e->object = w->object->id;
    e->position = w->since;
    e->run = w->since_run;
    w->aside = true;
    w->redeclared = false;
    return db_execf(v->db, "DELETE FROM temp.dx_moved_%lld", (long long)w->object->id);
}

/* The audience of each row that moved since then, before it did: the first move tells. */
static int put_past(struct object_deltas *v, const struct object_delta *w, int64_t run)
{
    struct membership_log_past *past = membership_log_past_open(v->db, w->object->id, run, false);
    struct stmt *put = db_prepare(v->db, "INSERT OR IGNORE INTO temp.dx_woken (key, old) VALUES (?1, ?2)");
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

int object_delta_since(struct object_deltas *v, const struct object_delta *w, int64_t run)
{
    struct buf sql = {0};
    long long id = (long long)w->object->id;
    if (db_exec(v->db, "DELETE FROM temp.dx_woken"))
        return -1;
    if (!w->gone && membership_whole(w->object)) /* what came and went of these, the journal tells */
        return db_execf(v->db, "INSERT INTO temp.dx_woken SELECT * FROM temp.dx_moved_%lld WHERE old = new",
                        id);
    if (put_past(v, w, run))
        return -1;
    buf_addf(&sql,
             "INSERT OR IGNORE INTO temp.dx_woken (key, old) SELECT key, old FROM temp.dx_moved_%lld;"
             "UPDATE temp.dx_woken SET new = ",
             id);
    if (w->gone)
        buf_puts(&sql, "0");
    else
        object_delta_audience(&sql, w, "dx_woken.key");
    buf_addf(&sql,
             ";INSERT OR IGNORE INTO temp.dx_woken (key, old, new) SELECT f.key, m.new, m.new FROM "
             "temp.dx_forcing AS f JOIN temp.dx_moved_%lld AS m ON m.key = f.key WHERE f.obj = %lld",
             id, id);
    int rc = db_exec(v->db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

/* Saves the audiences that rows moved to, and notes the moves. *gone: whether any row is nobody's now. */
static int note_moves(struct object_deltas *v, const struct object_delta *w, struct membership_moves *moves,
                      bool *gone)
{
    struct stmt *s =
        db_preparef(v->db, "SELECT key, old, new FROM temp.dx_moved_%lld", (long long)w->object->id);
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

int object_delta_store(struct object_deltas *v, const struct object_delta *w, struct membership_moves *moves)
{
    long long id = (long long)w->object->id;
    bool gone;
    if (w->gone || w->aside)
        return 0;
    if (membership_whole(w->object) || w->object->visible == VISIBLE_NONE)
        return w->was == WAS_SAME ? 0 : db_execf(v->db, "DELETE FROM main.dx_member_%lld", id);
    if (note_moves(v, w, moves, &gone) ||
        (gone && db_execf(v->db,
                          "DELETE FROM main.dx_member_%lld WHERE key IN (SELECT key FROM temp.dx_moved_%lld "
                          "WHERE new = 0)",
                          id, id)))
        return -1;
    return db_execf(v->db,
                    "INSERT OR REPLACE INTO main.dx_member_%lld (key, audience) SELECT key, new FROM "
                    "temp.dx_moved_%lld WHERE new <> 0",
                    id, id);
}

/* Names the rows of which a SELECT gives the keys in temp.dx_moved_ID, moved or not. */
static int name_rows(struct object_deltas *v, const struct object_delta *w, const char *keys)
{
    struct buf sql = {0};
    long long id = (long long)w->object->id;
    buf_addf(&sql,
             "INSERT OR IGNORE INTO temp.dx_moved_%lld (key, old, new) SELECT key, audience, audience FROM "
             "(SELECT key, ",
             id);
    object_delta_audience(&sql, w, "f.key");
    buf_addf(&sql, " AS audience FROM (%s) AS f)", keys);
    int rc = db_exec(v->db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

int object_delta_owed(struct object_deltas *v, const struct object_delta *w)
{
    if (!w->owed)
        return 0;
    long long id = (long long)w->object->id;
    char *keys = mem_printf("SELECT key FROM temp.dx_owed WHERE obj = %lld", id);
    int rc = db_execf(v->db,
                      "INSERT OR IGNORE INTO temp.dx_owed (obj, key) SELECT obj, key FROM main.dx_set_aside "
                      "WHERE kind = 'row' AND obj = %lld",
                      id) ||
             name_rows(v, w, keys);
    free(keys);
    return rc ? -1 : 0;
}

int object_delta_force(struct object_deltas *v, const struct object_delta *w)
{
    struct buf sql = {0};
    long long id = (long long)w->object->id;
    buf_addf(&sql,
             "INSERT OR IGNORE INTO temp.dx_forcing (obj, key, node) SELECT %lld, f.key, f.node FROM "
             "main.dx_force AS f CROSS JOIN temp.dx_node_now AS n WHERE n.dx_id = f.node AND f.tbl = ",
             id);
    buf_quote(&sql, w->object->table);
    char *keys = mem_printf("SELECT DISTINCT key FROM temp.dx_forcing WHERE obj = %lld", id);
    int rc = db_exec(v->db, buf_text(&sql)) || name_rows(v, w, keys) ? -1 : 0;
    free(keys);
    buf_free(&sql);
    return rc;
}
