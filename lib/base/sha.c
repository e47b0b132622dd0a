/* sha: see base/sha.h. */
#include "base/sha.h"

#include "base/mem.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct sha {
    struct sha256_ctx state;
};

struct sha *sha_new(void)
{
    struct sha *s = mem_zero(1, sizeof *s);
    sha256_init(&s->state);
    return s;
}

void sha_add(struct sha *s, const void *p, size_t n)
{
    sha256_update(&s->state, n, p);
}

static void to_hex(const uint8_t *p, size_t n, char *hex)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digit[p[i] >> 4];
        hex[2 * i + 1] = digit[p[i] & 15];
    }
    hex[2 * n] = 0;
}

void sha_end_bytes(struct sha *s, uint8_t sum[SHA_BYTES])
{
    sha256_digest(&s->state, SHA_BYTES, sum); /* begins again, too */
}

void sha_end(struct sha *s, char hex[SHA_HEX])
{
    uint8_t sum[SHA_BYTES];
    sha_end_bytes(s, sum);
    to_hex(sum, sizeof sum, hex);
}

void sha_free(struct sha *s)
{
    free(s);
}

void sha_sum(const void *p, size_t n, uint8_t sum[SHA_BYTES])
{
    struct sha256_ctx state;
    sha256_init(&state);
    sha256_update(&state, n, p);
    sha256_digest(&state, SHA_BYTES, sum);
}

void sha_hex(const void *p, size_t n, char hex[SHA_HEX])
{
    uint8_t sum[SHA_BYTES];
    sha_sum(p, n, sum);
    to_hex(sum, sizeof sum, hex);
}

void sha_random(void *p, size_t n)
{
    if (getrandom(p, n, 0) != (ssize_t)n) { /* up to 256 bytes come whole; only an old kernel has none */
        fputs("dx: this system gives no random bytes\n", stderr);
        _Exit(4);
    }
}

void sha_random_hex(size_t n, char *hex)
{
    uint8_t bytes[64];
    n = n < sizeof bytes ? n : sizeof bytes;
    sha_random(bytes, n);
    to_hex(bytes, n, hex);
}
