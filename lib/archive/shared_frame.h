/* shared_frame: what archives share beside blocks of changes: frames that are compressed once, for any number of them. */
#ifndef SHARED_FRAME_H
#define SHARED_FRAME_H

#include "base/buf.h"
#include "base/sha.h"

#include <stdbool.h>

/* Zeroed it is empty. */
struct shared_frame {
    struct buf bytes;
    uint8_t sum[SHA_BYTES];
};

/* Makes it, or makes it again, of n bytes. */
void shared_frame_make(struct shared_frame *f, const void *p, size_t n);
void shared_frame_free(struct shared_frame *f);

/* The frame that every archive begins with, so that file(1) knows it by its bytes: the first bytes of the tar, which are
 * the name of dx.json with its NUL, as they are. SHARED_FRAME_NAME bytes of the tar are in it. */
enum { SHARED_FRAME_OPENING = 17, SHARED_FRAME_NAME = 8 };
extern const uint8_t shared_frame_opening[SHARED_FRAME_OPENING];
extern const uint8_t shared_frame_opening_sum[SHA_BYTES];

/* Begins an archive with the opening. The header of dx.json is written behind it in full, and the writer leaves out what
 * the opening holds of it; or, if `shared`, it is that of shared_frame_header. */
struct zst_writer;
int shared_frame_open(struct zst_writer *z, bool shared);

/* The tar header of a member with this name and size. Of the members of a run's archives many have one size, and each
 * has a place among the first. That of dx.json goes on behind the opening. Lives until the next call. NULL on failure. */
const struct shared_frame *shared_frame_header(const char *member, size_t size);

#endif
