/* continuity: whether what a run is given to route joins on to what was routed before. */
#ifndef CONTINUITY_H
#define CONTINUITY_H

#include "sql/db.h"

/* Reads a log (txnlog read) to its end: it must be whole, of this database's journal, and leave no gap behind what was
 * routed. 0, or -1 (ERR_REFUSED). */
int continuity_check_log(struct db *db, int fd);

/* Whether the journal still has what follows position a, up to b, and was kept without a break since. */
int continuity_check_journal(struct db *db, int64_t a, int64_t b);

/* In the transaction that moves the position: of which epoch the journal is. */
int continuity_note(struct db *db);

#endif
