/* verdict_receive: see apply/verdict_receive.h. */
#include "apply/verdict_receive.h"

#include "apply/conflict.h"
#include "apply/record.h"
#include "apply/verdict_forward.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

static bool has_key(const struct change *c)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    for (size_t i = 0; i < c->table->nkey; i++)
        if (row[c->table->key[i]].type == VAL_NONE)
            return false;
    return true;
}

/* Those that are new here, with the changes they are about, whose values lie in the arena. */
struct received {
    struct verdict_received *list;
    size_t n;
    struct arena values;
};

/* A row of which the change here may be another by now: its value is recorded as it is. */
static int receive_one(struct apply_context *w, const struct dx_verdict *v, struct received *new)
{
    struct target *t = targets_named(&w->targets, v->table);
    struct change c;
    struct val bytes = {.type = VAL_BLOB, .p = v->change.p, .n = v->change.n};
    struct conflict k = {.kind = v->kind,
                         .table = v->table,
                         .column = v->column,
                         .outcome = v->outcome,
                         .reason = v->reason,
                         .incoming = bytes};
    int column = t && v->column ? table_column(t->table, v->column) : -1;
    if (t == NULL || (v->column && column < 0))
        return conflict_own(w, NULL, &k); /* what it is about is not here any more */
    int rc = record_get(&bytes, t, &new->values, &c);
    bool known = rc == 0 && has_key(&c); /* one that is too long is left out */
    int here = rc ? -1 : known ? target_row(t, &c, NULL) : 0;
    if (here >= 0 && column >= 0) {
        k.base = c.old[column];
        k.ours = c.new[column];
        k.theirs = here ? t->now[column] : (struct val){.type = VAL_NULL};
    }
    int64_t before = w->count->conflicts;
    rc = here < 0 ? -1 : conflict_own(w, known ? &c : NULL, &k);
    if (rc == 0 && known && w->count->conflicts > before) {
        new->list = mem_append(new->list, new->n, sizeof *new->list);
        new->list[new->n++] = (struct verdict_received){v, c, column};
    }
    return rc;
}

int verdict_receive(struct apply_context *w)
{
    struct received new = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->head->nverdict; i++)
        rc = receive_one(w, &w->head->verdict[i], &new);
    rc = rc || verdict_forward(w, new.list, new.n) ? -1 : 0;
    arena_free(&new.values);
    free(new.list);
    return rc;
}
