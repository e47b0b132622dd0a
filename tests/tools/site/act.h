/* act: what a step of a site's history does. */
#ifndef ACT_H
#define ACT_H

#include "place.h"

/* Makes the server and its package. */
int act_begin(struct place *p);

int act_run(struct place *p, const struct sim_step *s);

#endif
