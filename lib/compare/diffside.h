/* diffside: one side of a comparison: the (key, change key) of all rows of a database or of an archive of keys, table
 * by table in the order of their names, row by row in key order. */
#ifndef DIFFSIDE_H
#define DIFFSIDE_H

#include "compare/diffset.h"

struct diff_side;

/* Opens a database (one snapshot of it is read) or an archive of keys; the content tells which. A configuration
 * restricts both to its objects. NULL on failure. */
struct diff_side *diff_side_open(const char *path, const struct conf *conf);

/* The same for a base: an archive shows all its tables, as those that are not compared are carried over. */
struct diff_side *diff_side_open_base(const char *path, const struct conf *conf);
void diff_side_close(struct diff_side *s); /* NULL is fine */

const char *diff_side_name(const struct diff_side *s); /* the path, for messages */

/* What an archive says of itself; NULL for a database. */
struct dx_head;
const struct dx_head *diff_side_head(const struct diff_side *s);

/* The tables it has, as layouts of keys. */
size_t diff_side_tables(const struct diff_side *s);
const struct table *diff_side_table(const struct diff_side *s, size_t i);

/* The tables of a database that it leaves out, and why, *n lines; NULL for an archive. */
char *const *diff_side_left_out(const struct diff_side *s, size_t *n);

/* That of a name, or NULL. NULL for a NULL side. */
const struct table *diff_side_find(const struct diff_side *s, const char *table);

/* Begins with the rows of a table that it has; tables must be asked for in order, some may be left out. */
int diff_side_begin(struct diff_side *s, const char *table);

/* The next row of it: 1 with table->ncol values (the key, then the change key), which live until the next call; 0 at
 * the end of the table; -1 (also when rows are out of order or have NULL in the key). */
int diff_side_next(struct diff_side *s, const struct val **row);

/* Reads what is left: an archive is proved whole only then. */
int diff_side_finish(struct diff_side *s);

#endif
