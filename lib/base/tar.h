/* tar: pax tar members in a row, written and read by libarchive. The only module that knows archive.h. */
#ifndef TAR_H
#define TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the tar's bytes go: 0, or -1 after fail(). */
typedef int tar_sink(void *ctx, const void *p, size_t n);

enum { TAR_RECORD = 512 };

/* The zeros behind a member of that size. */
size_t tar_padding(uint64_t size);

/* Which names members may have: those of an archive are at most 100 bytes of ASCII; other files' are of any length and in
 * any script, which takes an extended header. */
enum tar_names { TAR_NAMES_SHORT, TAR_NAMES_ANY };

/* A writer of regular files with mode 0644 (0755 by tar_begin_executable), time 0 and no owner: same input, same bytes. */
struct tar_writer *tar_writer_new(tar_sink *sink, void *ctx, enum tar_names names);
int tar_begin(struct tar_writer *t, const char *name, uint64_t size); /* its header */
int tar_begin_executable(struct tar_writer *t, const char *name, uint64_t size);
int tar_data(struct tar_writer *t, const void *p, size_t n); /* in all exactly `size` bytes */
int tar_end(struct tar_writer *t);                           /* pads the member */

/* Advances the state without output; the caller has written data and padding. */
int tar_end_unsaid(struct tar_writer *t);
int tar_finish(struct tar_writer *t); /* the two empty records at the end; another tar may follow */
void tar_writer_free(struct tar_writer *t);

/* Where the tar's bytes come from: the length of a piece in *p, 0 at the end, -1 after fail(). */
typedef long tar_source(void *ctx, const void **p);

/* A reader of one tar after another; `name` is for messages. */
struct tar_reader *tar_reader_new(tar_source *source, void *ctx, const char *name, enum tar_names names);

/* The next member: 1 with its name (valid until the next call) and size, 0 at the end, -1. Only regular files pass;
 * links, devices, sparse files, and headers that libarchive finds odd are refused. */
int tar_next(struct tar_reader *t, const char **member, uint64_t *size);

/* Whether the member's owner may execute it. Nothing else of its mode is known. */
bool tar_executable(const struct tar_reader *t);

/* Up to n bytes of its content: the count, 0 at its end, -1. */
long tar_read(struct tar_reader *t, void *p, size_t n);
void tar_reader_free(struct tar_reader *t);

#endif
