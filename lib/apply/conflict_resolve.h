/* conflict_resolve: a recorded conflict decided again. What it writes is an ordinary change made here: it is captured, and
 * travels. */
#ifndef CONFLICT_RESOLVE_H
#define CONFLICT_RESOLVE_H

#include "sql/db.h"

enum conflict_resolve_side { RESOLVE_OURS, RESOLVE_THEIRS, RESOLVE_BASE, RESOLVE_OTHER };

/* "ours", "theirs" or "base"; -1 (ERR_USAGE) for another word. RESOLVE_OTHER is what conflict_resolve_value does. */
int conflict_resolve_side(const char *word, enum conflict_resolve_side *out);

/* Makes the row hold what that side wanted, and notes the conflict as resolved, in one transaction. Refused
 * (ERR_REFUSED) when there is no such conflict, the side has nothing to take, or a constraint forbids it. */
int conflict_resolve_conflict(struct db *db, int64_t id, enum conflict_resolve_side side);

/* Makes it hold what nobody wanted yet, in the same way. JSON as data/jsonl.h has it: of a conflict on a column its value; of
 * one on a row an object of columns, those not named staying as they are, or null, which deletes the row. */
int conflict_resolve_value(struct db *db, int64_t id, const char *json);

#endif
