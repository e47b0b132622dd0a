/* next_key: see apply/next_key.h. */
#include "apply/next_key.h"

#include "nodes/key_range.h"

int next_key_begin_ranges(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    for (size_t i = 0; i < h->nrange; i++) {
        const struct dx_range *r = &h->range[i];
        const struct table *from = dx_head_table(h, r->table);
        struct target *t = from ? targets_for(&w->targets, from) : NULL;
        if (from && t == NULL)
            return -1;
        if (t && t->layout->autoincrement && key_range_begin(w->db, t->table->name, r->first - 1))
            return -1;
    }
    return 0;
}
