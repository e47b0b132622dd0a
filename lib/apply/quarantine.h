/* quarantine: changes that could not be applied, kept with their reason and tried again at later applies
 * (dx_quarantine). */
#ifndef QUARANTINE_H
#define QUARANTINE_H

#include "sql/db.h"

/* One entry. Texts and the record live until the next call. */
struct quarantined {
    int64_t id;
    int way; /* enum apply_way */
    int64_t
        sent_back; /* number of the archive that takes the change back at its origin, a node; 0: none does */
    bool judged;   /* see deferred_add */
    const char *table, *origin, *archive, *reason;
    struct val key;    /* key_pack */
    struct val change; /* record */
};

/* Calls fn for each entry, oldest first; stops at the first nonzero result and returns it. */
typedef int quarantine_fn(void *ctx, const struct quarantined *q);
int quarantine_each(struct db *db, quarantine_fn *fn, void *ctx);

/* Adds an entry (its id is chosen here unless it is given), making the table when it is not there. */
int quarantine_add(struct db *db, const struct quarantined *q);
int quarantine_count(struct db *db, int64_t *n);
int quarantine_clear(
    struct db *db); /* removes all entries that do not wait for a conflict (rejected_rows.h) */

#endif
