/* rekey_server: on a server, a node's rows whose integer key another row has got: they get a fresh key, and what the node says
 * of them under the old one, in this upload and in later ones, is understood. */
#ifndef REKEY_SERVER_H
#define REKEY_SERVER_H

#include "apply/merge_context.h"

/* Puts the keys that rows of the node have here into the change, its own and those it refers to: whether any was
 * another. */
bool rekey_server_map(struct apply_context *w, struct target *t, struct change *c);

/* Whether the change speaks of a row of the node's that another has taken the place of, and is not of that other: its
 * delete, which is done, or an insert under the key that it had, of another row. */
bool rekey_server_of_adopted(struct apply_context *w, const struct target *t, const struct change *c);

/* The insert c meets another row with its key: gives it a fresh one, inserts it, mends what this upload has said of it
 * so far, and has both rows sent to the node. Under its new key it is judged as any other. */
int rekey_server_give(struct apply_context *w, struct target *t, struct change *c);

/* The insert c means the same as the row with the key `other`, of one column: it is not done, what refers to it refers to
 * that row, in this upload and in later ones, and the node gets that key. 1; 0 where its key cannot be sent; -1. */
int rekey_server_adopt(struct apply_context *w, struct target *t, struct change *c, const struct val *other);

#endif
