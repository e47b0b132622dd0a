/* shrink: a history that fails, without what the failure does not need. */
#ifndef SHRINK_H
#define SHRINK_H

#include "history.h"

/* Runs a history: 0, or -1 where it fails. */
typedef int shrink_run(const struct history *h);

/* Turns off what the failure does not need: halves first, then smaller pieces; then the hurts. At most a minute. */
void shrink(struct history *h, shrink_run *run);

#endif
