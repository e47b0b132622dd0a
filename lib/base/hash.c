/* hash: see base/hash.h. */
#include "base/hash.h"

#include "base/sha.h"

#include <stdbool.h>
#include <string.h>

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void turn(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

struct hash hash_begin(void)
{
    static uint64_t key[2];
    static bool keyed;
    if (!keyed) {
        sha_random(key, sizeof key);
        keyed = true;
    }
    return (struct hash){{key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                          key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u}};
}

void hash_word(struct hash *h, uint64_t word)
{
    h->v[3] ^= word;
    turn(h->v);
    h->v[0] ^= word;
}

void hash_bytes(struct hash *h, const void *p, size_t n)
{
    const uint8_t *at = p;
    uint64_t word;
    hash_word(h, n);
    for (; n >= sizeof word; at += sizeof word, n -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash_word(h, word);
    }
    if (n == 0)
        return;
    word = 0;
    memcpy(&word, at, n);
    hash_word(h, word);
}

static uint64_t finish(uint64_t v[4], uint64_t mark)
{
    v[2] ^= mark;
    for (int i = 0; i < 3; i++)
        turn(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_end(const struct hash *h)
{
    struct hash end = *h;
    return finish(end.v, 0xff);
}

void hash_end_wide(const struct hash *h, uint64_t out[2])
{
    struct hash end = *h;
    out[0] = finish(end.v, 0xee);
    end.v[1] ^= 0xdd;
    out[1] = finish(end.v, 0);
}
