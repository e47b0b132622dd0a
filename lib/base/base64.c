/* base64: see base/base64.h. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *b, const void *p, size_t n)
{
    const uint8_t *in = p;
    if (n == 0)
        return;
    uint8_t *out = buf_reserve(b, (n + 2) / 3 * 4);
    for (; n > 0; in += 3) {
        uint32_t bits = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0);
        *out++ = (uint8_t)digits[bits >> 18];
        *out++ = (uint8_t)digits[bits >> 12 & 63];
        *out++ = n > 1 ? (uint8_t)digits[bits >> 6 & 63] : '=';
        *out++ = n > 2 ? (uint8_t)digits[bits & 63] : '=';
        n -= n < 3 ? n : 3;
    }
    b->n = (size_t)(out - b->p);
}

size_t base64_room(size_t n)
{
    return n / 4 * 3;
}

/* The value of a digit, or -1. */
static int value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_get(const char *text, size_t n, uint8_t *out, size_t *got)
{
    size_t pad = n >= 4 ? (size_t)(text[n - 1] == '=') + (text[n - 1] == '=' && text[n - 2] == '=') : 0;
    uint32_t bits = 0;
    *got = 0;
    if (n % 4 != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        int v = i < n - pad ? value(text[i]) : 0;
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 != 3)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8)
            out[(*got)++] = (uint8_t)(bits >> shift);
        bits = 0;
    }
    *got -= pad;
    return pad == 0 || (out[*got] == 0 && out[*got + pad - 1] == 0);
}
