/* read_set: the tables and columns that a statement reads, as SQLite tells it when it is prepared. */
#ifndef READ_SET_H
#define READ_SET_H

#include "sql/db.h"

struct read_set_table {
    char *table, *column; /* column "": no column, but the rows */
    char *through;        /* the view in which it stands, or NULL */
};

/* A zeroed struct read_set is empty. */
struct read_set {
    struct read_set_table *t;
    size_t n;
};

/* Appends what the SQL reads. -1 when it does not prepare. */
int read_set_of(struct db *db, const char *sql, struct read_set *out);
void read_set_free(struct read_set *s);

/* Whether the table is among them. */
bool read_set_table(const struct read_set *s, const char *table);

#endif
