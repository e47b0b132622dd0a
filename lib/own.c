/* own: see own.h. */
#include "own.h"

#include "member.h"
#include "next.h"

void own_exclude(struct buf *sql, const struct viewed *w, const char *key)
{
    const struct relation *r = w->rule->relation;
    for (int new = 0; new < 2; new ++) {
        if (!(new ? r->has_new : r->has_old))
            continue;
        buf_addf(sql, " AND NOT EXISTS (SELECT 1 FROM %s AS o WHERE ", new ? r->new_name : r->old_name);
        member_where(sql, w->object->sent, "o", key);
        buf_puts(sql, ")");
    }
}

/* Rows of one image into dx_moved, by what dx_next says; of the old images only those that are gone. */
static void add_move(struct buf *sql, const struct viewed *w, bool new)
{
    const struct relation *r = w->rule->relation;
    long long id = (long long)w->object->id;
    buf_addf(
        sql,
        "INSERT INTO temp.dx_moved (obj, key, old, new) SELECT %lld, dx_c.key, dx_c.old, dx_c.new FROM "
        "(SELECT dx_k.key, coalesce((SELECT audience FROM main.dx_member AS m WHERE m.obj = %lld AND m.key "
        "= dx_k.key), 0) AS old, %s AS new FROM (SELECT ",
        id, id, new ? "coalesce((SELECT audience FROM temp.dx_next AS n WHERE n.key = dx_k.key), 0)" : "0");
    member_key(sql, w->object->sent, "x");
    buf_addf(sql, " AS key FROM %s AS x", new ? r->new_name : r->old_name);
    if (!new && r->has_new) {
        buf_addf(sql, " WHERE NOT EXISTS (SELECT 1 FROM %s AS y WHERE ", r->new_name);
        for (size_t k = 0; k < w->object->sent->nkey; k++) {
            const char *column = w->object->sent->col[w->object->sent->key[k]];
            buf_puts(sql, k ? " AND y." : "y.");
            buf_name(sql, column);
            buf_puts(sql, " = x.");
            buf_name(sql, column);
        }
        buf_puts(sql, ")");
    }
    buf_puts(sql, ") AS dx_k) AS dx_c WHERE dx_c.old <> dx_c.new;");
}

int own_move(struct views *v, const struct viewed *w)
{
    const struct relation *r = w->rule->relation;
    int rc = r->has_new ? next_fill(v, w, r->new_name) : 0;
    struct buf sql = {0};
    if (r->has_new)
        add_move(&sql, w, true);
    if (r->has_old)
        add_move(&sql, w, false);
    rc = rc || db_exec(v->db, buf_text(&sql)) ? -1 : 0;
    buf_free(&sql);
    return rc;
}

/* ---- children ---- */

/* Rows that did not change themselves go where their parent went. */
int own_children(struct views *v, const struct viewed *w, bool own)
{
    struct buf sql = {0}, key = {0};
    long long id = (long long)w->object->id;
    member_key(&key, w->object->sent, "x");
    buf_addf(&sql,
             "INSERT INTO temp.dx_moved (obj, key, old, new) SELECT %lld, %s, m.old, m.new FROM "
             "temp.dx_moved AS m CROSS JOIN main.",
             id, buf_text(&key));
    buf_name(&sql, w->object->table);
    buf_addf(&sql, " AS x WHERE m.obj = %lld AND m.old <> m.new AND ", (long long)w->parent->object->id);
    view_where_parent(&sql, w, "x", "m.key");
    if (own)
        own_exclude(&sql, w, buf_text(&key));
    if (w->rule->keep) {
        buf_puts(&sql, " AND (SELECT (");
        buf_puts(&sql, w->rule->keep);
        buf_puts(&sql, "\n) FROM main.");
        buf_name(&sql, w->object->table);
        buf_puts(&sql, " AS dx_w WHERE ");
        for (size_t k = 0; k < w->object->sent->nkey; k++) {
            buf_puts(&sql, k ? " AND dx_w." : "dx_w.");
            buf_name(&sql, w->object->sent->col[w->object->sent->key[k]]);
            buf_puts(&sql, " = x.");
            buf_name(&sql, w->object->sent->col[w->object->sent->key[k]]);
        }
        buf_puts(&sql, ")");
    }
    int rc = db_exec(v->db, buf_text(&sql));
    buf_free(&sql);
    buf_free(&key);
    return rc;
}
