/* upload_guard: see apply/upload_guard.h. */
#include "apply/upload_guard.h"

#include "base/err.h"
#include "nodes/membership.h"

#include <string.h>

int upload_guard_read(struct upload_guard *g, struct db *db, const struct node *n, int64_t number)
{
    *g = (struct upload_guard){0};
    int found = approval_find(db, n->id, &g->known);
    if (found > 0)
        g->rejected = g->known.upload == number && g->known.decision == APPROVAL_REJECTED;
    return found < 0 ? -1 : 0;
}

/* The rows of the object that the node held before the upload. */
static int held_rows(struct apply_context *w, const struct node *n, const struct object *o,
                     const struct change_log_count *done, int64_t *rows)
{
    struct buf ids = {0};
    int rc;
    if (membership_whole(o)) {
        rc = db_get_int(w->db, rows, "SELECT count(*) FROM main.\"%w\"", o->table);
        *rows += done->deleted - done->inserted;
        return rc;
    }
    rc = audience_of_node(w->db, n->id, &ids) ||
         db_get_int(w->db, rows, "SELECT count(*) FROM main.dx_member_%lld WHERE audience IN (%s)",
                    (long long)o->id, buf_text(&ids));
    buf_free(&ids);
    return rc ? -1 : 0;
}

static int check_object(struct upload_guard *g, struct apply_context *w, const struct node *n,
                        const struct object *o, const struct change_log_count *done)
{
    int64_t rows, percent, held = 0;
    object_guard(o->guard, &rows, &percent);
    bool over = rows >= 0 && done->replaced > rows;
    if (!over && percent >= 0 && held_rows(w, n, o, done, &held))
        return -1;
    over |= percent >= 0 && done->replaced * 100 > held * percent;
    if (!over)
        return 0;
    g->over = true;
    return fail(
        ERR_GUARD,
        "%s: upload %lld of node %s would delete or overwrite %lld rows of table %s, more than `guard = "
        "%s` allows; nothing was changed; decide: txnroute node approve %s %s, or reject",
        w->name, (long long)w->head->number, n->name, (long long)done->replaced, o->table, o->guard,
        db_path(w->db), n->name);
}

int upload_guard_check(struct upload_guard *g, struct apply_context *w, const struct node *n,
                       const struct package *p)
{
    bool same = strcmp(g->known.digest, dx_end(w->reader)->sha256) == 0;
    if (g->rejected && !same) {
        g->over = true;
        return fail(ERR_GUARD,
                    "%s: upload %lld of node %s is not the one that was rejected; nothing was changed",
                    w->name, (long long)w->head->number, n->name);
    }
    if (g->rejected || (same && g->known.upload == w->head->number && g->known.decision == APPROVAL_APPROVED))
        return 0;
    for (size_t i = 0; i < w->effect.n; i++) {
        const struct object *o = package_object(p, w->targets.target[i]->table->name);
        if (o && *o->guard && w->effect.count[i].replaced && check_object(g, w, n, o, &w->effect.count[i]))
            return -1;
    }
    return 0;
}

int upload_guard_ask(const struct upload_guard *g, struct apply_context *w, const struct node *n)
{
    return g->over ? approval_ask(w->db, n->id, w->head->number, dx_end(w->reader)->sha256) : 0;
}
