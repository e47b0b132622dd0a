/* token: the values that site-sim writes. Each has a number of its own, v-1.17 is number 17 of the server's users, so that
 * it is found again wherever it went. */
#ifndef TOKEN_H
#define TOKEN_H

#include "sql/db.h"

/* Numbers of tokens. */
struct token_set {
    uint8_t *has;
    int n;
};

void token_clear(struct token_set *set);
void token_free(struct token_set *set);
bool token_has(const struct token_set *set, int number);

/* Adds those in some bytes; in a column of a table; in the application's tables; in what a merge records of changes that were not taken; in what the
 * journal says from `after` on, whose end is given back in *end; in archives that are files. -1 on failure. */
void token_in_bytes(struct token_set *set, const void *p, size_t n);
int token_in_column(struct token_set *set, struct db *db, const char *table, const char *column);
int token_in_tables(struct token_set *set, struct db *db);
int token_in_records(struct token_set *set, struct db *db);
int token_in_journal(struct token_set *set, struct db *db, int64_t after, int64_t *end);
int token_in_archive(struct token_set *set, const char *path);

#endif
