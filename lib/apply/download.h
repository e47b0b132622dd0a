/* download: a node's numbered share, and snapshots, applied to the node's copy. */
#ifndef DOWNLOAD_H
#define DOWNLOAD_H

#include "apply/apply_context.h"

/* Checks that the archive is the next one for this copy, and makes ready: 1 to go on, 0 when it was applied before,
 * -1 refused. */
int download_begin(struct apply_context *w);

/* Behind that, when the triggers are set: renames rows as the head says, and reads what is pending. */
int download_ready(struct apply_context *w);

/* After the last change: counters, and what the copy holds. */
int download_end(struct apply_context *w);

/* When the triggers are back: captures what is new, and records what the server decided against changes made here. */
int download_last(struct apply_context *w);

/* One change (a apply_one_fn). */
int download_one(struct apply_context *w, struct target *t, struct change *c);

/* Refuses an archive for another node, and reads how far this copy is. */
struct download_state {
    char *node, *server, *before; /* NULL when absent */
    int64_t applied, acked;
};
int download_state(struct db *db, struct download_state *out);
void download_state_free(struct download_state *s);

/* Whether this copy feeds others, so that what it downloads must be journalled: 1, 0, -1. */
int download_is_companion(struct db *db);

#endif
