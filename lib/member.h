/* member: which rows each node holds, as of the router's position: (object, key) -> audience, a set of nodes. */
#ifndef MEMBER_H
#define MEMBER_H

#include "node.h"
#include "package.h"

/* Whether the node holds the row: 1, 0, -1. key is key_pack of the row's key. */
int member_holds(struct db *db, const struct node *n, const struct object *o, const struct val *key);

/* Appends a SELECT of the object's sent columns (in o->sent order) of all rows that the node holds, in key order. */
int member_select(struct db *db, const struct node *n, const struct object *o, struct buf *sql);

#endif
