/* unique_swap: rows that wait because each has a value that another of them wants: taken out, and put in again. */
#ifndef UNIQUE_SWAP_H
#define UNIQUE_SWAP_H

#include "apply/apply_context.h"

/* Does what waits so. Rows that cannot be put in again, because yet another row has their value, go on waiting as they
 * were. */
int unique_swap_rows(struct apply_context *w);

#endif
