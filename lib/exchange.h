/* exchange: rows that wait because each has a value that another of them wants: taken out, and put in again. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "work.h"

/* Does what waits so. Rows that cannot be put in again, because yet another row has their value, go on waiting as they
 * were. */
int exchange_rows(struct work *w);

#endif
