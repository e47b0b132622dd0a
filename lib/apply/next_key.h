/* next_key: a copy numbers the rows of tables with AUTOINCREMENT in the ranges that its server gives it. */
#ifndef NEXT_KEY_H
#define NEXT_KEY_H

#include "apply/apply_context.h"

/* Has each table of which the archive has a range number its next row from there, unless it is further already. */
int next_key_begin_ranges(struct apply_context *w);

#endif
