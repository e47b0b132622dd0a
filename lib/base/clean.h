/* clean: text from elsewhere, made fit for a terminal and a log. */
#ifndef CLEAN_H
#define CLEAN_H

#include "base/buf.h"

/* Appends the text with every control character, also those of Unicode that move or hide text, and every byte that is
 * no UTF-8 replaced by '?'. */
void clean_text(struct buf *out, const void *p, size_t n);

/* What the node at the other end may read of a message of ours: the text after a path in it is kept, paths are not. */
void clean_paths(struct buf *out, const char *text);

#endif
