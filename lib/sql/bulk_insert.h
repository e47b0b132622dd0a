/* bulk_insert: rows put into a table many at a time: one statement for many rows costs half of one for each. */
#ifndef BULK_INSERT_H
#define BULK_INSERT_H

#include "sql/db.h"

struct bulk_insert;

/* Rows of n values for "TABLE (COLUMN, ...)", as SQL names them. */
struct bulk_insert *bulk_insert_open(struct db *db, const char *into, size_t n);

/* Puts a row, which is copied; it is in the table once bulk_insert_end was called. 0 or -1. */
int bulk_insert_put(struct bulk_insert *b, const struct val *row);
int bulk_insert_end(struct bulk_insert *b);

void bulk_insert_close(struct bulk_insert *b); /* NULL is fine */

#endif
