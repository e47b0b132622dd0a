/* upload_rows: the rows that an upload has told of. It tells of each once, or deletes and inserts it (dx(5)): a second
 * change of a row would be judged against what the first has left, not against what its node saw. 16 bytes a row, in a table at most three quarters full;
 * `rows` of site.conf bounds them. */
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
