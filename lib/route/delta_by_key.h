/* delta_by_key: what moved of an object because its own rows changed, by their keys: their whole new audience against what is
 * held; and because its parent moved. */
#ifndef DELTA_BY_KEY_H
#define DELTA_BY_KEY_H

#include "route/object_delta.h"

/* Adds to the moves (moves.h) what became of the rows in the images of the object's table. */
int delta_by_key_move(struct object_deltas *v, const struct object_delta *w);

/* Adds the rows that go where their parent went; own: but for those that changed themselves. */
int delta_by_key_children(struct object_deltas *v, const struct object_delta *w, bool own);

/* Appends SQL, " AND NOT EXISTS ...": a row, by its packed key, is none of those in the images. */
void delta_by_key_exclude(struct buf *sql, const struct object_delta *w, const char *key);

#endif
