/* snapshot: all that a node may see, made into a new copy, or laid over the copy that is there. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "apply/apply_context.h"

/* As download_begin: checks, makes the tables, and reads what is pending in a copy that is there. */
int snapshot_begin(struct apply_context *w);

/* As download_ready. */
int snapshot_ready(struct apply_context *w);

/* As download_end: removes the rows that are not in the snapshot, and makes the database the node's copy, with its
 * changes captured. */
int snapshot_end(struct apply_context *w);

/* After that, with the triggers back: captures the copy's tables. */
int snapshot_attach(struct apply_context *w);
void snapshot_free(struct snapshot *p);

/* One row (a apply_one_fn). */
int snapshot_one(struct apply_context *w, struct target *t, struct change *c);

#endif
