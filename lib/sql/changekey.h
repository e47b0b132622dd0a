/* changekey: the values that tell whether a row was changed: columns that every change moves (a timestamp, a
 * modification number), or a hash of the row.
 *
 * In archives of keys and rows a hash is a column "dx_hash_XXXXXXXX": XXXXXXXX are the first 8 hex digits of the
 * SHA-256 over the names of the hashed columns, sorted (strcmp), each followed by a newline, so that hashes over
 * different columns are never compared. Its value is a text: the first 32 hex digits of the SHA-256 over the
 * columns' values in that order, each as val_put writes it. */
#ifndef CHANGEKEY_H
#define CHANGEKEY_H

#include "data/table.h"
#include "data/val.h"

struct changekey {
    size_t n;    /* values in a change key, at least 1 */
    char **name; /* their columns */
    bool hashed; /* n is 1, and name[0] the hash column */
    int *column; /* where they are in the row's table: n of them; when hashed, the hashed columns, sorted */
    size_t ncolumn;
    struct buf room; /* of the newest hash */
    struct sha *sha;
    char hex[33];
};

/* The change key of rows of `row` (all columns that are compared). columns: n names, which must be columns of `row`
 * outside its key; n == 0: a hash of all columns of `row`. NULL with the column's name (ERR_REFUSED). */
struct changekey *changekey_new(const struct table *row, size_t n, char *const *columns);

/* The change key that a table of an archive of keys names (its columns outside the key), for rows of `row`. NULL when
 * `row` lacks a column, or the hash is over other columns than those of `row` (ERR_REFUSED). */
struct changekey *changekey_of_keys(const struct table *keys, const struct table *row);

/* The same for a table of an archive of rows whose last column is a hash, over the columns before it. */
struct changekey *changekey_of_rows(const struct table *rows);
void changekey_free(struct changekey *k); /* NULL is fine */

/* The change key of one row (row->ncol values) into out[n]; a hash lives in k until the next call. */
void changekey_get(struct changekey *k, const struct val *row, struct val *out);

/* Whether a column name is that of a hash. */
bool changekey_is_hash(const char *column);

/* The layout of (key, change key) of `row`, as archives of kind keys have it. The caller frees. */
struct table *changekey_table(const struct changekey *k, const struct table *row);

#endif
