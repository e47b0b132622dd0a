/* verdict_send: see apply/verdict_send.h. */
#include "apply/verdict_send.h"

#include "apply/merge_context.h"
#include "apply/record.h"
#include "base/mem.h"
#include "nodes/verdict.h"

#include <stdlib.h>
#include <string.h>

/* A longer value is left out: the node has what it wrote in its upload. */
enum { VALUE = 4096 };

static bool small(const struct val *v)
{
    return v->type != VAL_TEXT && v->type != VAL_BLOB ? v->type != VAL_NONE : v->n <= VALUE;
}

/* Of the change what the node sent: the key, and new values of columns that travel; of a conflict on a column also the
 * value that the node had before. Other old values may be those of the row here. */
void verdict_put(struct buf *b, const struct change *c, int column, const struct object *o)
{
    size_t n = c->table->ncol;
    struct val *old = mem_zero(n, sizeof *old), *new = mem_zero(n, sizeof *new);
    struct change sent = {.table = c->table, .op = c->op, .origin = "", .old = old, .new = new};
    for (size_t i = 0; i < n; i++) {
        bool travels = o == NULL || table_column(o->sent, c->table->col[i]) >= 0;
        bool concerned = column < 0 || (size_t)column == i;
        const struct val *key = c->op == CHANGE_INSERT ? &c->new[i] : &c->old[i];
        if (c->table->pk[i] && small(key))
            *(c->op == CHANGE_INSERT ? &new[i] : &old[i]) = *key;
        else if (c->table->pk[i])
            continue;
        else if (travels && concerned && c->op != CHANGE_DELETE && small(&c->new[i]))
            new[i] = c->new[i];
        if ((int)i == column && travels && small(&c->old[i]))
            old[i] = c->old[i];
    }
    record_put(b, &sent);
    free(old);
    free(new);
}

/* The merge's package and node are those of the origin at hand. */
static bool from_node(const struct apply_context *w)
{
    return w->way == WORK_MERGE && w->merge->noded && w->effect.origin &&
           strcmp(w->effect.origin, w->merge->node.name) == 0;
}

int verdict_send(struct apply_context *w, const struct change *c, int column, const char *kind,
                 const char *outcome, const char *reason)
{
    if (!from_node(w) || strcmp(outcome, CONFLICT_THEIRS) == 0)
        return 0;
    const struct object *o = w->merge->package ? package_object(w->merge->package, c->table->name) : NULL;
    /* Other reasons may name rows that are not the node's to see. */
    bool plain = strcmp(kind, CONFLICT_PERMISSION) == 0 || strcmp(kind, CONFLICT_QUARANTINE) == 0;
    struct dx_verdict v = {.kind = (char *)kind,
                           .outcome = (char *)outcome,
                           .table = c->table->name,
                           .column = column < 0 ? NULL : c->table->col[column],
                           .reason = plain ? (char *)reason : NULL};
    verdict_put(&v.change, c, column, o);
    int rc = verdict_add(w->db, w->merge->node.id, &v);
    buf_free(&v.change);
    return rc;
}

int verdict_send_waits(struct apply_context *w, const struct change *c, const char *origin)
{
    struct merge *merge = w->merge;
    const char *before = w->effect.origin;
    if (merge_as(w, origin))
        return -1;
    w->effect.origin = origin;
    int rc = verdict_send(w, c, -1, CONFLICT_QUARANTINE, CONFLICT_WAITS, NULL);
    w->effect.origin = before;
    w->merge = merge;
    return rc;
}
