/* resolve: a recorded conflict decided anew. What it writes is an ordinary change made here: it is captured, and
 * travels. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "db.h"

enum resolve_side { RESOLVE_OURS, RESOLVE_THEIRS, RESOLVE_BASE };

/* "ours", "theirs" or "base"; -1 (ERR_USAGE) for another word. */
int resolve_side(const char *word, enum resolve_side *out);

/* Makes the row hold what that side wanted, and notes the conflict as resolved, in one transaction. Refused
 * (ERR_REFUSED) when there is no such conflict, the side has nothing to take, or a constraint forbids it. */
int resolve_conflict(struct db *db, int64_t id, enum resolve_side side);

#endif
