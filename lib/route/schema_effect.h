/* schema_effect: what nodes get, or need, because tables that travel are declared otherwise than
 * the nodes' last archives said. */
#ifndef SCHEMA_EFFECT_H
#define SCHEMA_EFFECT_H

#include "nodes/package.h"

/* Of one object. */
struct schema_effect {
    char *object, *what; /* "table c gets column tel" */
    bool new_copy;       /* initsync is needed; else it travels with the next archive */
    int64_t nodes;       /* that have the package */
    int64_t
        rows; /* that travel for it: with a value in a column that is added; with new_copy, all of the table */
};

/* Of a package that is loaded, as the database is now: the objects whose declaration has changed. Nothing is said where no
 * node has the package. In the caller's transaction; to be freed with schema_effects_free. */
int schema_effects(struct db *db, const char *package, struct schema_effect **out, size_t *n);
void schema_effects_free(struct schema_effect *e, size_t n);

/* The effect in words, appended. */
void schema_effect_text(const struct schema_effect *e, struct buf *out);

#endif
