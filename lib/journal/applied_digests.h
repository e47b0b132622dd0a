/* applied_digests: the digests of the newest archives applied, per numbering (dx_seen), so that an archive with a number applied
 * before, but other content, is found out: one side was restored from a backup. */
#ifndef APPLIED_DIGESTS_H
#define APPLIED_DIGESTS_H

#include "sql/db.h"

/* Notes the digest of an archive of that kind, numbered in that epoch. Inside the transaction of its apply. */
int applied_digests_note(struct db *db, const char *kind, const char *epoch, int64_t number,
                         const char *digest);

/* The digest of the archive of that number, to free; "" when it is not known. */
int applied_digests_digest(struct db *db, const char *kind, const char *epoch, int64_t number, char **digest);

/* Whether the archive of that number was this one, as far as is known: 1, 0 another one, -1. */
int applied_digests_same(struct db *db, const char *kind, const char *epoch, int64_t number,
                         const char *digest);

/* Forgets those of a numbering. */
int applied_digests_forget(struct db *db, const char *epoch);

#endif
