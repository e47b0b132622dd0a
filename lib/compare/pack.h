/* pack: numbers, texts, layouts and rows as a run of values (val_put), as what is kept in a work file and what two sides
 * say to each other are made of. Reading is by a bounded, sticky cursor: what makes no sense turns it WIRE_BAD. */
#ifndef PACK_H
#define PACK_H

#include "data/table.h"
#include "data/val.h"

enum { PACK_MANY = 1 << 20 }; /* more of anything is not believed */

void pack_int(struct buf *b, int64_t v);
void pack_text(struct buf *b, const char *s); /* NULL is "" */
void pack_row(struct buf *b, const struct val *v, size_t n);
void pack_table(struct buf *b, const struct table *t);

/* A number from 0 to max; 0 when it is none. */
int64_t unpack_int(struct wire *w, int64_t max);

/* A text without NULs that the caller frees; "" when it is none. */
char *unpack_text(struct wire *w);

/* n values, which point into the bytes. False when they are not there. */
bool unpack_row(struct wire *w, struct val *v, size_t n);

/* A layout that the caller frees, or NULL. */
struct table *unpack_table(struct wire *w);

#endif
