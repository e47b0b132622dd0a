/* held: digests of the rows that a database holds, or that a node holds of it. */
#ifndef HELD_H
#define HELD_H

#include "digest.h"

/* Adds on a client the tables and columns of its package; elsewhere the captured tables, or those with a primary key
 * where the toolkit has not been yet. In the caller's read transaction. */
int held_here(struct db *db, struct digest *d);

/* Adds what the node holds, as of the router's last run: of each object it sees, the columns that travel. Refuses
 * (ERR_REFUSED) a node that is unknown. In the caller's read transaction. */
int held_by(struct db *db, const char *node, struct digest *d);

#endif
