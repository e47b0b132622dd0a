/* digest: the SHA-256 of the rows of tables, the same wherever the same rows are held.
 *
 * A table's digest is over its column names, each in lower case and ended by NUL, in the order of the names, an empty
 * name (NUL), then its rows in the order of their keys (BINARY collation): per column, in the same order, the value as
 * val_put encodes it. So types and bits count, and the order of columns, indexes or rowids does not. The digest over
 * all is that of the lines "TABLE DIGEST", by table name. */
#ifndef DIGEST_H
#define DIGEST_H

#include "base/sha.h"
#include "sql/layout.h"

struct digest {
    size_t n;
    struct digest_table {
        char *table;
        int64_t rows;
        char sha256[SHA_HEX];
    } * tables; /* by name once digest_end was called */
};

/* Adds the rows that a SELECT yields, whose result columns have the names of t's. In the caller's transaction. A zeroed
 * struct digest is empty and ready. */
int digest_add(struct digest *d, struct db *db, const struct table *t, const char *select);

/* Sorts the tables and makes the digest over all. */
void digest_end(struct digest *d, char sha256[SHA_HEX]);
void digest_free(struct digest *d);

#endif
