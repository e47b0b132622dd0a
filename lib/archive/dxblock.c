/* dxblock: see archive/dxblock.h. */
#include "archive/dxblock.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/tar.h"
#include "base/zst.h"

#include <stdlib.h>
#include <string.h>

struct extent {
    off_t at;
    size_t n;
};

struct dx_block *dx_block_new(const struct table *t, enum changeset_form form)
{
    struct dx_block *b = mem_zero(1, sizeof *b);
    b->table = t;
    b->form = form;
    changeset_put_table(&b->bytes, t, form);
    return b;
}

int dx_block_encode(struct buf *bytes, const struct change *c, enum changeset_form form)
{
    size_t start = bytes->n;
    changeset_put_change(bytes, c, form);
    size_t n = bytes->n - start;
    if (n <= DX_CHANGE_MAX)
        return 0;
    bytes->n = start;
    return fail(ERR_REFUSED, "%s: a change of %zu bytes, %d MiB are the most an archive carries",
                change_show(c), n, DX_CHANGE_MAX >> 20);
}

void dx_block_add(struct dx_block *b, const uint8_t *p, size_t n)
{
    enum change_op op = p[0];
    buf_add(&b->bytes, p, n);
    *(op == CHANGE_INSERT   ? &b->count.inserts
      : op == CHANGE_UPDATE ? &b->count.updates
                            : &b->count.deletes) += 1;
}

size_t dx_block_size(const struct dx_block *b)
{
    return b->parked + b->bytes.n;
}

size_t dx_block_memory(const struct dx_block *b)
{
    return sizeof *b + b->bytes.room + b->frame.room;
}

/* Brings back what was put aside. */
static int unpark(struct dx_block *b)
{
    struct buf all = {0};
    int rc = 0;
    if (b->nextent == 0)
        return 0;
    buf_reserve(&all, b->parked + b->bytes.n);
    for (size_t i = 0; rc == 0 && i < b->nextent; all.n += b->extent[i++].n)
        rc = spill_get(b->spill, all.p + all.n, b->extent[i].n, b->extent[i].at);
    buf_add(&all, b->bytes.p, b->bytes.n);
    buf_free(&b->bytes);
    b->bytes = all;
    b->nextent = b->parked = 0;
    return rc;
}

int dx_block_end(struct dx_block *b, int level)
{
    if (unpark(b))
        return -1;
    b->size = b->bytes.n;
    sha_hex(b->bytes.p, b->size, b->hex);
    size_t pad = tar_padding(b->size);
    memset(buf_reserve(&b->bytes, pad), 0, pad);
    zst_frame(level, b->bytes.p, b->size + pad, &b->frame, b->sum);
    b->frame.p = mem_grow(b->frame.p, b->frame.n, 1); /* there was room for what cannot be compressed */
    b->frame.room = b->frame.n;
    buf_free(&b->bytes);
    return 0;
}

int dx_block_park(struct dx_block *b, struct spill *s)
{
    if (b->bytes.n == 0)
        return 0;
    b->spill = s;
    b->extent = mem_grow(b->extent, b->nextent + 1, sizeof *b->extent);
    struct extent *x = &b->extent[b->nextent++];
    x->n = b->bytes.n;
    x->at = spill_put(s, b->bytes.p, b->bytes.n);
    b->parked += x->n;
    buf_free(&b->bytes);
    return x->at < 0 ? -1 : 0;
}

int dx_block_spill(struct dx_block *b, struct spill *s)
{
    b->spill = s;
    b->length = b->frame.n;
    b->at = spill_put(s, b->frame.p, b->frame.n);
    buf_free(&b->frame);
    b->spilled = true;
    return b->at < 0 ? -1 : 0;
}

void dx_block_free(struct dx_block *b)
{
    if (b == NULL)
        return;
    buf_free(&b->bytes);
    buf_free(&b->frame);
    free(b->extent);
    free(b);
}

const uint8_t *dxblock_frame(const struct dx_block *b, struct buf *room, size_t *n)
{
    *n = b->spilled ? b->length : b->frame.n;
    if (!b->spilled)
        return b->frame.p;
    buf_clear(room);
    return spill_get(b->spill, buf_reserve(room, b->length), b->length, b->at) ? NULL : room->p;
}
