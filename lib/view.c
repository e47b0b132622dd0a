/* view: see view.h. Evaluation of whole objects, children by their parent, and the store; evaluation from changes is
 * pairs.c. */
#include "view.h"

#include "err.h"
#include "mem.h"
#include "member.h"

#include <stdlib.h>
#include <string.h>

static const char sql_make[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_moved (obj INTEGER, key, old INTEGER, new INTEGER, PRIMARY KEY (obj, "
    "key)) WITHOUT ROWID;"
    "DELETE FROM temp.dx_moved;"
    /* Pairs that a rule yields, and what they come to by key. */
    "CREATE TEMP TABLE IF NOT EXISTS dx_pair (key, node INTEGER);"
    "CREATE TEMP TABLE IF NOT EXISTS dx_next (key PRIMARY KEY, audience INTEGER) WITHOUT ROWID;";

int view_init(struct db *db)
{
    return db_exec(db, sql_make);
}

/* ---- SQL of one object ---- */

/* Appends "KEY" for rows of the object's table under the alias. */
static void add_key(struct buf *b, const struct viewed *w, const char *alias)
{
    member_key(b, w->object->sent, alias);
}

void view_arm_key(struct buf *sql, const struct viewed *w)
{
    size_t n = w->object->sent->nkey;
    buf_puts(sql, n > 1 ? "dx_key(" : "");
    for (size_t k = 0; k < n; k++)
        buf_addf(sql, "%sk%zu", k ? ", " : "", k);
    buf_puts(sql, n > 1 ? ")" : "");
}

/* The columns of `via`; the caller frees each, and the array. */
static char **via_columns(const struct viewed *w, size_t *n)
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

void view_parent_key(struct buf *sql, const struct viewed *w, const char *alias)
{
    size_t n;
    char **column = via_columns(w, &n);
    member_key_of(sql, column, n, alias);
    free_columns(column, n);
}

void view_where_parent(struct buf *sql, const struct viewed *w, const char *alias, const char *key)
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

void view_audience(struct buf *sql, const struct viewed *w, const char *key)
{
    long long id = (long long)w->object->id;
    if (member_whole(w->object)) {
        buf_puts(sql, "CASE WHEN EXISTS (SELECT 1 FROM main.");
        buf_name(sql, w->object->table);
        buf_puts(sql, " AS dx_w WHERE ");
        member_where(sql, w->object->sent, "dx_w", key);
        buf_addf(sql, ") THEN %d ELSE 0 END", AUDIENCE_ALL);
    } else
        buf_addf(
            sql,
            "coalesce((SELECT new FROM temp.dx_moved WHERE obj = %lld AND key = %s), (SELECT audience FROM "
            "main.dx_member WHERE obj = %lld AND key = %s), 0)",
            id, key, id, key);
}

static int run_sql(struct views *v, struct buf *sql)
{
    int rc = db_exec(v->db, buf_text(sql));
    buf_free(sql);
    return rc;
}

/* ---- evaluating a whole object into temp.dx_next ---- */

int view_group(struct views *v)
{
    struct stmt *s = db_prepare(v->db, "SELECT key, node FROM temp.dx_pair ORDER BY key, node");
    struct stmt *put =
        db_prepare(v->db, "INSERT OR REPLACE INTO temp.dx_next (key, audience) VALUES (?1, ?2)");
    int64_t *node = NULL;
    size_t n = 0;
    struct val *key = NULL;
    enum step step = STEP_ERROR;
    int rc = s && put ? 0 : -1;
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

static int next_by_rule(struct views *v, const struct viewed *w)
{
    if (db_exec(v->db, "DELETE FROM temp.dx_pair"))
        return -1;
    for (size_t i = 0; i < w->rule->narm; i++) {
        const struct arm *a = &w->rule->arm[i];
        const char **now = mem_zero(a->noccurrence, sizeof *now);
        struct buf sql = {0};
        buf_puts(&sql, "INSERT INTO temp.dx_pair (key, node) SELECT ");
        view_arm_key(&sql, w);
        buf_puts(&sql, ", node FROM (");
        rule_sql(&sql, a, now);
        buf_puts(&sql, ")");
        free(now);
        v->statements++;
        if (run_sql(v, &sql))
            return fail_in("object %s", w->object->name);
    }
    return view_group(v);
}

static void add_where_keep(struct buf *b, const struct viewed *w)
{
    if (w->rule->keep)
        buf_addf(b, " WHERE (%s\n)", w->rule->keep);
}

/* Every row, or every row that the time filter keeps. */
static int next_by_all(struct views *v, const struct viewed *w)
{
    struct buf sql = {0};
    buf_puts(&sql, "INSERT INTO temp.dx_next (key, audience) SELECT ");
    add_key(&sql, w, "x");
    buf_addf(&sql, ", %d FROM main.", AUDIENCE_ALL);
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x");
    add_where_keep(&sql, w);
    return run_sql(v, &sql);
}

static int next_by_parent(struct views *v, const struct viewed *w)
{
    struct buf sql = {0};
    buf_puts(&sql, "INSERT INTO temp.dx_next (key, audience) SELECT key, audience FROM (SELECT key, ");
    view_audience(&sql, w->parent, "dx_c.dx_parent");
    buf_puts(&sql, " AS audience FROM (SELECT ");
    add_key(&sql, w, "x");
    buf_puts(&sql, " AS key, ");
    view_parent_key(&sql, w, "x");
    buf_puts(&sql, " AS dx_parent FROM main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x");
    add_where_keep(&sql, w);
    buf_puts(&sql, ") AS dx_c) WHERE audience <> 0");
    return run_sql(v, &sql);
}

static int fill_next(struct views *v, const struct viewed *w)
{
    if (db_exec(v->db, "DELETE FROM temp.dx_next"))
        return -1;
    if (w->gone || w->object->visible == VISIBLE_NONE)
        return 0;
    return w->object->visible == VISIBLE_SELECT ? next_by_rule(v, w)
           : w->object->visible == VISIBLE_ALL  ? next_by_all(v, w)
                                                : next_by_parent(v, w);
}

/* ---- comparing with what was held ---- */

static int compare_member(struct views *v, const struct viewed *w)
{
    long long id = (long long)w->object->id;
    return db_execf(v->db,
                    "INSERT INTO temp.dx_moved (obj, key, old, new) "
                    "SELECT %lld, n.key, coalesce(m.audience, 0), n.audience FROM temp.dx_next AS n "
                    "LEFT JOIN main.dx_member AS m ON m.obj = %lld AND m.key = n.key "
                    "WHERE m.audience IS NOT n.audience;"
                    "INSERT INTO temp.dx_moved (obj, key, old, new) "
                    "SELECT m.obj, m.key, m.audience, 0 FROM main.dx_member AS m WHERE m.obj = %lld "
                    "AND NOT EXISTS (SELECT 1 FROM temp.dx_next AS n WHERE n.key = m.key)",
                    id, id, id);
}

/* The object was held by everybody: the rows there were before the run are those of now, without those that came,
 * with those that went. */
static int compare_whole(struct views *v, const struct viewed *w)
{
    long long id = (long long)w->object->id;
    struct buf sql = {0};
    const struct relation *r = w->rule ? w->rule->relation : NULL;
    buf_addf(&sql,
             "INSERT INTO temp.dx_moved (obj, key, old, new) SELECT %lld, key, %d, coalesce((SELECT "
             "audience FROM temp.dx_next AS n WHERE n.key = was.key), 0) FROM (SELECT ",
             id, AUDIENCE_ALL);
    add_key(&sql, w, "x");
    buf_puts(&sql, " AS key FROM main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x");
    if (r) {
        buf_puts(&sql, " EXCEPT SELECT ");
        add_key(&sql, w, "x");
        buf_addf(&sql, " FROM %s AS x UNION SELECT ", r->new_name);
        add_key(&sql, w, "x");
        buf_addf(&sql, " FROM %s AS x", r->old_name);
    }
    buf_puts(&sql, ") AS was;");
    buf_addf(&sql,
             "DELETE FROM temp.dx_moved WHERE obj = %lld AND old = new;"
             "INSERT OR IGNORE INTO temp.dx_moved (obj, key, old, new) SELECT %lld, key, 0, audience FROM "
             "temp.dx_next",
             id, id);
    return run_sql(v, &sql);
}

static int move_whole(struct views *v, const struct viewed *w)
{
    return fill_next(v, w) || (w->was == WAS_WHOLE ? compare_whole(v, w) : compare_member(v, w)) ? -1 : 0;
}

/* ---- rows that everybody holds ---- */

/* Came and went: only the children of the object ask. */
static int move_all(struct views *v, const struct viewed *w)
{
    struct relation *r = w->rule->relation;
    if (!r->wanted || !r->came)
        return 0;
    struct buf sql = {0};
    for (int went = 0; went < 2; went++) {
        buf_addf(&sql, "INSERT INTO temp.dx_moved (obj, key, old, new) SELECT %lld, ",
                 (long long)w->object->id);
        add_key(&sql, w, "x");
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
static int name_all(struct views *v, const struct viewed *w)
{
    struct buf sql = {0};
    buf_addf(&sql, "INSERT OR IGNORE INTO temp.dx_moved (obj, key, old, new) SELECT %lld, ",
             (long long)w->object->id);
    if (member_whole(w->object)) {
        add_key(&sql, w, "x");
        buf_addf(&sql, ", %d, %d FROM main.", AUDIENCE_ALL, AUDIENCE_ALL);
        buf_name(&sql, w->object->table);
        buf_puts(&sql, " AS x");
    } else
        buf_addf(&sql, "key, audience, audience FROM main.dx_member WHERE obj = %lld",
                 (long long)w->object->id);
    return run_sql(v, &sql);
}

bool view_redefined(const struct viewed *w)
{
    return w->was != WAS_SAME || (w->bound_now && (w->bound == NULL || strcmp(w->bound, w->bound_now) != 0));
}

bool view_whole(const struct viewed *w)
{
    return w->gone || view_redefined(w) || w->rule->whole || w->fresh || member_whole(w->object);
}

bool view_parent_moved(struct views *v, const struct viewed *w)
{
    int64_t n = 1;
    if (w->parent)
        db_get_int(v->db, &n, "SELECT 1 FROM temp.dx_moved WHERE obj = %lld LIMIT 1",
                   (long long)w->parent->object->id);
    return w->parent && n;
}

int view_move(struct views *v, const struct viewed *w)
{
    int rc = !w->gone && member_whole(w->object) && w->was == WAS_SAME ? move_all(v, w) : move_whole(v, w);
    return rc || (w->fresh && name_all(v, w)) ? -1 : 0;
}

int view_store(struct views *v, const struct viewed *w)
{
    long long id = (long long)w->object->id;
    if (w->gone || member_whole(w->object) || w->object->visible == VISIBLE_NONE)
        return w->was == WAS_SAME ? 0 : db_execf(v->db, "DELETE FROM main.dx_member WHERE obj = %lld", id);
    struct stmt *s = db_preparef(v->db, "SELECT DISTINCT new FROM temp.dx_moved WHERE obj = %lld", id);
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = audience_save(v->audiences, stmt_int(s, 0));
    stmt_free(s);
    if (rc || step == STEP_ERROR)
        return -1;
    return db_execf(v->db,
                    "DELETE FROM main.dx_member WHERE obj = %lld AND key IN (SELECT key FROM temp.dx_moved "
                    "WHERE obj = %lld AND new = 0);"
                    "INSERT INTO main.dx_member (obj, key, audience) SELECT obj, key, new FROM temp.dx_moved "
                    "WHERE obj = %lld AND new <> 0 "
                    "ON CONFLICT (obj, key) DO UPDATE SET audience = excluded.audience",
                    id, id, id);
}
