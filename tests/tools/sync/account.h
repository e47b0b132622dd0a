/* account: whether every change that a client made is found again: in the server's data, in its journal under what came
 * after it, in a conflict record, or in quarantine. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "party.h"

int account_check(struct run *r, int node);

#endif
