/* read_set: the tables and columns that a statement reads, as SQLite tells it when it is prepared. */
#ifndef READ_SET_H
#define READ_SET_H

#include "sql/db.h"

struct touched {
    char *table, *column; /* column "": no column, but the rows */
    char *through;        /* the view in which it stands, or NULL */
};

/* A zeroed struct touches is empty. */
struct touches {
    struct touched *t;
    size_t n;
};

/* Appends what the SQL reads. -1 when it does not prepare. */
int touches_of(struct db *db, const char *sql, struct touches *out);
void touches_free(struct touches *s);

/* Whether the table is among them. */
bool touches_table(const struct touches *s, const char *table);

#endif
