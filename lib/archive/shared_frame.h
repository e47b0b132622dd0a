/* shared_frame: what archives share beside blocks of changes: frames that are compressed once, for any number of them. */
#ifndef SHARED_FRAME_H
#define SHARED_FRAME_H

#include "base/buf.h"
#include "base/sha.h"

/* Zeroed it is empty. */
struct shared_frame {
    struct buf bytes;
    uint8_t sum[SHA_BYTES];
};

/* Makes it, or makes it anew, of n bytes. */
void shared_frame_make(struct shared_frame *f, const void *p, size_t n);
void shared_frame_free(struct shared_frame *f);

/* The tar header of a member with this name and size. Of the members of a run's archives many have one size, and each
 * has a place among the first. Lives until the next call. NULL on failure. */
const struct shared_frame *shared_frame_header(const char *member, size_t size);

#endif
