/* key: a row's key as one value, for bookkeeping tables that hold keys of many tables in one column. */
#ifndef KEY_H
#define KEY_H

#include "data/val.h"

/* One column: the value itself. Several: a blob, their val_put encodings in key order, built in `room` (cleared
 * first), which must outlive the value. */
struct val key_pack(const struct val *key, size_t n, struct buf *room);

/* The n values of a packed key; they point into `packed`. False when it is not n values. */
bool key_unpack(const struct val *packed, size_t n, struct val *key);

#endif
