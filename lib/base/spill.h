/* spill: bytes put aside in a temporary file, for a caller that remembers where they are. Small pieces are written many at a
 * time; read back in about the order of their writing, even in several such rows at once, they are read so, too. */
#ifndef SPILL_H
#define SPILL_H

#include <stddef.h>
#include <sys/types.h>

struct spill *spill_open(void); /* NULL on failure */
void spill_close(struct spill *s);

/* Appends n bytes: where they are, or -1. */
off_t spill_put(struct spill *s, const void *p, size_t n);

/* Reads n bytes from there. */
int spill_get(struct spill *s, void *into, size_t n, off_t at);

#endif
