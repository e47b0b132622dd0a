/* columns: the names of a table's columns and of its key, as the JSON arrays in which archives and databases keep
 * them. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "data/table.h"

/* Appends the names of the columns as an array, or those of the key in its order; or as a text that the caller
 * frees. */
void columns_put(struct buf *b, const struct table *t, bool key);
char *columns_text(const struct table *t, bool key);

/* The table of that name with these two; the caller frees. NULL when they are not what columns_text gives. */
struct table *columns_table(const char *name, const char *columns, const char *key);

#endif
