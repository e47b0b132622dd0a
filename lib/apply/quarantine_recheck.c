/* quarantine_recheck: see apply/quarantine_recheck.h. */
#include "apply/quarantine_recheck.h"

#include "apply/deferred.h"
#include "apply/merge.h"
#include "apply/retry.h"
#include "apply/upload_apply.h"

static int wait_on(struct apply_context *w)
{
    w->defer->blocked = true;
    return 0;
}

/* For a change behind another of its row. */
static int ask(struct apply_context *w, struct target *t, struct change *c)
{
    int may = upload_apply_still(w, t, c);
    return may > 0 ? wait_on(w) : may;
}

static int ask_first(struct apply_context *w, struct target *t, struct change *c)
{
    int may = upload_apply_still(w, t, c);
    if (may <= 0)
        return may;
    int here = c->op == CHANGE_INSERT ? target_row(t, c, NULL) : 0;
    return here > 0 ? merge_one(w, t, c) : here < 0 ? -1 : wait_on(w);
}

static int check(struct apply_context *w, struct deferred_entry *e, void *rows)
{
    struct waiting_rows *met = rows;
    if (retry_one(w, e, waiting_rows_find(met, e) ? ask : ask_first))
        return -1;
    if (w->defer->blocked)
        waiting_rows_add(met, e);
    return 0;
}

int quarantine_recheck(struct apply_context *w)
{
    struct waiting_rows met = {0};
    if (!w->defer->taken || w->defer->n == 0)
        return 0;
    int rc = deferred_each(w, DEFERRED_QUARANTINED, check, &met);
    waiting_rows_free(&met);
    return rc || deferred_judged(w) ? -1 : 0;
}
