/* rejected_rows: rows that a node inserted and that the merge did not take, because another row has the key or because
 * the node may not. What the node says of such a row, and of rows that refer to it, is not said of the row that is here:
 * it waits in quarantine for the decision of the conflict (dx_rejected, dx_rejected_change). */
#ifndef REJECTED_ROWS_H
#define REJECTED_ROWS_H

#include "apply/apply_context.h"

struct quarantined;

/* Of one node. A zeroed one is not read yet. */
struct rejected_rows {
    bool known;
    struct rowset rows; /* whose rejection the node has not heard of in the work at hand */
    size_t nref;
    struct rejected_ref *ref; /* which columns refer to which tables; read with the first row */
};
void rejected_rows_free(struct rejected_rows *r);

/* The insert c of the node whose changes are merged was recorded as a conflict just now, and is not done. Rows that this
 * upload has hung on the row of that key wait with it. Nothing for others than nodes. */
int rejected_rows_note(struct apply_context *w, struct target *t, const struct change *c);

/* Puts the change aside when it is of a rejected row, or makes its row refer to one: 1, 0 when it is not, -1. */
int rejected_rows_wait(struct apply_context *w, struct target *t, const struct change *c);

/* The node has applied the archive of that number: it knows what was rejected up to there. */
int rejected_rows_known(struct apply_context *w, int64_t applied);

enum rejected_state { REJECTED_NOT = 0, REJECTED_WAITS, REJECTED_TAKEN, REJECTED_DROPPED };

/* What has become of the entry of the quarantine: it does not wait for a conflict, it does, the conflict's row was
 * taken after all, or it was not. An enum rejected_state, or -1. */
int rejected_rows_state(struct db *db, const struct quarantined *q);

/* Whether there are entries of the last two states: 1, 0, -1. */
int rejected_rows_due(struct db *db);

/* Takes the entries out of the quarantine whose conflict's row was not taken. */
int rejected_rows_drop(struct db *db);

/* Before the quarantine is written again: no entry waits for a conflict that is resolved. */
int rejected_rows_settle(struct db *db);

#endif
