/* client_tables: on a client, the tables and columns that its package gives it (dx_copy). */
#ifndef CLIENT_TABLES_H
#define CLIENT_TABLES_H

#include "data/table.h"
#include "sql/db.h"

/* Makes these the tables of the copy, instead of those before. */
int client_tables_set(struct db *db, struct table *const *table, size_t n);

/* The tables, by name; none when the database is no client. The caller frees each, and the array. */
int client_tables_load(struct db *db, struct table ***out, size_t *n);
void client_tables_free(struct table **tables, size_t n);

/* Whether the table is one of the copy: 1, 0, -1. */
int client_tables_has(struct db *db, const char *table);

#endif
