/* quarantine_due: which entries of the quarantine an apply tries again. An upload tries its own node's, those of other
 * nodes of which the missing parent has come, and a few of the others in turn; so what one node leaves in quarantine
 * costs the uploads of others next to nothing. Everything else tries all. */
#ifndef QUARANTINE_DUE_H
#define QUARANTINE_DUE_H

#include "apply/target.h"

struct quarantine_due;

/* sender: the node whose upload it is; NULL: all entries are due. written: the end of the journal now. NULL on failure.
 * Without entries it costs a statement. */
struct quarantine_due *quarantine_due_open(struct targets *ts, const char *sender, int64_t written);
void quarantine_due_close(struct quarantine_due *d); /* safe on NULL */

/* A row has been inserted: what waits for it is due, too. */
int quarantine_due_inserted(struct quarantine_due *d, const struct change *c);

/* The entries that have become due since the last call, oldest first, `n` of them: the caller's to free. */
int64_t *quarantine_due_take(struct quarantine_due *d, size_t *n);

/* Notes that the entry waits for the row of `table` with that packed key. */
int quarantine_due_await(struct db *db, int64_t entry, const char *table, const struct val *key);

/* Removes an entry that is tried; what goes on waiting is added again. */
int quarantine_due_remove(struct db *db, int64_t entry);

/* After the last change of an apply: what was written up to here has been looked at. */
int quarantine_due_seen(struct db *db);

#endif
