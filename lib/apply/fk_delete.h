/* fk_delete: a row is to be deleted by a merge, and others here refer to it: those that its foreign keys let go go with
 * it and are recorded, others keep it. */
#ifndef FK_DELETE_H
#define FK_DELETE_H

#include "apply/merge_context.h"

/* Makes the way free for the delete c of the row that is here (apply/merge.h, clear). Rows that wait to be deleted themselves
 * do not count: a family that goes together goes. While more of the archive may come the delete waits. When rows that
 * stay keep it, that is recorded and the row sent back to its origin. 1: delete it; 0: not, or not now; -1. */
int fk_delete_clear(struct apply_context *w, struct target *t, struct change *c);

#endif
