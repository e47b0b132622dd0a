/* version: what tells whether a row was changed, as bytes: its change key, or a hash of its columns.
 *
 *   change key           the values of its columns, each as val_put writes it
 *   no change key        the first 16 bytes of the SHA-256 over all columns' values in the order of their names,
 *                        as val_put writes them (sql/changekey.h)
 *   ... fields = changed per column outside the key the first 8 bytes of the SHA-256 over its value
 *
 * Beside a change key the content is kept: the hash, or the hashes, of the columns that are not in it. */
#ifndef VERSION_H
#define VERSION_H

#include "compare/spec.h"

/* Appends the version of a row in the object's columns. */
void version_of(const struct spec *s, const struct val *row, struct buf *out);

/* Appends the content; nothing where the version is one itself. */
void content_of(const struct spec *s, const struct val *row, struct buf *out);

/* Whether version alone tells of the whole row: then there is no content. */
bool version_is_content(const struct spec *s);

/* The columns that differ between a row and what was kept of another (`fields = changed`): a byte a column of s->row,
 * 1 where it differs. content is what version_of or content_of gave. False where that cannot be known. */
bool version_columns(const struct spec *s, const struct val *row, const struct val *content,
                     uint8_t *differs);

/* Whether a change key went backwards: its first column that differs is less than before, neither NULL. */
bool version_backwards(const struct spec *s, const struct val *before, const struct val *now);

/* Whether two rows are the same in all columns (in all but the key and the change key). */
bool rows_same(const struct spec *s, const struct val *a, const struct val *b);
bool rows_same_content(const struct spec *s, const struct val *a, const struct val *b);

#endif
