/* statement: a random write of somebody's. */
#ifndef STATEMENT_H
#define STATEMENT_H

#include "history.h"

/* SQL, to be freed. */
char *statement_make(struct history *h, int who);

#endif
