/* retry: changes that wait are tried again. */
#ifndef RETRY_H
#define RETRY_H

#include "apply/deferred.h"

/* Has the function judge the entry's change, as its origin's. Unless it is deferred again, the change is done. */
int retry_one(struct apply_context *w, struct deferred_entry *e, apply_one_fn *judge);

/* Tries all that wait, over and over, until a round gets nothing done: one by one, then rows that want each other's
 * unique values, then rows that refer to each other. */
int retry_all(struct apply_context *w);

#endif
