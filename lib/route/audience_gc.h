/* audience_gc: audiences that no row has any more are deleted. */
#ifndef AUDIENCE_GC_H
#define AUDIENCE_GC_H

#include "sql/db.h"

/* Deletes those that are neither what somebody holds nor in the history, once there may be about as many of them as of
 * the others: that takes a look at every row. In the run's transaction. */
int audience_gc(struct db *db);

#endif
