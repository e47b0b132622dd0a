/* apply_context: see apply/apply_context.h. */
#include "apply/apply_context.h"

int apply_change(struct apply_context *w, struct target *t, const struct change *c)
{
    const char *reason;
    int may = w->way == WORK_MERGE ? w->may(w, t, c, &reason) : 1;
    if (may <= 0)
        return may < 0 ? -1 : deferred_add(w, t, c, true, false, reason);
    enum done done = c->op == CHANGE_INSERT   ? target_insert(t, c, NULL)
                     : c->op == CHANGE_UPDATE ? target_update(t, c, false)
                                              : target_delete(t, c, false);
    switch (done) {
    case DONE:
        return change_log_note(&w->effect, t, c);
    case DONE_NOTHING:
        w->count->missing++;
        return 0;
    case DONE_EXISTS:
    case DONE_BLOCKED:
        return deferred_add(w, t, c, true, target_taken(t), target_reason(t));
    default:
        return -1;
    }
}
