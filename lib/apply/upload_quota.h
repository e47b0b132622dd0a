/* upload_quota: how much one node may ask of its server: the [limits] of site.conf that a merge can meet. */
#ifndef UPLOAD_QUOTA_H
#define UPLOAD_QUOTA_H

#include "apply/value_check.h"
#include "archive/dx.h"

struct apply_count;

struct upload_quota {
    struct value_limits values;
    int64_t rows, bytes, ratio; /* the most of an upload: changes, bytes unpacked, and for each byte packed */
    int64_t conflicts, quarantined; /* the most of a node, open and waiting */
    int64_t had_conflicts;          /* open before this upload */
    bool over;                      /* one was exceeded */
};

/* Reads site.conf beside the database, and what the node has by now. Notes that one more of its uploads is merged; ERR_BUSY
 * where there are too many in this hour. In the transaction of the merge. */
int upload_quota_read(struct upload_quota *q, struct db *db, const char *node);

/* One more change has been read. Beyond a limit: -1 (ERR_GUARD), and q->over. */
int upload_quota_row(struct upload_quota *q, const struct dx_reader *r, const struct apply_count *done);

/* So many of the upload's changes wait and cannot be done. */
int upload_quota_waiting(struct upload_quota *q, int64_t n);

/* All has been done; what waits is in quarantine. */
int upload_quota_end(struct upload_quota *q, struct db *db, const char *node, const struct apply_count *done);

#endif
