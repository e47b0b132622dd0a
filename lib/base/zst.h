/* zst: zstd streams of one or several frames. The only module that knows zstd.h. */
#ifndef ZST_H
#define ZST_H

#include "base/buf.h"
#include "base/sha.h"

#include <stdbool.h>

/* Where compressed bytes go: 0, or -1 after fail(). */
typedef int zst_sink(void *ctx, const void *p, size_t n);

/* A writer at a compression level of 1 to 19. Frames carry a checksum, unless they are a few hundred bytes (and zeros
 * behind them), which are stored as they are. */
struct zst_writer *zst_writer_new(int level, zst_sink *sink, void *ctx);
int zst_write(struct zst_writer *z, const void *p, size_t n);

/* Leaves out the next n bytes that are written: a frame passed on holds them already. */
void zst_skip(struct zst_writer *z, size_t n);

/* Ends the frame at hand, if one is begun, and passes on a frame made elsewhere (zst_frame), with its sum. */
int zst_write_frame(struct zst_writer *z, const void *p, size_t n, const uint8_t sum[SHA_BYTES]);

/* Ends the frame at hand, if one is begun, and seals what was written since the last seal: a skippable frame (which
 * every zstd passes over) with the SHA-256 of the frames' SHA-256 sums, so that a frame that goes into many archives is
 * summed up once. Another archive may follow. */
int zst_seal(struct zst_writer *z);
void zst_writer_free(struct zst_writer *z);

/* Compresses n bytes as one frame of its own, appended to out, and sums it up. */
void zst_frame(int level, const void *p, size_t n, struct buf *out, uint8_t sum[SHA_BYTES]);

/* Reads what is compressed on fd; `name` is for messages. Windows over 8 MiB are refused, so memory is bounded. */
struct zst_reader *zst_reader_new(int fd, const char *name);

/* At the start or behind a seal: whether frames follow: 1, 0 at the end of the file, -1 when it is something else. */
int zst_more(struct zst_reader *z);

/* Whether the n bytes that come next, which stay to be read, are these: 1, 0, -1 also where the file ends in the middle
 * of them. */
int zst_next_is(struct zst_reader *z, const uint8_t *p, size_t n);

/* The next piece of content up to the seal in *p, valid until the next call: its length, 0 behind the seal, when it
 * has been found right, or -1: no zstd, cut off, damaged, or anything but zstd behind the seal. */
long zst_read(struct zst_reader *z, const void **p);

/* Compressed bytes read so far, what is read ahead with them. */
int64_t zst_packed(const struct zst_reader *z);
void zst_reader_free(struct zst_reader *z);

#endif
