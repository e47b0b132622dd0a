/* fk_cycle: see apply/fk_cycle.h. All are tried at once; those that still lack a row are left out, and the rest tried again,
 * until none lacks one. */
#include "apply/fk_cycle.h"

#include "apply/deferred.h"
#include "apply/merge_context.h"
#include "base/mem.h"

#include <stdlib.h>

struct candidate {
    int64_t seq;
    bool out;
};

struct circle {
    struct apply_context *w;
    size_t n;
    struct candidate *candidate;
    bool again; /* one was left out in this attempt */
};

typedef int each_fn(struct circle *c, struct candidate *k, struct deferred_entry *e);

/* Asks about the change as its origin's. */
static int may(struct apply_context *w, struct deferred_entry *e, const struct change *c)
{
    const char *reason;
    struct merge *merge = w->merge;
    int rc = merge_as(w, e->origin) ? -1 : merge_may_write(w, e->target, c, &reason);
    w->merge = merge;
    return rc;
}

/* Those whose only trouble is a row that they refer to. */
static int gather(struct apply_context *w, struct deferred_entry *e, void *ctx)
{
    struct circle *c = ctx;
    int allowed = may(w, e, &e->change);
    if (allowed == 0) {
        c->candidate = mem_grow(c->candidate, c->n + 1, sizeof *c->candidate);
        c->candidate[c->n++] = (struct candidate){.seq = e->seq};
    }
    return allowed < 0 ? -1 : 0;
}

static int each(struct circle *c, bool all, each_fn *fn)
{
    struct deferred_entry e = {0};
    int rc = 0;
    for (size_t i = 0; i < c->n && rc == 0; i++) {
        if (c->candidate[i].out && !all)
            continue;
        rc = deferred_load(c->w, c->candidate[i].seq, &e) > 0 ? fn(c, &c->candidate[i], &e) : -1;
    }
    deferred_entry_free(&e);
    return rc;
}

static void leave_out(struct circle *c, struct candidate *k)
{
    k->out = true;
    c->again = true;
}

static int put(struct circle *c, struct candidate *k, struct deferred_entry *e)
{
    enum done done = e->change.op == CHANGE_INSERT ? target_insert(e->target, &e->change, NULL)
                                                   : target_update(e->target, &e->change, false);
    if (done != DONE && done != DONE_ERROR)
        leave_out(c, k);
    return done == DONE_ERROR ? -1 : 0;
}

static int check(struct circle *c, struct candidate *k, struct deferred_entry *e)
{
    int allowed = may(c->w, e, &e->change);
    if (allowed == 0)
        leave_out(c, k);
    return allowed < 0 ? -1 : 0;
}

/* After the rollback: the rows that were there for a moment are not to be believed in. */
static int forget(struct circle *c, struct candidate *k, struct deferred_entry *e)
{
    (void)k;
    struct change gone = e->change;
    gone.op = CHANGE_DELETE;
    return may(c->w, e, &gone) < 0 ? -1 : 0;
}

static int note(struct circle *c, struct candidate *k, struct deferred_entry *e)
{
    (void)k;
    return deferred_note(c->w, e);
}

/* All at once: 1 when it is over, with those that are not left out done; 0 when more had to be left out; -1. */
static int attempt(struct circle *c)
{
    struct db *db = c->w->db;
    c->again = false;
    if (db_exec(db, "SAVEPOINT dx_circle") || each(c, false, put) || each(c, false, check))
        return -1;
    if (!c->again)
        return db_exec(db, "RELEASE dx_circle") || each(c, false, note) ? -1 : 1;
    trigger_effects_forget(c->w->effect.triggers);
    if (db_exec(db, "ROLLBACK TO dx_circle; RELEASE dx_circle") || each(c, true, forget))
        return -1;
    for (size_t i = 0; i < c->n; i++)
        if (!c->candidate[i].out)
            return 0;
    return 1;
}

int fk_cycle_rows(struct apply_context *w)
{
    struct circle c = {.w = w};
    int done = deferred_each(w, DEFERRED_MERGE, gather, &c) ? -1 : c.n == 0;
    while (done == 0)
        done = attempt(&c);
    free(c.candidate);
    return done < 0 ? -1 : 0;
}
