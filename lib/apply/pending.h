/* pending: the local changes that the server has not judged yet, as a set of rows and columns. */
#ifndef PENDING_H
#define PENDING_H

#include "apply/rowset.h"

/* Reads from the journal what was changed here (not by what came from upstream) after `settled`, in the columns of the
 * targets. Tables that are no longer there are left out. */
int pending_load(struct db *db, struct targets *ts, int64_t settled, struct rowset *out);

/* The rows that the node inserted after `after`: those it may go on to change although no archive has confirmed them. */
int pending_inserts(struct db *db, struct targets *ts, const char *node, int64_t after, struct rowset *out);

/* The end of the newest upload of this database that its server has acknowledged: everything after it is pending. */
int pending_settled(struct db *db, int64_t *seq);

/* The server has acknowledged uploads up to `number`. Inside the caller's transaction. */
int pending_acknowledge(struct db *db, int64_t number);

#endif
