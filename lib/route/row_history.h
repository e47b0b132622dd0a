/* row_history: what was done to one row, where, and how it came to each node and left it. */
#ifndef ROW_HISTORY_H
#define ROW_HISTORY_H

#include "base/buf.h"
#include "sql/db.h"

/* Appends the row's way in the order of the journal, a line each: its changes, the nodes that gained or lost it, the
 * archives that carried it to them; then who holds it now. Only as far back as journal and history reach. key: the row's
 * key as text, in key order. 1, 0 when nothing is known of the row, -1 (ERR_REFUSED for an unknown table). */
int row_history(struct db *db, const char *table, char *const *key, size_t nkey, struct buf *out);

#endif
