/* arena: many small pieces of memory that are given back together. A zeroed struct arena is empty and ready. */
#ifndef ARENA_H
#define ARENA_H

#include "data/val.h"

struct arena {
    struct arena_chunk *chunk; /* newest first */
};

void *arena_alloc(struct arena *a, size_t n); /* aligned for anything */
void *arena_copy(struct arena *a, const void *p, size_t n);
struct val arena_val(struct arena *a, const struct val *v); /* with its text or blob copied */
void arena_clear(struct arena *a); /* all pieces are gone; a chunk is kept for the next */
void arena_free(struct arena *a);

#endif
