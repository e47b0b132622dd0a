/* upload_rows: see apply/upload_rows.h. Open addressing over wide hashes of table and key. The last bit of the second word is
 * no hash: 1 where the row was deleted and may be inserted. */
#include "apply/upload_rows.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define DELETED ((uint64_t)1)

/* The slot that holds the hash, or the free one where it goes. */
static uint64_t *seek(const struct upload_rows *r, const uint64_t hash[2])
{
    size_t i = hash[0] & (r->room - 1);
    while ((r->slot[i][0] || r->slot[i][1]) &&
           (r->slot[i][0] != hash[0] || (r->slot[i][1] ^ hash[1]) & ~DELETED))
        i = (i + 1) & (r->room - 1);
    return r->slot[i];
}

static void widen(struct upload_rows *r)
{
    struct upload_rows old = *r;
    r->room = old.room ? old.room * 2 : 64;
    r->slot = mem_zero(r->room, sizeof *r->slot);
    for (size_t i = 0; i < old.room; i++)
        if (old.slot[i][0] || old.slot[i][1])
            memcpy(seek(r, old.slot[i]), old.slot[i], sizeof *old.slot);
    free(old.slot);
}

bool upload_rows_add(struct upload_rows *r, const struct target *t, const struct change *c)
{
    uint64_t hash[2];
    struct hash h = hash_begin();
    buf_clear(&r->key);
    change_key_bytes(c, &r->key);
    hash_word(&h, t->index);
    hash_bytes(&h, r->key.p, r->key.n);
    hash_end_wide(&h, hash);
    hash[1] = c->op == CHANGE_DELETE ? hash[1] | DELETED : hash[1] & ~DELETED;
    if ((r->n + 1) * 4 > r->room * 3)
        widen(r);
    uint64_t *slot = seek(r, hash);
    if (slot[0] || slot[1]) {
        bool again = c->op == CHANGE_INSERT && slot[1] & DELETED;
        slot[1] &= ~DELETED;
        return again;
    }
    memcpy(slot, hash, sizeof hash);
    r->n++;
    return true;
}

void upload_rows_free(struct upload_rows *r)
{
    free(r->slot);
    buf_free(&r->key);
    *r = (struct upload_rows){0};
}
