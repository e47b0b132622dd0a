/* mem: allocation that ends the process when memory is out, the one failure the library does not return. */
#ifndef MEM_H
#define MEM_H

#include <stddef.h>

/* Says that memory is out and ends the process: for a library that cannot go on without. */
_Noreturn void mem_out(void);

void *mem_alloc(size_t n);                          /* uninitialised; n == 0 gives a unique pointer */
void *mem_zero(size_t count, size_t size);          /* zeroed; the product is checked */
void *mem_grow(void *p, size_t count, size_t size); /* realloc to count * size, checked */
void *mem_append(void *p, size_t n, size_t size);   /* room for one more behind n; long lists: it doubles */
char *mem_text(const char *s);                      /* a copy; NULL gives NULL */
void *mem_copy(const void *p, size_t n);            /* a copy of n bytes */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
