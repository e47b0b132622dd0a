/* writer: what is to be done on a side, done in one transaction, each row checked at the moment of writing:
 *
 *   insert   no row has its key (one with the same content is the row); no other row has one of its user keys (one with
 *            the same content is the row under another key: linked); what it refers to is there
 *   update   the row is there with the version that the comparison saw, or is as it should be already; user keys and
 *            references as above
 *   delete   the same version; no row refers to it
 *
 * A row that does not pass, that a constraint or a trigger of the application's stops, or that the table stores as
 * something else, is left as an issue with its reason, and so is what depends on it; the others are written. Rows that
 * wait for each other (a unique value that another one gives up, parents, circles of both) go in together. */
#ifndef WRITER_H
#define WRITER_H

#include "compare/local.h"

/* Does what the items ask for on this side and tells in them what became of it: state, reason, given. Then notes the
 * run and commits. All or nothing on a failure. */
int writer_run(struct local_side *l, struct work *w, const struct side_write *how, struct side_written *out);

#endif
