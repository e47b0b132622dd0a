/* scene: the steps that a history is made of, single ones, and some that belong together. */
#ifndef SCENE_H
#define SCENE_H

#include "history.h"

/* A step of that kind, with what else there is to it left to chance. */
struct sim_step *scene_step(struct history *h, enum kind kind, int node);

/* A transaction. */
void scene_sql(struct history *h, int who);

/* A row of the server's and one of a node's get one integer key; the node goes on with its own before it knows, and with
 * the server's afterwards. */
void scene_collision(struct history *h);

/* A row, and one that refers to it, on every copy; on a node the second is to refer to a row that is not there, so that
 * it waits; the first is deleted on another node; in the end the missing row comes, perhaps. Or the node has made the
 * second, and the server makes another of its key. */
void scene_waiting(struct history *h);

/* A node deletes a row to which rows refer that it does not know yet. */
void scene_family(struct history *h);

#endif
