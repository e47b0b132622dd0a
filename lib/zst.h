/* zst: zstd streams of one or several frames. The only module that knows zstd.h. */
#ifndef ZST_H
#define ZST_H

#include "buf.h"

#include <stdbool.h>

/* Where compressed bytes go: 0, or -1 after fail(). */
typedef int zst_sink(void *ctx, const void *p, size_t n);

/* A writer at a compression level of 1 to 19. Frames carry a checksum. */
struct zst_writer *zst_writer_new(int level, zst_sink *sink, void *ctx);
int zst_write(struct zst_writer *z, const void *p, size_t n);

/* Ends the frame at hand, if one is begun. The next write begins another. */
int zst_end_frame(struct zst_writer *z);
void zst_writer_free(struct zst_writer *z);

/* Compresses n bytes as one frame of its own, appended to out. */
void zst_frame(int level, const void *p, size_t n, struct buf *out);

/* Reads what is compressed on fd; `name` is for messages. Windows over 8 MiB are refused, so memory is bounded. */
struct zst_reader *zst_reader_new(int fd, const char *name);

/* The next piece of content in *p, valid until the next call: its length, 0 at the end, -1 when it is no zstd, cut
 * off in a frame, or damaged. */
long zst_read(struct zst_reader *z, const void **p);
void zst_reader_free(struct zst_reader *z);

#endif
