/* upload: a node's numbered net changes for its server, recorded in the database and written as files. */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "journal/sent_uploads.h"
#include "sql/db.h"

/* Records what was changed here since the last upload as the next one, if there is anything, and sees that the
 * directory (made when absent) holds a file NNNNNNNN.dx for each upload that the server has not acknowledged, and
 * that those that it has are in its directory `sent`, as far as `keep` allows. A file that a crash kept from being written is written again from the record, the same bytes.
 * They are signed with the private key in the file `key`, unless
 * that is NULL. *newest is the number of the newest upload, 0 for none yet. Opens its own transactions. Refuses (ERR_REFUSED) a
 * database that is no node's copy, or whose capture is amiss. */
int upload_make(struct db *db, const char *directory, const char *key, const struct sent_limits *keep,
                int64_t *newest);

/* What upload_make would look after: changes made here that are in no upload yet, and uploads made that the server has
 * not acknowledged, or that it has but that are not forgotten yet. */
int upload_due(struct db *db, int64_t *changes, int64_t *uploads);

#endif
