/* deleted_row: rows that are here no more, as the journal still has them. */
#ifndef DELETED_ROW_H
#define DELETED_ROW_H

#include "apply/target.h"
#include "data/arena.h"

/* Reads the row with the change's key as it was when it was deleted last into row[0..ncol-1]; the values are the
 * arena's, *seq is the delete's in the journal. 1, 0 when the journal does not hold it (any more), -1. Reads the whole
 * journal. */
int deleted_row(struct targets *ts, struct target *t, const struct change *c, struct arena *a,
                struct val *row, int64_t *seq);

#endif
