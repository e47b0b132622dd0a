/* upload_rows: the keys of the rows that an upload has changed. An upload has one change for a row, or a delete and then an
 * insert (dx(5)): a second change would be compared with what the first one wrote, not with what the node saw. A hash table
 * of 16 bytes a slot, at most three quarters full; `rows` of site.conf limits how many rows there are. */
#ifndef UPLOAD_ROWS_H
#define UPLOAD_ROWS_H

#include "apply/target.h"

/* A zeroed one is empty. */
struct upload_rows {
    size_t n, room;
    uint64_t (*slot)[2]; /* both 0: free */
    struct buf key;
};

/* Adds the row with the change's key, in the columns of the target: false when it is there already, unless it was deleted
 * and this inserts it. */
bool upload_rows_add(struct upload_rows *r, const struct target *t, const struct change *c);
void upload_rows_free(struct upload_rows *r);

#endif
