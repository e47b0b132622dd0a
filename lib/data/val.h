/* val: one SQLite value, and its order, equality and bytes on the wire. */
#ifndef VAL_H
#define VAL_H

#include "base/wire.h"

/* The numbers are those of SQLite's changeset format. */
enum val_type {
    VAL_NONE = 0, /* no value: a column that a change says nothing of */
    VAL_INT = 1,
    VAL_REAL = 2,
    VAL_TEXT = 3, /* UTF-8 as stored, not NUL-terminated, perhaps invalid or with NULs */
    VAL_BLOB = 4,
    VAL_NULL = 5
};

struct val {
    enum val_type type;
    union {
        int64_t i;
        double r;
        struct {
            const void *p; /* not owned */
            size_t n;
        };
    };
};

struct val val_int(int64_t i);
struct val val_text(const char *s); /* NULL gives VAL_NULL */

/* The same type and the same bits: 2 is not 2.0, 0.0 is not -0.0, a NaN is itself. */
bool val_same(const struct val *a, const struct val *b);

/* SQLite's order with BINARY collation: NULL, numbers by value, text, blobs. 0 for 2 and 2.0. */
int val_compare(const struct val *a, const struct val *b);

/* The order of the first n values of two rows, by val_compare. */
int vals_compare(const struct val *a, const struct val *b, size_t n);

/* The value as SQLite's changeset format writes it: type byte, then length and bytes, or 8 bytes. */
void val_put(struct buf *b, const struct val *v);

/* Reads one; text and blobs point into the wire's bytes. A length over SQLite's limit makes the wire bad. */
struct val val_get(struct wire *w);

/* A copy of n values with their texts and blobs in one allocation that the caller frees. */
struct val *vals_copy(const struct val *v, size_t n);

/* For messages: the value as short SQL text, long ones cut; valid until the eighth call after. */
const char *val_show(const struct val *v);

/* The same for n values, separated by commas. */
const char *vals_show(const struct val *v, size_t n);

#endif
