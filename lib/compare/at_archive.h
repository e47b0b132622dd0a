/* at_archive: whether the rows that a database holds are exactly those of one archive of a node.
 *
 * Archive n brings a node's copy to the server's view for it at one position of the journal. The copy stands there when n
 * is the newest that it has applied and nothing that was changed in it is waiting for the server's judgement; the server
 * stands there when n is the newest that it has made for the node and the router has nothing to tell it. Both then hold
 * the same rows, and their digests are equal. */
#ifndef AT_ARCHIVE_H
#define AT_ARCHIVE_H

#include "sql/db.h"

/* Whether what is held here (node NULL), or by the node, is what archive `number` left: 0, or ERR_AGAIN with what
 * stands between. *epoch of the numbering, to free. In the caller's read transaction. */
int at_archive_open(struct db *db, const char *node, int64_t number, char **epoch);

#endif
