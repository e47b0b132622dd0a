/* block_pool: changes as blocks of an archive, each made once for all nodes that get the same, and put aside until the
 * nodes' archives are written. */
#ifndef BLOCK_POOL_H
#define BLOCK_POOL_H

#include "archive/dx.h"
#include "base/spill.h"
#include "nodes/audience.h"

/* One block, and who gets it. */
struct pooled_block {
    struct dx_block *block;
    int64_t audience;
    int64_t rank; /* its place in an archive: deletes, children first; then the rest, parents first */
};

struct block_pool {
    struct audiences *audiences;
    int level; /* of compression; higher where many nodes share the work */
    struct spill *spill;
    int64_t changes; /* added, each once */
    size_t n;
    struct pooled_block *piece;
    size_t kept;               /* bytes of memory of their blocks */
    const struct table *table; /* of the blocks being filled ... */
    int64_t place;             /* ... and its object's place, parents first */
    struct builder *builder;   /* the blocks being filled ... */
    size_t nbuilder;
    struct slot *slot; /* ... and where they are: open addressing, at most half full */
    size_t nslot;
    struct buf encoded; /* changes not yet in their blocks, in the order in which they came ... */
    struct due *due;    /* ... and the block of each */
    size_t ndue, room;
};

/* From here on blocks are of this table. */
void block_pool_begin(struct block_pool *p, const struct table *t, int64_t place);

/* Adds a change for all nodes of the audience. 1 when it is larger than an archive carries: it is not added. */
int block_pool_add(struct block_pool *p, int64_t audience, const struct change *c);

/* Takes back all but the first n blocks, and what was added since; `changes` is their count. */
void block_pool_cut(struct block_pool *p, size_t n, int64_t changes);

/* Ends the blocks being filled. */
int block_pool_end(struct block_pool *p);
void block_pool_free(struct block_pool *p);

#endif
