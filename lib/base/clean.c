/* clean: see base/clean.h. */
#include "base/clean.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the character that begins with that byte. */
static size_t length_of(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static uint32_t decode(const uint8_t *p, size_t n)
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fU);
    return c;
}

/* Controls, and the characters that turn the direction of text, are invisible, or separate lines. */
static bool harmless(uint32_t c)
{
    return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !(c >= 0x200b && c <= 0x200f) &&
           !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff && c != 0xad;
}

void clean_text(struct buf *out, const void *text, size_t n)
{
    const uint8_t *p = text, *end = p + n;
    while (p < end) {
        size_t long_as = length_of(*p);
        bool sound = long_as <= (size_t)(end - p) && utf8_sound(p, long_as);
        if (sound && harmless(decode(p, long_as)))
            buf_add(out, p, long_as);
        else
            buf_byte(out, '?');
        p += sound ? long_as : 1;
    }
}

void clean_paths(struct buf *out, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        const char *slash = memchr(text, '/', n);
        if (slash == NULL)
            buf_add(out, text, n);
        else { /* the last part of the path, with what stands behind it */
            for (const char *next = slash; next;
                 next = memchr(slash + 1, '/', n - (size_t)(slash + 1 - text)))
                slash = next;
            buf_add(out, slash + 1, n - (size_t)(slash + 1 - text));
        }
        text += n;
        if (*text)
            buf_byte(out, (uint8_t)*text++);
    }
}
