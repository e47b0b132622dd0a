/* verdict_receive: see apply/verdict_receive.h. */
#include "apply/verdict_receive.h"

#include "apply/conflict.h"
#include "apply/record.h"
#include "apply/verdict_forward.h"
#include "base/err.h"

static bool has_key(const struct change *c)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    for (size_t i = 0; i < c->table->nkey; i++)
        if (row[c->table->key[i]].type == VAL_NONE)
            return false;
    return true;
}

/* A row of which the change here may be another by now: its value is told as it is. */
static int receive_one(struct apply_context *w, const struct dx_verdict *v)
{
    struct target *t = targets_named(&w->targets, v->table);
    struct arena arena = {0};
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
    int rc = record_get(&bytes, t, &arena, &c);
    bool known = rc == 0 && has_key(&c); /* one that is too long is not told */
    int here = rc ? -1 : known ? target_row(t, &c, NULL) : 0;
    if (here >= 0 && column >= 0) {
        k.base = c.old[column];
        k.ours = c.new[column];
        k.theirs = here ? t->now[column] : (struct val){.type = VAL_NULL};
    }
    int64_t before = w->count->conflicts;
    rc = here < 0 ? -1 : conflict_own(w, known ? &c : NULL, &k);
    if (rc == 0 && known && w->count->conflicts > before)
        rc = verdict_forward(w, v, &c, column);
    arena_free(&arena);
    return rc;
}

int verdict_receive(struct apply_context *w)
{
    for (size_t i = 0; i < w->head->nverdict; i++)
        if (receive_one(w, &w->head->verdict[i]))
            return -1;
    return 0;
}
