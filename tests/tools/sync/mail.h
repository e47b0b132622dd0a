/* mail: archives on their way: kept, lost, repeated, reordered, damaged, delivered. */
#ifndef MAIL_H
#define MAIL_H

#include "party.h"

enum damage { WHOLE, TWICE, JOINED, CUT, FLIPPED };
enum damage mail_damage(const struct sim_step *s);

/* Where an archive is kept: every one ever seen is, under NAME-node.generation/number, to be delivered when a step says
 * so. To be freed. */
char *mail_kept(const char *name, const struct run *r, int node, int64_t number);

/* Keeps what stands in a spool; an archive that is there already must be the same. */
int mail_keep(const struct run *r, const char *name, int node, const char *spool);
int mail_keep_downloads(const struct run *r);

bool mail_same(const char *a, const char *b); /* files, byte for byte */

/* Delivers what the step says, up or down, and checks what the receiver made of it. */
int mail_deliver(struct run *r, const struct sim_step *s, bool up);

/* Delivers all that waits, undisturbed; how many, or -1. */
int mail_deliver_all(struct run *r, bool up, int node);

#endif
