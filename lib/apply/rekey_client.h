/* rekey_client: on a client, rows whose integer key another row has got at the server: they, what refers to them, and what is
 * pending of them get the key that the server gave. */
#ifndef REKEY_CLIENT_H
#define REKEY_CLIENT_H

#include "apply/apply_context.h"

/* Does what the head of a download, or of a snapshot over a copy, asks for, and has not been done here before
 * (dx_rekeyed): before its changes and before what is pending is read; `settled` is where pending changes begin in the
 * journal. A companion passes it on to its own nodes. Refuses a snapshot that leaves out what this copy should know, where
 * something waits for which that counts. */
int rekey_client_rows(struct apply_context *w, int64_t settled, bool companion);

/* Notes that nothing of it is to be done: a new copy has the rows by their keys of now. */
int rekey_client_none(struct apply_context *w);

/* Calls fn for each row that got another key here, or went over to another (adopt), by table, in their order. Stops at the
 * first nonzero result and returns it. Values live until fn returns. */
typedef int rekey_client_fn(void *ctx, const char *table, const struct val *old, const struct val *new,
                            bool adopt);
int rekey_client_each(struct db *db, rekey_client_fn *fn, void *ctx);

#endif
