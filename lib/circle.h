/* circle: rows that wait because each refers to another of them: put in together. */
#ifndef CIRCLE_H
#define CIRCLE_H

#include "work.h"

/* Does what waits so: as many changes as have, when all of them are done, every row that they refer to. */
int circle_rows(struct work *w);

#endif
