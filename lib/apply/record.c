/* record: see apply/record.h. */
#include "apply/record.h"

#include "base/err.h"

#include <string.h>

void record_put(struct buf *b, const struct change *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->table->ncol; i++)
        n += c->old[i].type != VAL_NONE || c->new[i].type != VAL_NONE;
    buf_byte(b, (uint8_t)c->op);
    wire_put_varint(b, n);
    for (size_t i = 0; i < c->table->ncol; i++) {
        struct val name = val_text(c->table->col[i]);
        if (c->old[i].type == VAL_NONE && c->new[i].type == VAL_NONE)
            continue;
        val_put(b, &name);
        val_put(b, &c->old[i]);
        val_put(b, &c->new[i]);
    }
}

static void get_column(struct wire *w, const struct target *t, struct arena *a, struct change *c)
{
    struct val name = val_get(w), old = val_get(w), new = val_get(w);
    char text[256];
    if (w->state != WIRE_OK || name.type != VAL_TEXT || name.n >= sizeof text)
        return;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    int at = table_column(t->table, text);
    if (at >= 0) {
        c->old[at] = arena_val(a, &old);
        c->new[at] = arena_val(a, &new);
    }
}

int record_get(const struct val *bytes, struct target *t, struct arena *a, struct change *c)
{
    struct wire w = wire_over(bytes->p, bytes->type == VAL_BLOB ? bytes->n : 0);
    size_t size = t->table->ncol * sizeof(struct val);
    *c = (struct change){.table = t->table, .op = (enum change_op)wire_byte(&w), .origin = ""};
    c->old = memset(arena_alloc(a, size), 0, size);
    c->new = memset(arena_alloc(a, size), 0, size);
    for (uint64_t n = wire_varint(&w); n > 0 && w.state == WIRE_OK; n--)
        get_column(&w, t, a, c);
    if (w.state != WIRE_OK)
        return fail(ERR_REFUSED, "%s: a damaged record of table %s in a dx_ table", db_path(t->db),
                    t->table->name);
    return 0;
}
