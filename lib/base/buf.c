/* buf: see base/buf.h. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (b->room - b->n < n) {
        size_t room = b->room ? b->room * 2 : 64;
        while (room - b->n < n)
            room *= 2;
        b->p = mem_grow(b->p, room, 1);
        b->room = room;
    }
    return b->p ? b->p + b->n : NULL;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->n += n;
}

void buf_byte(struct buf *b, uint8_t byte)
{
    *buf_reserve(b, 1) = byte;
    b->n++;
}

void buf_puts(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

/* Most texts are short: they are printed once, where there is room anyway. */
void buf_addf(struct buf *b, const char *fmt, ...)
{
    enum { ROOM = 64 };
    char *at = (char *)buf_reserve(b, ROOM);
    va_list ap;
    va_start(ap, fmt);
    size_t room = b->room - b->n, n = (size_t)vsnprintf(at, room, fmt, ap);
    va_end(ap);
    if (n >= room) {
        at = (char *)buf_reserve(b, n + 1);
        va_start(ap, fmt);
        vsnprintf(at, n + 1, fmt, ap);
        va_end(ap);
    }
    b->n += n;
}

void buf_drop(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *buf_text(struct buf *b)
{
    *buf_reserve(b, 1) = 0;
    return (const char *)b->p;
}

char *buf_take(struct buf *b)
{
    buf_text(b);
    char *text = (char *)b->p;
    *b = (struct buf){0};
    return text;
}

static void add_quoted(struct buf *b, const char *s, char mark)
{
    buf_byte(b, (uint8_t)mark);
    for (; *s; s++) {
        if (*s == mark)
            buf_byte(b, (uint8_t)mark);
        buf_byte(b, (uint8_t)*s);
    }
    buf_byte(b, (uint8_t)mark);
}

void buf_name(struct buf *b, const char *name)
{
    add_quoted(b, name, '"');
}

void buf_quote(struct buf *b, const char *s)
{
    add_quoted(b, s, '\'');
}

void buf_clear(struct buf *b)
{
    b->n = 0;
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}
