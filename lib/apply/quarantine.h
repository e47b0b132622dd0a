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
int quarantine_one(struct db *db, int64_t id, quarantine_fn *fn, void *ctx); /* for that entry */

/* Adds an entry (its id, where that is 0, is chosen and set here), making the table when it is not there. */
int quarantine_add(struct db *db, struct quarantined *q);
int quarantine_make(struct db *db); /* the table and its index, when they are not there */
int quarantine_count(struct db *db, int64_t *n);
int quarantine_remove(struct db *db, int64_t id);

#endif
