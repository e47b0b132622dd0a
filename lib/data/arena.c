/* arena: see data/arena.h. */
#include "data/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, room;
    alignas(max_align_t) unsigned char bytes[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_chunk *c = a->chunk;
    if (c == NULL || c->room - c->used < n) {
        size_t room = n > CHUNK ? n : CHUNK;
        c = mem_alloc(sizeof *c + room);
        *c = (struct arena_chunk){.next = a->chunk, .room = room};
        a->chunk = c;
    }
    void *p = c->bytes + c->used;
    c->used += n;
    return p;
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

struct val arena_val(struct arena *a, const struct val *v)
{
    struct val copy = *v;
    if (v->type == VAL_TEXT || v->type == VAL_BLOB)
        copy.p = arena_copy(a, v->p, v->n);
    return copy;
}

void arena_clear(struct arena *a)
{
    while (a->chunk && a->chunk->next) {
        struct arena_chunk *next = a->chunk->next;
        free(a->chunk);
        a->chunk = next;
    }
    if (a->chunk)
        a->chunk->used = 0;
}

void arena_free(struct arena *a)
{
    arena_clear(a);
    free(a->chunk);
    a->chunk = NULL;
}
