/* verdict: what was decided here against changes of a node, to be sent to it with its next archive (dx_verdict). */
#ifndef NODES_VERDICT_H
#define NODES_VERDICT_H

#include "archive/dx.h"
#include "sql/db.h"

/* Notes one, in the caller's transaction. */
int verdict_add(struct db *db, int64_t node, const struct dx_verdict *v);

/* Router: adds to the head what no archive has carried yet, as much as an archive takes; *last is the newest of them, 0
 * when there are none. Then, in the commit, notes the archive's number. */
int verdict_fill(struct db *db, int64_t node, struct dx_head *h, int64_t *last);
int verdict_carried(struct db *db, int64_t node, int64_t last, int64_t number);

/* The nodes for which there are some that no archive has carried yet, ascending; to free. */
int verdict_nodes(struct db *db, int64_t **node, size_t *n);

/* Whether there are some for an active node that no archive has carried yet: 1, 0, -1. */
int verdict_any(struct db *db);

/* The node has applied that archive: the verdicts in it are done with. */
int verdict_known(struct db *db, int64_t node, int64_t applied);

/* The node begins again from a snapshot: the verdicts of later archives are sent once more. */
int verdict_again(struct db *db, int64_t node, int64_t applied);

#endif
