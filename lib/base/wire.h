/* wire: a bounded, sticky cursor over bytes from outside. Ten reads, one check. */
#ifndef WIRE_H
#define WIRE_H

#include "base/buf.h"

#include <stdbool.h>

enum wire_state {
    WIRE_OK,
    WIRE_SHORT, /* a read wanted more bytes than there are */
    WIRE_BAD    /* the bytes cannot be what they should be */
};

struct wire {
    const uint8_t *p, *end;
    enum wire_state state; /* once not WIRE_OK it stays, and every read gives 0 */
};

struct wire wire_over(const void *p, size_t n);
uint8_t wire_byte(struct wire *w);
uint64_t wire_u64(struct wire *w);    /* 8 bytes, big-endian */
uint64_t wire_varint(struct wire *w); /* SQLite's variable-length integer, 1 to 9 bytes, as few as it takes */
const void *wire_bytes(struct wire *w, uint64_t n);
const char *wire_text(struct wire *w); /* up to and with a NUL */

void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_varint(struct buf *b, uint64_t v);

#endif
