/* journal_status: how a database's log stands: what is captured, how long the log is, how far its readers are, and on a
 * node's copy what has been exchanged with the server. */
#ifndef JOURNAL_STATUS_H
#define JOURNAL_STATUS_H

#include "base/buf.h"
#include "sql/db.h"

#include <jansson.h>

/* As JSON: {"epoch", "node", "first", "last", "entries", "tables": [{"table", "captured", "amiss"}], "peers": [{"peer",
 * "mark", "behind"}]}, on a node's copy also {"server", "package", "applied", "sent", "acked", "unsent", "uploads"}, the
 * last two as upload_due counts. In the caller's read transaction; the caller's to release. NULL on failure. */
json_t *journal_status_read(struct db *db);

/* The same as lines for people. */
void journal_status_text(const json_t *status, struct buf *out);

/* Whether a table that is captured is not captured whole, or is gone; or nothing is captured on a node's copy. A table
 * that was left out is not amiss. */
bool journal_status_amiss(const json_t *status);

#endif
