/* utf8: see base/utf8.h. */
#include "base/utf8.h"

#include <stdint.h>

/* Bytes of the character that starts at p, 0 when none does. The table of well-formed sequences is that of the
 * Unicode standard, section 3.9. */
static size_t character(const uint8_t *p, size_t n)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
    if (p[0] >= 0x80 && (p[0] < 0xc2 || p[0] > 0xf4))
        return 0;
    if (more >= n)
        return 0;
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
    for (size_t i = 1; i <= more; i++, low = 0x80, high = 0xbf)
        if (p[i] < low || p[i] > high)
            return 0;
    return more + 1;
}

bool utf8_sound(const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        size_t length = character(at, n);
        if (length == 0)
            return false;
        at += length;
        n -= length;
    }
    return true;
}
