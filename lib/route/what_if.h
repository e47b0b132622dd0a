/* what_if: what a changed package would give each node and take from it, before it is loaded. */
#ifndef WHAT_IF_H
#define WHAT_IF_H

#include "route/schema_effect.h"
#include "sql/db.h"

/* Of one node and one object. */
struct what_if_line {
    char *node, *object;
    int64_t gained, lost;             /* rows */
    int64_t gained_bytes, lost_bytes; /* of the values that travel */
};

struct what_if {
    size_t n, neffect;
    struct what_if_line *line;    /* by node and object, those where something changes */
    struct schema_effect *effect; /* of tables that are declared otherwise */
};

/* Evaluates the package in the directory; nothing is written. Free with what_if_free. */
int what_if_package(struct db *db, const char *directory, struct what_if *out);
void what_if_free(struct what_if *w);

#endif
