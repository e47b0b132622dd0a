/* key: see sql/key.h. */
#include "sql/key.h"

struct val key_pack(const struct val *key, size_t n, struct buf *room)
{
    if (n == 1)
        return key[0];
    buf_clear(room);
    for (size_t i = 0; i < n; i++)
        val_put(room, &key[i]);
    return (struct val){.type = VAL_BLOB, .p = room->p, .n = room->n};
}

bool key_unpack(const struct val *packed, size_t n, struct val *key)
{
    if (n == 1) {
        key[0] = *packed;
        return true;
    }
    if (packed->type != VAL_BLOB)
        return false;
    struct wire w = wire_over(packed->p, packed->n);
    for (size_t i = 0; i < n; i++)
        key[i] = val_get(&w);
    return w.state == WIRE_OK && w.p == w.end;
}
