/* sha: see base/sha.h. */
#include "base/sha.h"

#include "base/mem.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

struct sha {
    EVP_MD_CTX *md;
};

/* libcrypto's digest calls fail only for want of memory or of the algorithm itself: nothing to go on with. */
static void need(int ok)
{
    if (ok != 1) {
        fputs("dx: libcrypto cannot compute SHA-256\n", stderr);
        _Exit(4);
    }
}

/* Found once: libcrypto's search for it costs as much as a short digest. */
static const EVP_MD *sha256(void)
{
    static EVP_MD *md;
    if (md == NULL)
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    need(md != NULL);
    return md;
}

struct sha *sha_new(void)
{
    struct sha *s = mem_zero(1, sizeof *s);
    s->md = EVP_MD_CTX_new();
    need(s->md != NULL);
    need(EVP_DigestInit_ex(s->md, sha256(), NULL));
    return s;
}

void sha_add(struct sha *s, const void *p, size_t n)
{
    need(EVP_DigestUpdate(s->md, p, n));
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
    need(EVP_DigestFinal_ex(s->md, sum, NULL));
    need(EVP_DigestInit_ex(s->md, NULL, NULL)); /* the same again, without a search for the algorithm */
}

void sha_end(struct sha *s, char hex[SHA_HEX])
{
    uint8_t sum[SHA_BYTES];
    sha_end_bytes(s, sum);
    to_hex(sum, sizeof sum, hex);
}

void sha_free(struct sha *s)
{
    if (s == NULL)
        return;
    EVP_MD_CTX_free(s->md);
    free(s);
}

void sha_sum(const void *p, size_t n, uint8_t sum[SHA_BYTES])
{
    need(EVP_Digest(p, n, sum, NULL, sha256(), NULL));
}

void sha_hex(const void *p, size_t n, char hex[SHA_HEX])
{
    uint8_t sum[SHA_BYTES];
    sha_sum(p, n, sum);
    to_hex(sum, sizeof sum, hex);
}

void sha_random_hex(size_t n, char *hex)
{
    uint8_t bytes[64];
    n = n < sizeof bytes ? n : sizeof bytes;
    need(RAND_bytes(bytes, (int)n));
    to_hex(bytes, n, hex);
}
