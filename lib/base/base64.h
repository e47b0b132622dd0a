/* base64: bytes as text (RFC 4648, section 4, with padding). */
#ifndef BASE64_H
#define BASE64_H

#include "base/buf.h"

#include <stdbool.h>

void base64_put(struct buf *b, const void *p, size_t n);

/* Bytes that n characters of base64 may stand for, at most. */
size_t base64_room(size_t n);

/* Decodes into out (base64_room bytes), *got of them. False when it is no base64: other characters, no padding, bits
 * left over. */
bool base64_get(const char *text, size_t n, uint8_t *out, size_t *got);

#endif
