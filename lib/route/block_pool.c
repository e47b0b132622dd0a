/* block_pool: see route/block_pool.h.
 *
 * Rows come in the order of their keys, each for another audience than the one before: put straight into the blocks of
 * thousands of audiences, every one would miss the processor's caches. So changes are gathered as they come, and dealt
 * to their blocks when there are many, audience by audience. */
#include "route/block_pool.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of memory: of changes gathered, before they are dealt; of finished blocks, before the next are put aside. */
enum { GATHERED_MAX = 8 << 20, KEPT_MAX = 6 << 20 };

/* A block being filled, of one audience. */
struct builder {
    int64_t audience;
    bool upsert; /* or deletes */
    struct dx_block *block;
    size_t number; /* as it is known to slots and changes */
};

/* What stands there, and the number of its builder + 1; 0: free. */
struct slot {
    int64_t audience;
    uint32_t upsert, number;
};

/* Where a change begins among the gathered ones, and the number of its builder. */
struct due {
    uint32_t start, number;
};

static void forget_builders(struct block_pool *p)
{
    p->nbuilder = 0;
    if (p->nslot)
        memset(p->slot, 0, p->nslot * sizeof *p->slot);
}

void block_pool_begin(struct block_pool *p, const struct table *t, int64_t place)
{
    p->table = t;
    p->place = place;
    forget_builders(p);
}

void block_pool_free(struct block_pool *p)
{
    for (size_t i = 0; i < p->n; i++)
        dx_block_free(p->piece[i].block);
    for (size_t i = 0; i < p->nbuilder; i++)
        dx_block_free(p->builder[i].block);
    free(p->piece);
    free(p->builder);
    free(p->slot);
    free(p->due);
    buf_free(&p->encoded);
}

/* A block that many nodes get is compressed once, but written and fetched by each: level 3 often halves it. */
static int level_for(struct block_pool *p, int64_t audience)
{
    enum { MANY_NODES = 32 };
    const struct audience *set = audience_get(p->audiences, audience);
    return set && set->n >= MANY_NODES && p->level < DX_LEVEL_SHARED ? DX_LEVEL_SHARED : p->level;
}

static int end_block(struct block_pool *p, struct builder *b)
{
    if (b->block == NULL)
        return 0;
    if ((p->n & (p->n - 1)) == 0)
        p->piece = mem_grow(p->piece, p->n ? p->n * 2 : 1, sizeof *p->piece);
    p->piece[p->n++] = (struct pooled_block){b->block, b->audience, b->upsert ? p->place + 1 : -1 - p->place};
    int rc = dx_block_end(b->block, level_for(p, b->audience));
    p->kept += dx_block_memory(b->block);
    if (rc == 0 && p->kept > KEPT_MAX) {
        p->kept -= dx_block_memory(b->block);
        rc = dx_block_spill(b->block, p->spill);
    }
    b->block = NULL;
    return rc;
}

/* ---- from the order in which changes came to that of their blocks ---- */

static int by_audience(const void *a, const void *b)
{
    const struct builder *x = a, *y = b;
    return x->audience != y->audience ? (x->audience < y->audience ? -1 : 1) : x->upsert - y->upsert;
}

static int by_number(const void *a, const void *b)
{
    const struct builder *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The changes gathered, sorted by the number of their builder: indexes of p->due, of builder i those from first[i] up
 * to first[i + 1]. The caller frees both. */
static uint32_t *sort_due(const struct block_pool *p, uint32_t **first)
{
    uint32_t *count = mem_zero(p->nbuilder + 2, sizeof *count), *order = mem_zero(p->ndue, sizeof *order);
    for (size_t i = 0; i < p->ndue; i++)
        count[p->due[i].number + 2]++;
    for (size_t i = 2; i < p->nbuilder + 2; i++)
        count[i] += count[i - 1];
    for (size_t i = 0; i < p->ndue; i++)
        order[count[p->due[i].number + 1]++] = (uint32_t)i;
    *first = count;
    return order;
}

/* Gives a block its changes. Each one that is full is ended. */
static int fill(struct block_pool *p, struct builder *b, const uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct due *d = &p->due[order[i]];
        size_t end = order[i] + 1 < p->ndue ? d[1].start : p->encoded.n;
        if (b->block == NULL)
            b->block = dx_block_new(p->table, CHANGESET_PATCH);
        dx_block_add(b->block, p->encoded.p + d->start, end - d->start);
        if (dx_block_size(b->block) >= DX_BLOCK && end_block(p, b))
            return -1;
    }
    return 0;
}

/* Deals what was gathered, audience by audience: the blocks are put aside or, at last, ended, in an order that is not
 * that of the rows, and the same each time, so that what was put aside is read back as it was written. */
static int deal(struct block_pool *p, bool last)
{
    uint32_t *first, *order = sort_due(p, &first);
    int rc = 0;
    if (p->nbuilder)
        qsort(p->builder, p->nbuilder, sizeof *p->builder, by_audience);
    for (size_t i = 0; rc == 0 && i < p->nbuilder; i++) {
        struct builder *b = &p->builder[i];
        rc = fill(p, b, order + first[b->number], first[b->number + 1] - first[b->number]);
        if (rc == 0 && b->block)
            rc = last ? end_block(p, b) : dx_block_park(b->block, p->spill);
    }
    if (p->nbuilder)
        qsort(p->builder, p->nbuilder, sizeof *p->builder, by_number);
    free(order);
    free(first);
    buf_clear(&p->encoded);
    p->ndue = 0;
    return rc;
}

int block_pool_end(struct block_pool *p)
{
    int rc = deal(p, true);
    for (size_t i = 0; i < p->nbuilder; i++)
        dx_block_free(p->builder[i].block);
    forget_builders(p);
    return rc;
}

void block_pool_cut(struct block_pool *p, size_t n, int64_t changes)
{
    for (; p->n > n; p->n--) {
        struct dx_block *b = p->piece[p->n - 1].block;
        p->kept -= p->kept < dx_block_memory(b) ? p->kept : dx_block_memory(b);
        dx_block_free(b);
    }
    for (size_t i = 0; i < p->nbuilder; i++)
        dx_block_free(p->builder[i].block);
    forget_builders(p);
    buf_clear(&p->encoded);
    p->ndue = 0;
    p->changes = changes;
}

/* ---- the blocks being filled, by audience ---- */

static struct slot *slot_of(const struct block_pool *p, int64_t audience, bool upsert)
{
    uint64_t h = ((uint64_t)audience * 2 + upsert) * 0x9e3779b97f4a7c15ULL;
    size_t i = (size_t)(h >> 32) & (p->nslot - 1);
    while (p->slot[i].number && (p->slot[i].audience != audience || p->slot[i].upsert != upsert))
        i = (i + 1) & (p->nslot - 1);
    return &p->slot[i];
}

static void widen(struct block_pool *p)
{
    p->nslot = p->nslot ? p->nslot * 2 : 128;
    p->builder = mem_grow(p->builder, p->nslot / 2, sizeof *p->builder);
    free(p->slot);
    p->slot = mem_zero(p->nslot, sizeof *p->slot);
    for (size_t i = 0; i < p->nbuilder; i++) {
        const struct builder *b = &p->builder[i];
        *slot_of(p, b->audience, b->upsert) = (struct slot){b->audience, b->upsert, (uint32_t)i + 1};
    }
}

/* The number of the builder. */
static uint32_t builder_for(struct block_pool *p, int64_t audience, bool upsert)
{
    if (p->nbuilder == p->nslot / 2)
        widen(p);
    struct slot *s = slot_of(p, audience, upsert);
    if (s->number == 0) {
        *s = (struct slot){audience, upsert, (uint32_t)p->nbuilder + 1};
        p->builder[p->nbuilder] =
            (struct builder){.audience = audience, .upsert = upsert, .number = p->nbuilder};
        p->nbuilder++;
    }
    return s->number - 1;
}

int block_pool_add(struct block_pool *p, int64_t audience, const struct change *c)
{
    if (audience == AUDIENCE_NOBODY)
        return 0;
    if (p->ndue == p->room) {
        p->room = p->room ? p->room * 2 : 1024;
        p->due = mem_grow(p->due, p->room, sizeof *p->due);
    }
    p->due[p->ndue++] =
        (struct due){(uint32_t)p->encoded.n, builder_for(p, audience, c->op != CHANGE_DELETE)};
    if (dx_block_encode(&p->encoded, c, CHANGESET_PATCH)) {
        p->ndue--;
        return 1;
    }
    p->changes++;
    return p->encoded.n + p->ndue * sizeof *p->due > GATHERED_MAX ? deal(p, false) : 0;
}
