/* change: changes of a schema, at the server and in copies, as dx(7) says. */
#ifndef CHANGE_SITE_H
#define CHANGE_SITE_H

#include "place.h"

/* What the step says (ACT_ADD and so on), done to a file. */
int change_schema(struct place *p, const struct sim_step *s, int file);

#endif
