/* bulk_insert: rows put into a table many at a time: one statement for many rows costs half of one for each. */
#ifndef BULK_INSERT_H
#define BULK_INSERT_H

#include "sql/db.h"

struct bulk;

/* Rows of n values for "TABLE (COLUMN, ...)", as SQL names them. */
struct bulk *bulk_open(struct db *db, const char *into, size_t n);

/* Puts a row, which is copied; it is in the table once bulk_end was called. 0 or -1. */
int bulk_put(struct bulk *b, const struct val *row);
int bulk_end(struct bulk *b);

void bulk_close(struct bulk *b); /* NULL is fine */

#endif
