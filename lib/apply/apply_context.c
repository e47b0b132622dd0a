/* apply_context: see apply/apply_context.h. */
#include "apply/apply_context.h"

#include "apply/merge_context.h"
#include "apply/rejected_rows.h"

#include <stdlib.h>

/* A trigger of this database does not let the change be: refused and recorded, the row sent back as it is here. */
static int refuse(struct apply_context *w, struct target *t, const struct change *c, const char *why)
{
    struct change copy = *c; /* its values may be those of the row read last */
    copy.old = vals_copy(c->old, t->table->ncol);
    copy.new = vals_copy(c->new, t->table->ncol);
    int here = target_row(t, &copy, NULL);
    int rc = here < 0 || conflict_row(w, t, &copy, here > 0, CONFLICT_PERMISSION, CONFLICT_OURS, why) ||
                     rejected_rows_note(w, t, &copy) || merge_force(w, t, &copy, w->effect.origin)
                 ? -1
                 : 0;
    free(copy.old);
    free(copy.new);
    return rc;
}

/* Whether the row is there, found by a key that may be the value of the row read last: 1, 0, -1. */
static int is_there(struct target *t, const struct change *c)
{
    struct val *key = vals_copy(c->old, t->table->ncol);
    struct change row = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = key};
    int there = target_row(t, &row, NULL);
    free(key);
    return there;
}

/* Nothing was done: because the row is not there, or because a trigger ignores the change. */
static int done_nothing(struct apply_context *w, struct target *t, const struct change *c)
{
    bool merging = w->way == WORK_MERGE && w->effect.triggers;
    int there = merging && c->op != CHANGE_INSERT ? is_there(t, c) : merging;
    if (there > 0)
        return refuse(w, t, c, "a trigger of this database ignores it");
    w->count->missing++;
    return there;
}

int apply_change(struct apply_context *w, struct target *t, const struct change *c)
{
    const char *reason;
    int may = w->way == WORK_MERGE ? merge_may_write(w, t, c, &reason) : 1;
    if (may <= 0)
        return may < 0 ? -1 : deferred_add(w, t, c, true, false, reason);
    enum done done = c->op == CHANGE_INSERT   ? target_insert(t, c, NULL)
                     : c->op == CHANGE_UPDATE ? target_update(t, c, false)
                                              : target_delete(t, c, false);
    switch (done) {
    case DONE:
        return change_log_note(&w->effect, t, c);
    case DONE_NOTHING:
        return done_nothing(w, t, c);
    case DONE_EXISTS:
    case DONE_BLOCKED:
        if (w->way == WORK_MERGE && target_raised(t))
            return refuse(w, t, c, target_reason(t));
        return deferred_add(w, t, c, true, target_taken(t), target_reason(t));
    default:
        return -1;
    }
}
