/* sent_uploads: uploads that the server has acknowledged are kept for some time, as DIRECTORY/sent/EPOCH.NNNNNNNN.dx, so
 * that they can be sent again to a server that was restored from a backup and has not merged them. */
#ifndef SENT_UPLOADS_H
#define SENT_UPLOADS_H

#include <stdint.h>

/* How long, since they were made, and how many bytes of them together; the oldest go first. */
struct sent_limits {
    int64_t days, bytes;
};
enum { SENT_DAYS = 30, SENT_BYTES = 1 << 30 };

/* Puts the uploads in the directory up to number `acked`, of the numbering of that epoch, with those that are kept, and
 * removes what is beyond the limits. 0, or -1. */
int sent_uploads_keep(const char *directory, const char *epoch, int64_t acked,
                      const struct sent_limits *limits);

#endif
