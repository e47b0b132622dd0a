/* record: a change as bytes, by column names, for the toolkit's own tables: it outlives a change of layout. */
#ifndef RECORD_H
#define RECORD_H

#include "apply/target.h"
#include "data/arena.h"

/* Appends the change: an op byte, the number of columns it tells of, then per column its name, old and new value, all
 * as val_put writes them. */
void record_put(struct buf *b, const struct change *c);

/* Reads it in the target's columns; values and bytes are the arena's. Columns that are no longer there are left out.
 * -1 when it is damaged. */
int record_get(const struct val *bytes, struct target *t, struct arena *a, struct change *c);

#endif
