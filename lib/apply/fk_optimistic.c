/* fk_optimistic: see apply/fk_optimistic.h. */
#include "apply/fk_optimistic.h"

#include "apply/deferred.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct trusted {
    struct target *target;
    struct val *row;
};

struct fk_optimistic {
    bool on, wanted;
    struct rowset broken; /* rows that must not go so */
    size_t n;
    struct trusted *trusted; /* in this attempt */
};

static struct change of_row(const struct target *t, struct val *row)
{
    return (struct change){.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
}

bool fk_optimistic_asked(struct apply_context *w, struct target *t, struct val *row)
{
    struct fk_optimistic *s = w->trust;
    struct change c = of_row(t, row);
    s->wanted = true;
    if (!s->on || rowset_find(&s->broken, t, &c))
        return false;
    s->trusted = mem_grow(s->trusted, s->n + 1, sizeof *s->trusted);
    s->trusted[s->n++] = (struct trusted){t, vals_copy(row, t->table->ncol)};
    return true;
}

static void forget(struct fk_optimistic *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->trusted[i].row);
    free(s->trusted);
    s->trusted = NULL;
    s->n = 0;
}

/* Whether the row went and left one that refers to it: 1, 0, -1. */
static int is_broken(struct apply_context *w, const struct trusted *r, struct arena *a)
{
    struct change c = of_row(r->target, r->row);
    struct merge_table *m = merge_table(w, r->target);
    struct child *child;
    size_t n;
    int here = m ? target_row(r->target, &c, NULL) : -1;
    if (here)
        return here < 0 ? -1 : 0;
    return fk_children_load(m->children, r->row, a, &child, &n) ? -1 : n > 0;
}

static int find_broken(struct apply_context *w)
{
    struct fk_optimistic *s = w->trust;
    struct arena arena = {0};
    int found = 0;
    for (size_t i = 0; i < s->n && found >= 0; i++) {
        int broken = is_broken(w, &s->trusted[i], &arena);
        struct change c = of_row(s->trusted[i].target, s->trusted[i].row);
        if (broken > 0)
            rowset_add(&s->broken, s->trusted[i].target, &c);
        found = broken < 0 ? -1 : found || broken;
    }
    arena_free(&arena);
    return found;
}

/* What is known beside the database, as it was. */
struct before {
    struct apply_count count;
    size_t neffect;
    struct change_log_count *effect;
    int64_t waiting;
    bool conflict;
};

static struct before remember(struct apply_context *w)
{
    struct before b = {*w->count, w->effect.n, NULL, w->defer->n, w->conflict != NULL};
    b.effect = mem_copy(w->effect.count, w->effect.n * sizeof *b.effect);
    merge_keep(w);
    return b;
}

static void go_back(struct apply_context *w, const struct before *b)
{
    *w->count = b->count;
    for (size_t i = 0; i < w->effect.n; i++)
        w->effect.count[i] = i < b->neffect ? b->effect[i] : (struct change_log_count){0};
    w->defer->n = b->waiting;
    if (!b->conflict) { /* the table may be gone again */
        stmt_free(w->conflict);
        w->conflict = NULL;
    }
    merge_back(w);
}

/* 1 when all went well; 0 when trust was broken, and everything is as before; -1. */
static int attempt(struct apply_context *w)
{
    struct before before = remember(w);
    int broken = db_exec(w->db, "SAVEPOINT dx_trust") || deferred_retry(w) ? -1 : find_broken(w);
    if (broken > 0) {
        go_back(w, &before);
        broken = db_exec(w->db, "ROLLBACK TO dx_trust") ? -1 : 1;
        trigger_effects_forget(w->effect.triggers);
    }
    if (broken >= 0 && db_exec(w->db, "RELEASE dx_trust"))
        broken = -1;
    free(before.effect);
    forget(w->trust);
    return broken < 0 ? -1 : !broken;
}

int fk_optimistic_settle(struct apply_context *w)
{
    struct fk_optimistic trust = {0};
    if (w->defer->n == 0)
        return 0;
    w->trust = &trust;
    int rc = deferred_retry(w), done = 0;
    trust.on = true;
    while (rc == 0 && done == 0 && trust.wanted && w->defer->n)
        done = attempt(w);
    rowset_free(&trust.broken);
    w->trust = NULL;
    return rc || done < 0 ? -1 : deferred_give_up(w);
}
