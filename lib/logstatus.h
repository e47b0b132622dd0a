/* logstatus: how a database's log stands: what is captured, how long the log is, how far its readers are, and on a
 * node's copy what has been exchanged with the server. */
#ifndef LOGSTATUS_H
#define LOGSTATUS_H

#include "buf.h"
#include "db.h"

#include <jansson.h>

/* As JSON, in the caller's read transaction; the caller's to release. NULL on failure. */
json_t *logstatus_read(struct db *db);

/* The same as lines for people. */
void logstatus_text(const json_t *status, struct buf *out);

/* Whether a table that is captured is not captured whole. One that was left out is not amiss. */
bool logstatus_amiss(const json_t *status);

#endif
