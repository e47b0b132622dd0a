/* fk_cycle: rows that wait because each refers to another of them: put in together. */
#ifndef FK_CYCLE_H
#define FK_CYCLE_H

#include "apply/apply_context.h"

/* Does what waits so: as many changes as have, when all of them are done, every row that they refer to. */
int fk_cycle_rows(struct apply_context *w);

#endif
