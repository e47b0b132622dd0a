/* unique: what makes two rows of a table collide: its key, its unique indexes, its rowid. */
#ifndef UNIQUE_H
#define UNIQUE_H

#include "sql/layout.h"

/* Conditions in SQL over a row of the table and NEW, as a trigger on the table sees it. Each is true of every row that
 * would collide with NEW in one index, and quick to look up there; of some rows of a partial index that would not
 * collide it is true as well. */
struct unique {
    size_t n;
    char **collides;
    bool *decides; /* per column of the layout: a change of it alone can make a row collide outside its key */
    const char *rowid; /* a name by which triggers reach the rowid of a table whose key is another, or NULL */
};

/* Reads the indexes of a table. Free with unique_free, which is fine on a zeroed one and after a failure. */
int unique_of(struct db *db, const struct layout *l, struct unique *out);
void unique_free(struct unique *u);

#endif
