/* buf: bytes that grow. A zeroed struct buf is empty and ready. */
#ifndef BUF_H
#define BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *p; /* n bytes; after buf_text() also a NUL behind them */
    size_t n, room;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_byte(struct buf *b, uint8_t byte);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_puts(struct buf *b, const char *s);

/* Room for n more bytes at the end; the caller fills them and adds to b->n. */
uint8_t *buf_reserve(struct buf *b, size_t n);

/* Drops the first n bytes, moving the rest down. */
void buf_drop(struct buf *b, size_t n);

/* The content as a string, NUL-terminated, owned by b. */
const char *buf_text(struct buf *b);

/* The content as a string that the caller frees; b is empty after. */
char *buf_take(struct buf *b);

/* Appends an SQL identifier in double quotes. */
void buf_name(struct buf *b, const char *name);

/* Appends an SQL string literal in single quotes. */
void buf_quote(struct buf *b, const char *s);

void buf_clear(struct buf *b); /* empty, memory kept */
void buf_free(struct buf *b);  /* empty, memory given back */

#endif
