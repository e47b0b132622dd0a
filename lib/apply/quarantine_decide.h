/* quarantine_decide: what an operator does with one row in quarantine: it gets other values, or is given up. */
#ifndef QUARANTINE_DECIDE_H
#define QUARANTINE_DECIDE_H

#include "apply/apply_context.h"
#include "apply/quarantine.h"

/* Looks at a change in quarantine before it is tried again: 0 when it is to be, with the values that the options give
 * it (in the arena); 1 when it is given up, recorded as a settled conflict, with a verdict for its node; -1. */
int quarantine_decide(struct apply_context *w, struct target *t, const struct quarantined *q,
                      struct arena *arena, struct change *c);

/* Tries all that is in quarantine again, in one transaction, as an apply of nothing; `row` of the options says what
 * becomes of one of them. Refused (ERR_REFUSED) when that one is not there. */
int quarantine_retry(struct db *db, const struct quarantine_row *row, struct apply_count *count);

/* Whether anything waits there, and rows or packages were changed here since all of it was tried last: 1, 0, -1. */
int quarantine_changed(struct db *db);

#endif
