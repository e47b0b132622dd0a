/* rowset: see apply/rowset.h. Open addressing over copies of the keys' bytes. */
#include "apply/rowset.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct rowset_slot {
    uint8_t *key; /* NULL: free */
    size_t n;
    uint64_t hash;
    struct rowmark mark;
};

static uint64_t make_key(struct rowset *s, const struct target *t, const struct change *c)
{
    buf_clear(&s->key);
    wire_put_varint(&s->key, t->index);
    change_key_bytes(c, &s->key);
    struct hash h = hash_begin();
    hash_bytes(&h, s->key.p, s->key.n);
    return hash_end(&h);
}

/* The slot that holds the key, or the free one where it would go. */
static struct rowset_slot *seek(const struct rowset *s, uint64_t hash, const uint8_t *key, size_t n)
{
    size_t i = hash & (s->room - 1);
    while (s->slot[i].key &&
           (s->slot[i].hash != hash || s->slot[i].n != n || memcmp(s->slot[i].key, key, n) != 0))
        i = (i + 1) & (s->room - 1);
    return &s->slot[i];
}

struct rowmark *rowset_find(struct rowset *s, const struct target *t, const struct change *c)
{
    if (s->n == 0)
        return NULL;
    uint64_t hash = make_key(s, t, c);
    struct rowset_slot *slot = seek(s, hash, s->key.p, s->key.n);
    return slot->key ? &slot->mark : NULL;
}

static void grow(struct rowset *s)
{
    struct rowset old = *s;
    s->room = old.room ? old.room * 2 : 64;
    s->slot = mem_zero(s->room, sizeof *s->slot);
    for (size_t i = 0; i < old.room; i++)
        if (old.slot[i].key)
            *seek(s, old.slot[i].hash, old.slot[i].key, old.slot[i].n) = old.slot[i];
    free(old.slot);
}

struct rowmark *rowset_add(struct rowset *s, const struct target *t, const struct change *c)
{
    if (s->n * 2 >= s->room)
        grow(s);
    uint64_t hash = make_key(s, t, c);
    struct rowset_slot *slot = seek(s, hash, s->key.p, s->key.n);
    if (slot->key == NULL) {
        *slot = (struct rowset_slot){.key = mem_copy(s->key.p, s->key.n), .n = s->key.n, .hash = hash};
        s->n++;
    }
    return &slot->mark;
}

void rowset_mark(struct rowset *s, const struct target *t, const struct change *c)
{
    struct rowmark *mark = rowset_add(s, t, c);
    if (c->op != CHANGE_UPDATE) {
        mark->whole = true;
        return;
    }
    if (mark->columns == NULL)
        mark->columns = mem_zero(t->table->ncol, 1);
    for (size_t i = 0; i < t->table->ncol; i++)
        if (c->new[i].type != VAL_NONE)
            mark->columns[i] = 1;
}

void rowset_free(struct rowset *s)
{
    for (size_t i = 0; i < s->room; i++) {
        free(s->slot[i].key);
        free(s->slot[i].mark.columns);
    }
    free(s->slot);
    buf_free(&s->key);
    *s = (struct rowset){0};
}
