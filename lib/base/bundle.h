/* bundle: files below a directory as a tar in zstd frames, and back. Names mean nothing but themselves, and lead nowhere
 * else: regular files only, no links; of their modes only whether the owner may execute them. The same files make the same bytes. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include "base/buf.h"

#include <stdbool.h>
#include <sys/types.h>

struct bundle_limits {
    const char *what; /* what it is called in messages: "a patch" */
    size_t bytes;     /* compressed, at most */
    int64_t expanded; /* of all files together */
    size_t files;
};

/* Appends to `out`, which may hold something already. */
struct bundle *bundle_open(struct buf *out, const struct bundle_limits *limits);

/* Adds the file at `path` under that name, or, of a directory, all that is below it under names that begin so. name NULL:
 * the last part of the path; for a directory, nothing. Refused (ERR_REFUSED): a link, a device, a name that not all systems
 * take, too much. */
int bundle_add(struct bundle *b, const char *path, const char *name);
/* Adds a file of these bytes. */
int bundle_add_bytes(struct bundle *b, const char *name, const void *p, size_t n);
size_t bundle_files(const struct bundle *b); /* added so far */

/* Ends it, and frees it in any case. */
int bundle_close(struct bundle *b);
void bundle_abort(struct bundle *b); /* NULL is fine */

/* Writes the files of the bundle that begins at byte `at` of fd into the empty directory `root`, and syncs them. `name` is
 * for messages. -1 (ERR_REFUSED) where it is damaged or leads elsewhere: what was written is the caller's to remove. */
int bundle_unpack(int fd, off_t at, const char *name, const struct bundle_limits *limits, int root);

/* Removes a directory, or a file, and all below it; nothing is followed. What is absent is no error. 0, or -1 with errno. */
int bundle_remove(int at, const char *name);

#endif
