/* fk_optimistic: see apply/fk_optimistic.h. */
#include "apply/fk_optimistic.h"

#include "base/mem.h"

#include <stdlib.h>

static struct change of_row(const struct target *t, struct val *row)
{
    return (struct change){.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
}

bool fk_optimistic_allows(struct apply_context *w, struct target *t, struct val *row)
{
    struct fk_optimistic *s = w->optimistic;
    struct change c = of_row(t, row);
    s->wanted = true;
    if (!s->on || rowset_find(&s->broken, t, &c))
        return false;
    s->deleted = mem_grow(s->deleted, s->n + 1, sizeof *s->deleted);
    s->deleted[s->n++] = (struct optimistic_delete){t, vals_copy(row, t->table->ncol)};
    return true;
}

void fk_optimistic_forget(struct fk_optimistic *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->deleted[i].row);
    free(s->deleted);
    s->deleted = NULL;
    s->n = 0;
}

/* Whether the row is gone and another still refers to it: 1, 0, -1. */
static int is_broken(struct apply_context *w, const struct optimistic_delete *r, struct arena *a)
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

int fk_optimistic_find_broken(struct apply_context *w)
{
    struct fk_optimistic *s = w->optimistic;
    struct arena arena = {0};
    int found = 0;
    for (size_t i = 0; i < s->n && found >= 0; i++) {
        int broken = is_broken(w, &s->deleted[i], &arena);
        struct change c = of_row(s->deleted[i].target, s->deleted[i].row);
        if (broken > 0)
            rowset_add(&s->broken, s->deleted[i].target, &c);
        found = broken < 0 ? -1 : found || broken;
    }
    arena_free(&arena);
    return found;
}
