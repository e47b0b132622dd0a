/* join: two databases that are both here, compared inside SQLite. One is attached to the connection of the other, and their
 * rows are joined by key, so that only the rows that differ are read as rows, and hashed. What it finds is what the
 * comparison of the two lists finds (compare/threeway.h), value by value and bit by bit. */
#ifndef JOIN_H
#define JOIN_H

#include "compare/side.h"

struct join;

/* Attaches theirs to mine. Called outside of transactions, before the sides are begun. *out is NULL where it cannot be
 * done: a side is not here, or their texts are encoded otherwise. */
int join_open(struct side *const side[SIDES], struct join **out);
void join_close(struct join *j); /* NULL is fine */

/* After both sides were begun: whether the attached database is as theirs is read. 1, 0, -1. */
int join_begin(struct join *j);

/* Whether the rows of the object can be joined: they have no filters or fixed values, and their columns are declared alike. */
bool join_can(const struct join *j, size_t object);

/* Finds the rows that differ, or are on one side only. rows gets how many there are on each side, *equal how many are the
 * same on both. */
int join_object(struct join *j, size_t object, int64_t rows[SIDES], int64_t *equal);

/* The next one of them, in the order of their keys: 1 with key and version on each side, NULL where it has no such row; 0;
 * -1. */
int join_next(struct join *j, const struct val *row[SIDES]);

#endif
