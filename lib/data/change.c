/* change: see data/change.h. */
#include "data/change.h"

#include <stdio.h>

const char *change_op_name(enum change_op op)
{
    return op == CHANGE_INSERT ? "insert" : op == CHANGE_UPDATE ? "update" : "delete";
}

void change_key(const struct change *c, struct val *out)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    for (size_t i = 0; i < c->table->nkey; i++)
        out[i] = row[c->table->key[i]];
}

struct val change_packed_key(const struct change *c, struct buf *room)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    if (c->table->nkey == 1)
        return row[c->table->key[0]];
    buf_clear(room);
    change_key_bytes(c, room);
    return (struct val){.type = VAL_BLOB, .p = room->p, .n = room->n};
}

void change_key_bytes(const struct change *c, struct buf *out)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    for (size_t i = 0; i < c->table->nkey; i++)
        val_put(out, &row[c->table->key[i]]);
}

const char *change_show(const struct change *c)
{
    static char slots[4][640];
    static int turn;
    struct val key[8];
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    size_t n = c->table->nkey < 8 ? c->table->nkey : 8;
    for (size_t i = 0; i < n; i++)
        key[i] = row[c->table->key[i]];
    turn = (turn + 1) % 4;
    snprintf(slots[turn], sizeof slots[turn], "%.100s %s", c->table->name, vals_show(key, n));
    return slots[turn];
}

void change_invert(struct change *c)
{
    struct val *old = c->old;
    c->old = c->new;
    c->new = old;
    if (c->op != CHANGE_UPDATE) {
        c->op = c->op == CHANGE_INSERT ? CHANGE_DELETE : CHANGE_INSERT;
        return;
    }
    for (size_t i = 0; i < c->table->ncol; i++)
        if (c->table->pk[i]) {
            c->old[i] = c->new[i];
            c->new[i].type = VAL_NONE;
        }
}
