/* uncaptured: what was changed in tables of a node's copy while they were not captured, found by comparison with what the
 * server holds for the node, and put into the journal as changes made here. */
#ifndef UNCAPTURED_H
#define UNCAPTURED_H

#include "sql/db.h"

struct uncaptured_count {
    int64_t journalled; /* changes found, which go to the server as any other */
    int64_t saved;      /* differences that may come from either side, saved to the file */
};

/* `rows` is an archive of keys (verify_write with `whole`) with the rows that the server holds for the node, after its
 * newest archive, of one or more of the tables that capture_uncaptured names; `download` the archives that are not
 * applied here yet, up to that one, one or more in a file (those that are applied count for nothing). What the copy had is what the server holds, with the changes that the journal has.
 *
 * A row that differs from that was changed here, unless one of the downloads touches it, too: such a row is saved to the
 * file `save` as it is here (a log: old values as the server has them, new ones as they are here), and the server's
 * comes with the download. Those tables need no comparison any more. In a write transaction of its own; the file has
 * its name before the commit. Refuses what does not belong to this copy (ERR_REFUSED), and rows of another archive than
 * the downloads lead to (ERR_AGAIN). */
int uncaptured_settle(struct db *db, const char *rows, char *const *download, size_t ndownload,
                      const char *save, struct uncaptured_count *count);

/* Where there is no server to compare with: saves all rows of those tables as they are here to the file (inserts), and
 * gives the comparison up. */
int uncaptured_give_up(struct db *db, const char *save, struct uncaptured_count *count);

#endif
