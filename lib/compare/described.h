/* described: the tables of a database as the other side of a comparison hears of them. */
#ifndef DESCRIBED_H
#define DESCRIBED_H

#include "sql/layout.h"

enum described_kind {
    DESCRIBED_TABLE,
    DESCRIBED_NO_KEY,
    DESCRIBED_VIRTUAL,
    DESCRIBED_RESERVED, /* named dx_..., in a database where the toolkit keeps nothing */
    DESCRIBED_UNFIT     /* cannot be compared; reason says why */
};

/* A foreign key of one column. */
struct described_ref {
    char *column, *parent, *parent_column; /* parent_column "": the parent's primary key */
};

struct described_table {
    enum described_kind kind;
    char *name, *reason;     /* reason: DESCRIBED_UNFIT only, else NULL */
    struct table *table;     /* DESCRIBED_TABLE only, as all below */
    enum affinity *affinity; /* per column */
    bool *binary;            /* per column: its collation is BINARY */
    bool rowid_key;
    size_t nref;
    struct described_ref *ref;
};

struct described {
    size_t n;
    struct described_table *table;
};

/* All tables but SQLite's and the toolkit's own. Free with described_free, also after a failure. */
int described_of(struct db *db, struct described *out);
void described_free(struct described *d);

/* The table of that name (ASCII case ignored), or NULL. */
const struct described_table *described_find(const struct described *d, const char *name);

/* To bytes and back. described_get: false when they are no description. */
void described_put(struct buf *b, const struct described *d);
bool described_get(struct wire *w, struct described *out);

#endif
