/* client_tables: on a client, the tables and columns that its package gives it (dx_copy). */
#ifndef CLIENT_TABLES_H
#define CLIENT_TABLES_H

#include "data/table.h"
#include "sql/db.h"

/* Makes these the tables of the copy, instead of those before. */
int copy_set(struct db *db, struct table *const *table, size_t n);

/* The tables, by name; none when the database is no client. The caller frees each, and the array. */
int copy_tables(struct db *db, struct table ***out, size_t *n);
void copy_free(struct table **tables, size_t n);

/* Whether the table is one of the copy: 1, 0, -1. */
int copy_has(struct db *db, const char *table);

#endif
