/* utf8: whether bytes are UTF-8. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed in the sense of Unicode: no overlong forms, no surrogates, nothing over U+10FFFF. */
bool utf8_sound(const void *p, size_t n);

#endif
