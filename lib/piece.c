/* piece: see piece.h. */
#include "piece.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of memory: of blocks being filled, before they are put aside; of finished ones, before the next go to the
 * temporary file. */
enum { PENDING_MAX = 16 << 20, KEPT_MAX = 6 << 20 };

/* A block being filled, of one audience. */
struct builder {
    int64_t audience;
    bool upsert; /* or deletes */
    struct dx_block *block;
};

static void forget_builders(struct pieces *p)
{
    p->nbuilder = 0;
    if (p->nslot)
        memset(p->slot, 0, p->nslot * sizeof *p->slot);
}

void pieces_begin(struct pieces *p, const struct table *t, int64_t place)
{
    p->table = t;
    p->place = place;
    forget_builders(p);
}

void pieces_free(struct pieces *p)
{
    for (size_t i = 0; i < p->n; i++)
        dx_block_free(p->piece[i].block);
    for (size_t i = 0; i < p->nbuilder; i++)
        dx_block_free(p->builder[i].block);
    free(p->piece);
    free(p->builder);
    free(p->slot);
}

/* A block that many nodes get is compressed once, but written and fetched by each: level 3 often halves it. */
static int level_for(struct pieces *p, int64_t audience)
{
    enum { MANY_NODES = 32, MANY_LEVEL = 3 };
    const struct audience *set = audience_get(p->audiences, audience);
    return set && set->n >= MANY_NODES && p->level < MANY_LEVEL ? MANY_LEVEL : p->level;
}

static int end_block(struct pieces *p, struct builder *b)
{
    if (b->block == NULL)
        return 0;
    int64_t place = p->place;
    p->pending -= dx_block_memory(b->block);
    if ((p->n & (p->n - 1)) == 0)
        p->piece = mem_grow(p->piece, p->n ? p->n * 2 : 1, sizeof *p->piece);
    p->piece[p->n++] = (struct piece){b->block, b->audience, b->upsert ? place + 1 : -1 - place};
    int rc = dx_block_end(b->block, level_for(p, b->audience));
    p->kept += dx_block_memory(b->block);
    if (rc == 0 && p->kept > KEPT_MAX) {
        p->kept -= dx_block_memory(b->block);
        rc = dx_block_spill(b->block, p->spill, "temporary file");
    }
    b->block = NULL;
    return rc;
}

static int by_audience(const void *a, const void *b)
{
    const struct builder *x = a, *y = b;
    return x->audience != y->audience ? (x->audience < y->audience ? -1 : 1) : x->upsert - y->upsert;
}

int pieces_end(struct pieces *p)
{
    int rc = 0;
    if (p->nbuilder) /* so that the order of the blocks does not depend on that of the rows */
        qsort(p->builder, p->nbuilder, sizeof *p->builder, by_audience);
    for (size_t i = 0; i < p->nbuilder; i++)
        rc = rc || end_block(p, &p->builder[i]) ? -1 : 0;
    for (size_t i = 0; i < p->nbuilder; i++)
        dx_block_free(p->builder[i].block);
    forget_builders(p);
    return rc;
}

/* ---- the blocks being filled, by audience ---- */

static size_t slot_of(const struct pieces *p, int64_t audience, bool upsert)
{
    uint64_t h = ((uint64_t)audience * 2 + upsert) * 0x9e3779b97f4a7c15ULL;
    return (size_t)(h >> 32) & (p->nslot - 1);
}

static void place_builder(struct pieces *p, size_t number)
{
    const struct builder *b = &p->builder[number];
    size_t i = slot_of(p, b->audience, b->upsert);
    while (p->slot[i])
        i = (i + 1) & (p->nslot - 1);
    p->slot[i] = number + 1;
}

static void widen(struct pieces *p)
{
    p->room = p->room ? p->room * 2 : 64;
    p->nslot = p->room * 2;
    p->builder = mem_grow(p->builder, p->room, sizeof *p->builder);
    free(p->slot);
    p->slot = mem_zero(p->nslot, sizeof *p->slot);
    for (size_t i = 0; i < p->nbuilder; i++)
        place_builder(p, i);
}

static struct builder *builder_for(struct pieces *p, int64_t audience, bool upsert)
{
    if (p->nbuilder == p->room)
        widen(p);
    for (size_t i = slot_of(p, audience, upsert); p->slot[i]; i = (i + 1) & (p->nslot - 1)) {
        struct builder *b = &p->builder[p->slot[i] - 1];
        if (b->audience == audience && b->upsert == upsert)
            return b;
    }
    p->builder[p->nbuilder] = (struct builder){.audience = audience, .upsert = upsert};
    place_builder(p, p->nbuilder);
    return &p->builder[p->nbuilder++];
}

/* Puts what is in memory into the temporary file, so that each audience still gets one block of it in the end. */
static int park(struct pieces *p)
{
    for (size_t i = 0; i < p->nbuilder; i++)
        if (p->builder[i].block && dx_block_park(p->builder[i].block, p->spill, "temporary file"))
            return -1;
    p->pending = 0;
    return 0;
}

int pieces_add(struct pieces *p, int64_t audience, const struct change *c)
{
    if (audience == AUDIENCE_NOBODY)
        return 0;
    struct builder *b = builder_for(p, audience, c->op != CHANGE_DELETE);
    if (b->block == NULL)
        b->block = dx_block_new(p->table, CHANGESET_PATCH);
    else
        p->pending -= dx_block_memory(b->block);
    dx_block_add(b->block, c);
    p->pending += dx_block_memory(b->block);
    p->changes++;
    if (dx_block_size(b->block) >= DX_BLOCK)
        return end_block(p, b);
    return p->pending > PENDING_MAX ? park(p) : 0;
}
