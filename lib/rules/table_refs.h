/* table_refs: where in an arm's text the tables of its rule stand, and which of them yields the key. */
#ifndef TABLE_REFS_H
#define TABLE_REFS_H

#include "rules/rule.h"

struct placing {
    struct db *db;
    struct transition_tables *images;
    struct relation *relation; /* of the object's table */
    const struct table *sent;
};

/* Finds, by trial, the occurrences in the arm's own text, bytes [from, to) of its SQL, adds them to those of its frame,
 * and finds the NOT EXISTS terms, the aliases, and the anchor. */
int table_refs_tables(const struct placing *an, struct arm *a, size_t from, size_t to);

/* Finds the columns that make classes of rows (route/row_class.h), if the arm allows it. */
int table_refs_class(const struct placing *an, struct arm *a);

#endif
