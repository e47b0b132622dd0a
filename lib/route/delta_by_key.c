/* delta_by_key: see route/delta_by_key.h. */
#include "route/delta_by_key.h"

#include "nodes/membership.h"
#include "route/evaluate.h"
#include "route/moves.h"
#include "route/next_audience.h"
#include "route/row_class.h"
#include "rules/rule_fence.h"

void delta_by_key_exclude(struct buf *sql, const struct object_delta *w, const char *key)
{
    const struct relation *r = w->rule->relation;
    for (int after = 0; after < 2; after++) {
        if (!(after ? r->has_new : r->has_old))
            continue;
        buf_addf(sql, " AND NOT EXISTS (SELECT 1 FROM %s AS o WHERE ", after ? r->new_name : r->old_name);
        membership_where(sql, w->object->sent, "o", key);
        buf_puts(sql, ")");
    }
}

/* What is held of the row under the alias x. */
static void add_held(struct buf *sql, const struct object_delta *w)
{
    buf_addf(sql, " LEFT JOIN main.dx_member_%lld AS dx_m ON dx_m.key = ", (long long)w->object->id);
    membership_key(sql, w->object->sent, "x");
}

/* The rows of the new images into the moves, by the next audience of their classes or of each row. */
static void add_news(struct buf *sql, const struct object_delta *w, bool by_class)
{
    moves_insert(sql, w);
    membership_key(sql, w->object->sent, "x");
    buf_addf(sql, ", coalesce(dx_m.audience, 0), coalesce(dx_n.audience, 0) FROM %s AS x",
             w->rule->relation->new_name);
    if (by_class)
        row_class_join(sql, w, "x", true);
    else {
        buf_addf(sql, " LEFT JOIN %s AS dx_n ON dx_n.key = ", next_audience_table(NEXT_ROWS));
        membership_key(sql, w->object->sent, "x");
    }
    add_held(sql, w);
    buf_puts(sql, " WHERE coalesce(dx_m.audience, 0) <> coalesce(dx_n.audience, 0);");
}

/* The rows of the old images that are gone. */
static void add_gone(struct buf *sql, const struct object_delta *w)
{
    const struct relation *r = w->rule->relation;
    moves_insert(sql, w);
    membership_key(sql, w->object->sent, "x");
    buf_addf(sql, ", dx_m.audience, 0 FROM %s AS x", r->old_name);
    add_held(sql, w);
    buf_puts(sql, " WHERE coalesce(dx_m.audience, 0) <> 0");
    if (r->has_new) {
        buf_addf(sql, " AND NOT EXISTS (SELECT 1 FROM %s AS y WHERE ", r->new_name);
        for (size_t k = 0; k < w->object->sent->nkey; k++) {
            const char *column = w->object->sent->col[w->object->sent->key[k]];
            buf_puts(sql, k ? " AND y." : "y.");
            buf_name(sql, column);
            buf_puts(sql, " = x.");
            buf_name(sql, column);
        }
        buf_puts(sql, ")");
    }
    buf_puts(sql, ";");
}

/* Whether nobody has any row of the object, nor is to have one of those in question. 1, 0, -1. */
static int nobody(struct object_deltas *v, const struct object_delta *w, bool by_class)
{
    int64_t n;
    if (db_get_int(v->db, &n,
                   "SELECT EXISTS (SELECT 1 FROM %s WHERE audience <> 0) OR EXISTS (SELECT 1 FROM "
                   "main.dx_member_%lld)",
                   next_audience_table(by_class ? NEXT_CLASSES : NEXT_ROWS), (long long)w->object->id))
        return -1;
    return n == 0;
}

int delta_by_key_move(struct object_deltas *v, const struct object_delta *w)
{
    const struct relation *r = w->rule->relation;
    bool try = r->has_new && w->object->visible == VISIBLE_SELECT && w->rule->keep == NULL;
    int by_class = try ? row_class_find(v, w, r->new_name) : 0;
    struct buf sql = {0};
    int rc = by_class < 0 || (r->has_new && !by_class && evaluate_fill(v, w, r->new_name)) ? -1 : 0;
    if (r->has_new && rc == 0 && (rc = nobody(v, w, by_class)) != 0)
        return rc < 0 ? -1 : 0;
    if (r->has_new)
        add_news(&sql, w, by_class);
    if (r->went)
        add_gone(&sql, w);
    rc = rc || rule_fence_exec(v->db, buf_text(&sql)) ? -1 : 0;
    buf_free(&sql);
    return rc;
}

/* ---- children ---- */

/* The time filter asks for columns of the row alone, which are found in a SELECT of its own. */
static void add_kept(struct buf *sql, const struct object_delta *w)
{
    const struct table *t = w->object->sent;
    buf_addf(sql, " AND (SELECT (%s\n) FROM main.", w->rule->keep);
    buf_name(sql, t->name);
    buf_puts(sql, " WHERE ");
    for (size_t k = 0; k < t->nkey; k++) {
        const char *column = t->col[t->key[k]];
        buf_puts(sql, k ? " AND " : "");
        buf_name(sql, t->name);
        buf_puts(sql, ".");
        buf_name(sql, column);
        buf_puts(sql, " = dx_x.");
        buf_name(sql, column);
    }
    buf_puts(sql, ")");
}

/* Rows that did not change themselves go where their parent went. */
int delta_by_key_children(struct object_deltas *v, const struct object_delta *w, bool own)
{
    struct buf sql = {0}, key = {0};
    membership_key(&key, w->object->sent, "dx_x");
    moves_insert(&sql, w);
    buf_addf(&sql, "%s, m.old, m.new FROM ", buf_text(&key));
    moves_table(&sql, w->parent);
    buf_puts(&sql, " AS m CROSS JOIN main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS dx_x WHERE m.old <> m.new AND ");
    object_delta_where_parent(&sql, w, "dx_x", "m.key");
    if (own)
        delta_by_key_exclude(&sql, w, buf_text(&key));
    if (w->rule->keep)
        add_kept(&sql, w);
    int rc = rule_fence_exec(v->db, buf_text(&sql));
    buf_free(&sql);
    buf_free(&key);
    return rc;
}
