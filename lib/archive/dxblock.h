/* dxblock: what a shared block is made of (archive/dx.h), for the archive's writer. */
#ifndef DXBLOCK_H
#define DXBLOCK_H

#include "archive/dx.h"
#include "base/spill.h"

struct dx_block {
    const struct table *table;
    enum changeset_form form;
    struct buf bytes, frame; /* as encoded; compressed, with the tar's padding */
    size_t size;
    struct dx_count count;
    char hex[SHA_HEX];
    uint8_t sum[SHA_BYTES]; /* of the frame */
    struct spill *spill;    /* where bytes were put aside */
    off_t at;               /* when spilled: the frame there */
    size_t length;
    bool spilled;
    struct extent *extent; /* bytes put aside, which stand before those in memory */
    size_t nextent, parked;
};

/* The compressed bytes: the block's, or read back into room; *n of them. NULL on failure. */
const uint8_t *dxblock_frame(const struct dx_block *b, struct buf *room, size_t *n);

#endif
