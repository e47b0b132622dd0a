/* piece: see piece.h. */
#include "piece.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

enum { PENDING_MAX = 32 << 20 };

/* A block being filled, of one audience. */
struct builder {
    int64_t audience;
    bool upsert; /* or deletes */
    struct dx_block *block;
};

void pieces_begin(struct pieces *p, const struct table *t, int64_t place)
{
    p->table = t;
    p->place = place;
    p->nbuilder = 0;
}

void pieces_free(struct pieces *p)
{
    for (size_t i = 0; i < p->n; i++)
        dx_block_free(p->piece[i].block);
    for (size_t i = 0; i < p->nbuilder; i++)
        dx_block_free(p->builder[i].block);
    free(p->piece);
    free(p->builder);
}

static int end_block(struct pieces *p, struct builder *b)
{
    if (b->block == NULL)
        return 0;
    int64_t place = p->place;
    p->pending -= dx_block_size(b->block);
    dx_block_end(b->block, p->level);
    p->piece = mem_grow(p->piece, p->n + 1, sizeof *p->piece);
    p->piece[p->n++] = (struct piece){b->block, b->audience, b->upsert ? place + 1 : -1 - place};
    int rc = dx_block_spill(b->block, p->spill, "temporary file");
    b->block = NULL;
    return rc;
}

int pieces_end(struct pieces *p)
{
    int rc = 0;
    for (size_t i = 0; i < p->nbuilder; i++)
        rc = rc || end_block(p, &p->builder[i]) ? -1 : 0;
    return rc;
}

static struct builder *builder_for(struct pieces *p, int64_t audience, bool upsert)
{
    /* Ordered by audience, so that finding is fast and the order of the blocks does not depend on chance. */
    size_t low = 0, high = p->nbuilder;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct builder *b = &p->builder[middle];
        if (b->audience < audience || (b->audience == audience && b->upsert < upsert))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < p->nbuilder && p->builder[low].audience == audience && p->builder[low].upsert == upsert)
        return &p->builder[low];
    p->builder = mem_grow(p->builder, p->nbuilder + 1, sizeof *p->builder);
    memmove(p->builder + low + 1, p->builder + low, (p->nbuilder - low) * sizeof *p->builder);
    p->nbuilder++;
    p->builder[low] = (struct builder){.audience = audience, .upsert = upsert};
    return &p->builder[low];
}

int pieces_add(struct pieces *p, int64_t audience, const struct change *c)
{
    if (audience == AUDIENCE_NOBODY)
        return 0;
    struct builder *b = builder_for(p, audience, c->op != CHANGE_DELETE);
    if (b->block == NULL)
        b->block = dx_block_new(p->table, CHANGESET_PATCH);
    else
        p->pending -= dx_block_size(b->block);
    dx_block_add(b->block, c);
    p->pending += dx_block_size(b->block);
    p->changes++;
    if (dx_block_size(b->block) >= DX_BLOCK)
        return end_block(p, b);
    return p->pending > PENDING_MAX ? pieces_end(p) : 0;
}
