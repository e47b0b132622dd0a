/* wire: see base/wire.h. The variable-length integer is that of the SQLite file format, section 1.6. */
#include "base/wire.h"

#include <string.h>

struct wire wire_over(const void *p, size_t n)
{
    return (struct wire){.p = p, .end = n ? (const uint8_t *)p + n : p, .state = WIRE_OK};
}

const void *wire_bytes(struct wire *w, uint64_t n)
{
    if (w->state != WIRE_OK)
        return NULL;
    if ((uint64_t)(w->end - w->p) < n) {
        w->state = WIRE_SHORT;
        return NULL;
    }
    const void *at = w->p;
    w->p += n;
    return at;
}

uint8_t wire_byte(struct wire *w)
{
    if (w->state == WIRE_OK && w->p < w->end)
        return *w->p++;
    if (w->state == WIRE_OK)
        w->state = WIRE_SHORT;
    return 0;
}

uint64_t wire_u64(struct wire *w)
{
    const uint8_t *p = wire_bytes(w, 8);
    uint64_t v = 0;
    for (int i = 0; p && i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t bad(struct wire *w)
{
    if (w->state == WIRE_OK)
        w->state = WIRE_BAD;
    return 0;
}

uint64_t wire_varint(struct wire *w)
{
    uint64_t v = 0;
    bool leading = false;
    for (int i = 0; i < 9; i++) {
        uint8_t byte = wire_byte(w);
        if (i == 8)
            return (v << 8 | byte) >> 56 ? v << 8 | byte : bad(w);
        v = v << 7 | (byte & 0x7f);
        leading |= i == 0 && byte == 0x80;
        if (byte < 0x80)
            return leading ? bad(w) : v;
    }
    return v;
}

const char *wire_text(struct wire *w)
{
    if (w->state != WIRE_OK)
        return NULL;
    const uint8_t *nul = memchr(w->p, 0, (size_t)(w->end - w->p));
    if (nul == NULL) {
        w->state = WIRE_SHORT;
        return NULL;
    }
    const char *text = (const char *)w->p;
    w->p = nul + 1;
    return text;
}

void wire_put_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 7; i >= 0; i--, v >>= 8)
        bytes[i] = (uint8_t)v;
    buf_add(b, bytes, sizeof bytes);
}

void wire_put_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[9];
    int n = 9;
    if (v >> 56) {
        bytes[--n] = (uint8_t)v;
        v >>= 8;
        while (n > 0) {
            bytes[--n] = (uint8_t)(v | 0x80);
            v >>= 7;
        }
    } else {
        bytes[--n] = (uint8_t)(v & 0x7f);
        while (v >>= 7)
            bytes[--n] = (uint8_t)(v | 0x80);
    }
    buf_add(b, bytes + n, (size_t)(9 - n));
}
