/* table: the layout of one synchronized table: its name, columns and key, as an archive or a database has it. */
#ifndef TABLE_H
#define TABLE_H

#include "base/buf.h"

#include <stdbool.h>

struct table {
    char *name;
    size_t ncol;
    char **col;  /* column names in the table's order, generated columns left out */
    uint8_t *pk; /* per column: its place in the key from 1, 0 when not in the key */
    size_t nkey; /* columns in the key, at least 1 */
    size_t *key; /* column numbers in key order */
};

/* A layout that the caller frees with table_free; names are copied, pk as above. A key must be given. */
struct table *table_new(const char *name, size_t ncol, const char *const *col, const uint8_t *pk);
struct table *table_copy(const struct table *t);
void table_free(struct table *t);

/* The number of the column of that name (ASCII case ignored, as SQLite does), or -1. */
int table_column(const struct table *t, const char *name);

/* The same name, columns, order and key. */
bool table_same(const struct table *a, const struct table *b);

/* to[i] = number in `to` of column i of `from`, or -1. The caller frees. */
int *table_map(const struct table *from, const struct table *to);

#endif
