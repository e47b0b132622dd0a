/* row_intern: distinct rows of values in memory, numbered from 1 in the order in which they came. Rows are equal when their
 * values are the same in type and bits (val_same). */
#ifndef ROW_INTERN_H
#define ROW_INTERN_H

#include "data/arena.h"

/* A zeroed struct row_intern is empty, and its rows have no values. */
struct row_intern {
    size_t width, n;   /* values of a row; rows */
    struct val *value; /* width a row */
    size_t room;       /* rows that `value` has room for */
    size_t *slot;      /* a row's number, by its hash, open addressing; 0: free */
    size_t nslot;      /* a power of two, or none */
    struct arena text; /* texts and blobs */
    size_t bytes;      /* of these */
};

/* Forgets all rows; those that follow have that many values. */
void row_intern_clear(struct row_intern *t, size_t width);
void row_intern_free(struct row_intern *t);

/* The number of the row, which is copied when it is new; 0 for a new one once the others have taken TUPLES_BYTES of
 * memory. */
enum { TUPLES_BYTES = 16 << 20 };
size_t row_intern_number(struct row_intern *t, const struct val *row);

#endif
