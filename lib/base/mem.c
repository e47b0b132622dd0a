/* mem: see base/mem.h. */
#include "base/mem.h"

#include "base/limits.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_out(void)
{
    limits_memory_out();
    fputs("dx: out of memory\n", stderr);
    _Exit(4);
}

static void *checked(void *p)
{
    if (p == NULL)
        mem_out();
    return p;
}

void *mem_alloc(size_t n)
{
    return checked(malloc(n ? n : 1));
}

void *mem_zero(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_grow(void *p, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return checked(NULL);
    size_t n = count * size;
    return checked(realloc(p, n > 0 ? n : 1));
}

/* The room is the least power of two that holds n, and so is full when n is one. */
void *mem_append(void *p, size_t n, size_t size)
{
    return n & (n - 1) ? p : mem_grow(p, n ? n * 2 : 1, size);
}

char *mem_text(const char *s)
{
    return s ? mem_copy(s, strlen(s) + 1) : NULL;
}

void *mem_copy(const void *p, size_t n)
{
    void *copy = mem_alloc(n);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

/* Most texts are short, and printed once. */
char *mem_printf(const char *fmt, ...)
{
    char brief[128];
    va_list ap;
    va_start(ap, fmt);
    size_t n = (size_t)vsnprintf(brief, sizeof brief, fmt, ap);
    va_end(ap);
    char *text = mem_alloc(n + 1);
    if (n < sizeof brief)
        return memcpy(text, brief, n + 1);
    va_start(ap, fmt);
    vsnprintf(text, n + 1, fmt, ap);
    va_end(ap);
    return text;
}
