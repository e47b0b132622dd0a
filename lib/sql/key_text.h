/* key_text: a row's key as an operator types it. */
#ifndef KEY_TEXT_H
#define KEY_TEXT_H

#include "sql/key.h"
#include "sql/layout.h"

/* The key, given as one text a column, in the types that its columns hold: *key is its key_pack, whose bytes are in
 * `packed`. -1 with ERR_USAGE when it has another number of columns. */
int key_from_text(struct db *db, const struct layout *l, char *const *text, size_t n, struct buf *packed,
                  struct val *key);

#endif
