/* compare: whether every copy is right at the end of a history. */
#ifndef COMPARE_H
#define COMPARE_H

#include "party.h"

/* The copies must be the server's views, with nothing pending, equal digests, and every change accounted for. */
int compare_all(struct run *r);

#endif
