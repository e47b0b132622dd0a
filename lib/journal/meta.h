/* meta: the toolkit's own tables in a database (dx_*), made once, and small facts kept by name. */
#ifndef META_H
#define META_H

#include "sql/db.h"

/* The origin that a companion notes for what it downloaded from its server. No node has this name. */
#define STORE_UPSTREAM "^"

/* The fact "inside:PACKAGE:OBJECT" of a companion: SQL that finds a row by its key, ?1, that its handhelds hold for itself and
 * not only because others refer to it; absent where that is true of all. */
#define META_INSIDE "inside:"

/* Makes the tables if they are not there, and the epoch; refuses those of another format (journal/upgrade.h). Inside the caller's write transaction. */
int meta_init(struct db *db);

/* Refuses (ERR_REFUSED, naming the remedy `txnlog attach` or initsync) a database without them. */
int meta_require(struct db *db);

/* Whether the database has them: 1, 0, or -1; also where they are of another format. */
int meta_present(struct db *db);

/* Facts by name in dx_meta. Text to free, NULL when absent; integers 0 when absent. -1 on failure.
 *
 *   format     of the toolkit's tables
 *   epoch      of this journal, random; new at attach, and after a restore
 *   node       this database's own name as a node; absent on a server
 *   server     epoch of the numbering between this node and its server
 *   server_before  epoch of the numbering of another copy of the node, whose archives go on from this copy's state, too;
 *              server_before_end: the number of the first in our own numbering, once that has been applied
 *   applied    newest archive from the server that was applied
 *   sent       newest upload that was made
 *   acked      newest upload that the server has acknowledged
 *   settled    where in the journal that upload ends: everything made here after it is pending
 *   package    the package this copy was cut for
 */
int meta_get_text(struct db *db, const char *name, char **out);
int meta_get_int(struct db *db, const char *name, int64_t *out);
int meta_set_text(struct db *db, const char *name, const char *value); /* NULL removes it */
int meta_set_int(struct db *db, const char *name, int64_t value);

/* A node's name: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot or a dash. */
bool meta_node_name(const char *name);

#endif
