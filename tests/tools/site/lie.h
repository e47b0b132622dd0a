/* lie: a node that sends whatever it likes. The tar, the seal and the node of its uploads are right; keys, columns, values
 * and numbers are what chance makes them. */
#ifndef LIE_H
#define LIE_H

#include "place.h"

/* Puts such an upload into the node's inbox on the server and has the server merge and route; then no row that the node may
 * not change has changed. */
int lie(struct place *p, const struct sim_step *s);

/* Notes which rows each node sees: a node may change what it has seen. After each step. */
int lie_follow(struct place *p);

/* What an operator does about a node that lied: removes what waits of it, and releases it. */
int lie_amends(struct place *p);

#endif
