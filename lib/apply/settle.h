/* settle: the end of an apply: the changes that wait are done, or go into quarantine. */
#ifndef SETTLE_H
#define SETTLE_H

#include "apply/apply_context.h"

/* After the last change. Retries what waits, at first without optimistic deletes (fk_optimistic.h). If some are wanted,
 * it retries with them inside a savepoint; where one leaves a row that refers to nothing, the savepoint is rolled back
 * and the next attempt does without that one. What is left goes into quarantine, or fails the apply when strict. */
int settle_deferred(struct apply_context *w);

#endif
