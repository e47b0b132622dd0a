/* membership: see nodes/membership.h. */
#include "nodes/membership.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/attachment.h"
#include "sql/key.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

int membership_init(struct db *db)
{
    return node_init(db) || package_init(db) || attachment_init(db) || audience_init(db) ? -1 : 0;
}

bool membership_whole(const struct object *o)
{
    return o->visible == VISIBLE_ALL && o->keep[0] == 0;
}

/* ---- the tables of what is held ---- */

int membership_make(struct db *db, const struct object *o)
{
    static const char integer[] = "key INTEGER PRIMARY KEY, audience INTEGER NOT NULL)";
    static const char general[] = "key PRIMARY KEY, audience INTEGER NOT NULL) WITHOUT ROWID";
    long long id = (long long)o->id;
    struct layout *l = layout_of(db, o->table);
    char *type = NULL;
    int rc = l ? db_get_text(db, &type,
                             "SELECT type FROM pragma_table_info('dx_member_%lld') WHERE name = 'key'", id)
               : -1;
    bool fits = type && (type[0] == 0 || (l && l->rowid_key));
    if (rc == 0 && !fits)
        rc = db_execf(db, "DROP TABLE IF EXISTS dx_member_%lld; CREATE TABLE dx_member_%lld (%s", id, id,
                      l->rowid_key ? integer : general);
    free(type);
    layout_free(l);
    return rc;
}

int membership_drop(struct db *db, int64_t object)
{
    return db_execf(db, "DROP TABLE IF EXISTS dx_member_%lld", (long long)object);
}

int membership_each(struct db *db, const char *expression)
{
    char *sql;
    if (db_get_text(db, &sql, "SELECT group_concat(%s, ';') FROM main.dx_object", expression))
        return -1;
    int rc = sql ? db_exec(db, sql) : 0;
    free(sql);
    return rc;
}

/* ---- keys in SQL ---- */

/* dx_key(a, b, ...): key_pack. */
static struct val sql_key(void *ctx, const struct val *args, size_t n)
{
    return key_pack(args, n, ctx);
}

/* dx_part(key, i, n): part i of a key packed of n. */
static struct val sql_part(void *ctx, const struct val *args, size_t n)
{
    struct val *part = ctx, null = {.type = VAL_NULL};
    if (n != 3 || args[1].type != VAL_INT || args[2].type != VAL_INT)
        return null;
    size_t i = (size_t)args[1].i, of = (size_t)args[2].i;
    return i < of && of <= MEMBER_KEY_MAX && key_unpack(&args[0], of, part) ? part[i] : null;
}

static void free_room(void *room)
{
    buf_free(room);
    free(room);
}

/* They are given once: while a statement is under way SQLite lets none be replaced. */
int membership_functions(struct db *db)
{
    if (db_compiles(db, "SELECT dx_key(NULL), dx_part(NULL, NULL, NULL)"))
        return 0;
    struct buf *room = mem_zero(1, sizeof *room);
    struct val *part = mem_zero(MEMBER_KEY_MAX, sizeof *part);
    int rc = db_function_owning(db, "dx_key", -1, sql_key, room, free_room);
    return db_function_owning(db, "dx_part", 3, sql_part, part, free) || rc ? -1 : 0;
}

void membership_key_of(struct buf *sql, char *const *column, size_t n, const char *alias)
{
    /* The plus takes the column's affinity away: the untyped keys it is compared with stay as they are, and their
     * index serves. */
    buf_puts(sql, n > 1 ? "dx_key(" : "+");
    for (size_t i = 0; i < n; i++) {
        buf_addf(sql, "%s%s.", i ? ", " : "", alias);
        buf_name(sql, column[i]);
    }
    buf_puts(sql, n > 1 ? ")" : "");
}

void membership_key(struct buf *sql, const struct table *t, const char *alias)
{
    char **column = mem_zero(t->nkey, sizeof *column);
    for (size_t i = 0; i < t->nkey; i++)
        column[i] = t->col[t->key[i]];
    membership_key_of(sql, column, t->nkey, alias);
    free(column);
}

void membership_where(struct buf *sql, const struct table *t, const char *alias, const char *key)
{
    for (size_t i = 0; i < t->nkey; i++) {
        buf_addf(sql, "%s%s.", i ? " AND " : "", alias);
        buf_name(sql, t->col[t->key[i]]);
        if (t->nkey == 1)
            buf_addf(sql, " = %s", key);
        else
            buf_addf(sql, " = dx_part(%s, %zu, %zu)", key, i, t->nkey);
    }
}

/* ---- who holds what ---- */

static int row_exists(struct db *db, const struct object *o, const struct val *key)
{
    struct buf sql = {0};
    struct val *part = mem_zero(o->sent->nkey, sizeof *part);
    int found = -1;
    buf_puts(&sql, "SELECT 1 FROM main.");
    buf_name(&sql, o->table);
    buf_puts(&sql, " WHERE ");
    layout_where_key(&sql, o->sent, 1);
    struct stmt *s = key_unpack(key, o->sent->nkey, part) ? db_prepare(db, buf_text(&sql)) : NULL;
    for (size_t i = 0; s && i < o->sent->nkey; i++)
        stmt_bind(s, (int)i + 1, &part[i]);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step != STEP_ERROR)
        found = step == STEP_ROW;
    stmt_free(s);
    buf_free(&sql);
    free(part);
    return found;
}

struct membership_asker {
    struct db *db;
    const struct node *node;
    const struct object *object;
    struct stmt *find;
    struct audiences *audiences;
    int64_t last; /* the audience asked of last, and its answer: rows that come together often share one */
    int held;
};

struct membership_asker *membership_asker_open(struct db *db, const struct node *n, const struct object *o)
{
    struct membership_asker *a = mem_zero(1, sizeof *a);
    *a = (struct membership_asker){.db = db, .node = n, .object = o, .last = AUDIENCE_NOBODY};
    a->find = db_preparef(db, "SELECT audience FROM dx_member_%lld WHERE key = ?1", (long long)o->id);
    a->audiences = audiences_open(db);
    if (a->find && a->audiences)
        return a;
    membership_asker_close(a);
    return NULL;
}

void membership_asker_close(struct membership_asker *a)
{
    if (a == NULL)
        return;
    stmt_free(a->find);
    audiences_close(a->audiences);
    free(a);
}

int membership_ask(struct membership_asker *a, const struct val *key)
{
    if (a->object->visible == VISIBLE_NONE)
        return 0;
    if (membership_whole(a->object))
        return row_exists(a->db, a->object, key);
    stmt_bind(a->find, 1, key);
    enum step step = stmt_step(a->find);
    int64_t audience = step == STEP_ROW ? stmt_int(a->find, 0) : AUDIENCE_NOBODY;
    stmt_reset(a->find);
    if (step == STEP_ERROR)
        return -1;
    if (audience == AUDIENCE_NOBODY || audience == AUDIENCE_ALL)
        return audience == AUDIENCE_ALL;
    if (audience != a->last) {
        a->held = audience_has(a->audiences, audience, a->node->id);
        a->last = audience;
    }
    return a->held;
}

int membership_holds(struct db *db, const struct node *n, const struct object *o, const struct val *key)
{
    struct membership_asker *a = membership_asker_open(db, n, o);
    int held = a ? membership_ask(a, key) : -1;
    membership_asker_close(a);
    return held;
}

int membership_select(struct db *db, const struct node *n, const struct object *o, struct buf *sql)
{
    struct buf ids = {0};
    if (audience_of_node(db, n->id, &ids) || membership_functions(db)) {
        buf_free(&ids);
        return -1;
    }
    buf_puts(sql, "SELECT ");
    layout_columns(sql, o->sent, "x.");
    buf_puts(sql, " FROM main.");
    buf_name(sql, o->table);
    buf_puts(sql, " AS x");
    if (o->visible == VISIBLE_NONE)
        buf_puts(sql, " WHERE 0");
    else if (!membership_whole(o)) {
        buf_addf(sql,
                 " WHERE (SELECT m.audience FROM main.dx_member_%lld AS m WHERE m.key = ", (long long)o->id);
        membership_key(sql, o->sent, "x");
        buf_addf(sql, ") IN (%s)", buf_text(&ids));
    }
    buf_puts(sql, " ORDER BY ");
    layout_keys(sql, o->sent, "x.");
    buf_free(&ids);
    return 0;
}

int membership_count(struct db *db, const struct node *n, const struct object *o, int64_t enough,
                     int64_t *rows)
{
    struct buf from = {0};
    int rc = 0;
    if (o->visible == VISIBLE_NONE)
        buf_puts(&from, "(SELECT 1 WHERE 0)");
    else if (membership_whole(o)) {
        buf_puts(&from, "main.");
        buf_name(&from, o->table);
    } else {
        buf_addf(&from, "main.dx_member_%lld WHERE audience IN (", (long long)o->id);
        rc = audience_of_node(db, n->id, &from);
        buf_puts(&from, ")");
    }
    if (rc == 0 && enough < 0)
        rc = db_get_int(db, rows, "SELECT count(*) FROM %s", buf_text(&from));
    else if (rc == 0)
        rc = db_get_int(db, rows, "SELECT count(*) FROM (SELECT 1 FROM %s LIMIT 1 + %lld)", buf_text(&from),
                        (long long)enough);
    buf_free(&from);
    return rc;
}
