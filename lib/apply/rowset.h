/* rowset: a set of rows by table and key, each with a mark: the whole row, or some of its columns. In memory. */
#ifndef ROWSET_H
#define ROWSET_H

#include "apply/target.h"

struct rowmark {
    bool whole;
    uint8_t *columns; /* a byte a column of the target, 1 where marked; NULL while none is */
};

/* A zeroed struct rowset is empty and ready. */
struct rowset {
    size_t n, room;
    struct rowset_slot *slot;
    struct buf key;
};

/* The mark of the row with the change's key (in the target's columns), or NULL. */
struct rowmark *rowset_find(struct rowset *s, const struct target *t, const struct change *c);

/* The same, added when it is not there. */
struct rowmark *rowset_add(struct rowset *s, const struct target *t, const struct change *c);

/* Adds the change's columns (an update) or the whole row to the mark of its row. */
void rowset_mark(struct rowset *s, const struct target *t, const struct change *c);
void rowset_free(struct rowset *s);

#endif
