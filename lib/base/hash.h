/* hash: SipHash-1-3 (J.-P. Aumasson, D. J. Bernstein, 2012) over words, for hash tables with untrusted keys. Each process has
 * a random key, so no input can force collisions. A hash has no meaning in another process. */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash {
    uint64_t v[4];
};

/* Begin, add any number of words and bytes, end. hash_bytes adds the length too: "ab" and "c" are not "a" and "bc". */
struct hash hash_begin(void);
void hash_word(struct hash *h, uint64_t word);
void hash_bytes(struct hash *h, const void *p, size_t n);
uint64_t hash_end(const struct hash *h);

/* The same with 128 bits: no two different inputs that a process can meet have the same. */
void hash_end_wide(const struct hash *h, uint64_t out[2]);

#endif
