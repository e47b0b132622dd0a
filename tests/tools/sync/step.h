/* step: what a step of a history does. */
#ifndef STEP_H
#define STEP_H

#include "party.h"

int step_run(struct run *r, const struct sim_step *s);

/* Exchanges everything, until nobody has anything to say. */
int step_settle(struct run *r);

int step_write_file(const char *name, struct buf *b);

#endif
