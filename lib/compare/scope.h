/* scope: the rows that a database holds, or that a node holds of it. */
#ifndef SCOPE_H
#define SCOPE_H

#include "sql/layout.h"

struct scope {
    struct table *table; /* the columns that count */
    char *select;        /* SQL that yields them of every row held */
};

/* On a client (node NULL) the tables and columns of its package; elsewhere the captured tables, or those with a primary
 * key where the toolkit has not been yet. For a node, what it holds as of the router's last run: of each object it
 * sees, the columns that travel; refused (ERR_REFUSED) when it is unknown. By name (strcmp); free with scope_free. In the
 * caller's read transaction. */
int scope_list(struct db *db, const char *node, struct scope **out, size_t *n);
void scope_free(struct scope *held, size_t n);

/* Keeps those of these names. Refused when one is not there. nname 0 keeps all. */
int scope_only(struct scope *held, size_t *n, char *const *name, size_t nname);

/* Their rows in the order of their keys (BINARY collation), all columns of h->table, in its order. */
struct stmt *scope_rows(struct db *db, const struct scope *h);

#endif
