/* hold: a node whose uploads are not merged until an operator releases it (dx_hold): it has asked for more than the site
 * gives one node, or what it sent did harm. What is routed to it is not concerned. */
#ifndef HOLD_H
#define HOLD_H

#include "nodes/node.h"

/* Holds the node; why is for the operator. One that is held stays held for its first reason. */
int hold_node(struct db *db, const char *name, const char *why);

/* Releases it: 1, 0 when it was not held, -1. */
int hold_release(struct db *db, const char *name);

/* Why the node is held, and since when (UTC), to be freed: 1, 0 when it is not, -1. */
int hold_find(struct db *db, int64_t node, char **why, char **since);

#endif
