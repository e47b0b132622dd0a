/* libdx.h: reads .dx archives (dx(5)) from a program of your own: heads, rows, and whether all of it is sound.
 *
 *     libdx *x = libdx_open(0, "stdin");
 *     while (libdx_next(x) == 1)             // archives may stand in a row
 *         while (libdx_row(x) == 1)
 *             puts(libdx_table(x));
 *
 * Nothing that an archive says is believed before it is checked, but its end tells whether it was whole: act on rows for
 * good only when libdx_row has returned 0. Functions return -1 or NULL on failure, and libdx_error says why. Texts
 * and bytes are the library's, and live until the next libdx_row, libdx_next or libdx_close. One thread at a time uses
 * the library; it ends the process when memory runs out. Link with `pkg-config --libs dx`. */
#ifndef LIBDX_H
#define LIBDX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LIBDX_API __attribute__((visibility("default")))
#else
#define LIBDX_API
#endif

typedef struct libdx libdx;

enum libdx_side { LIBDX_OLD, LIBDX_NEW };
enum libdx_type {
    LIBDX_NONE,
    LIBDX_INT,
    LIBDX_REAL,
    LIBDX_TEXT,
    LIBDX_BLOB,
    LIBDX_NULL
}; /* none: not known */

/* Reads from a descriptor, which stays the caller's; `name` is for messages. */
LIBDX_API libdx *libdx_open(int fd, const char *name);
LIBDX_API void libdx_close(libdx *x);

/* The next archive: 1, 0 when there is none, -1. */
LIBDX_API int libdx_next(libdx *x);

/* A text of its head: "kind", "from", "to", "epoch" or "package"; "" when it has none. NULL for another name. */
LIBDX_API const char *libdx_head_text(const libdx *x, const char *name);

/* A number of its head: "number", "after", "upto", "ack" or "applied"; 0 when it has none. -1 for another name. */
LIBDX_API int64_t libdx_head_number(const libdx *x, const char *name);

/* The next row: 1, 0 at the archive's end, when it has been found sound, or -1. */
LIBDX_API int libdx_row(libdx *x);
LIBDX_API const char *libdx_table(const libdx *x);
LIBDX_API const char *libdx_op(const libdx *x);     /* "insert", "update" or "delete" */
LIBDX_API const char *libdx_origin(const libdx *x); /* the node that it came from first, or "" */
LIBDX_API size_t libdx_columns(const libdx *x);
LIBDX_API const char *libdx_column(const libdx *x, size_t i);
LIBDX_API int libdx_key(const libdx *x, size_t i); /* its place in the key from 1; 0: not in it */

/* A value of the row. Of another type than asked for, 0 or NULL. */
LIBDX_API enum libdx_type libdx_type_of(const libdx *x, enum libdx_side side, size_t i);
LIBDX_API int64_t libdx_int(const libdx *x, enum libdx_side side, size_t i);
LIBDX_API double libdx_real(const libdx *x, enum libdx_side side, size_t i);
LIBDX_API const void *libdx_bytes(const libdx *x, enum libdx_side side, size_t i, size_t *n);

/* Reads what is left of the archive and checks it: 0 or -1. */
LIBDX_API int libdx_verify(libdx *x);

/* Its digest, 64 hexadecimal digits, after its end; "" before. */
LIBDX_API const char *libdx_digest(const libdx *x);

LIBDX_API const char *libdx_error(void); /* why the last call failed */

#ifdef __cplusplus
}
#endif
#endif
