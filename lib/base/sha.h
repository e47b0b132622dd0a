/* sha: SHA-256, by nettle. */
#ifndef SHA_H
#define SHA_H

#include <stddef.h>
#include <stdint.h>

enum { SHA_BYTES = 32, SHA_HEX = 65 };

struct sha *sha_new(void);
void sha_add(struct sha *s, const void *p, size_t n);

/* Ends the sum as 64 hex digits and a NUL, and starts a new one. */
void sha_end(struct sha *s, char hex[SHA_HEX]);
void sha_end_bytes(struct sha *s, uint8_t sum[SHA_BYTES]); /* the same as bytes */
void sha_free(struct sha *s);

/* Of one piece of memory. */
void sha_sum(const void *p, size_t n, uint8_t sum[SHA_BYTES]);
void sha_hex(const void *p, size_t n, char hex[SHA_HEX]);

/* n random bytes, at most 256, from the system's source; and as 2n hex digits and a NUL, of at most 64. */
void sha_random(void *p, size_t n);
void sha_random_hex(size_t n, char *hex);

#endif
