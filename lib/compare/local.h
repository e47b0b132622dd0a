/* local: a side whose database is here: its rows read in the specs' columns. */
#ifndef LOCAL_H
#define LOCAL_H

#include "apply/target.h"
#include "compare/side.h"

/* An object on this side. */
struct local_object {
    const struct spec *spec;
    const struct spec_side *at;
    struct target *target;
    int *column;       /* per canonical column its number in the target's table, -1 where it is fixed */
    struct val *fixed; /* per canonical column the value that it has there */
    struct val *row;   /* the row read last, canonical */
    bool linked;       /* some of its rows have two keys */
};

struct local_side {
    struct side side;
    struct db *db;
    bool utf16, reading;
    const struct specs *specs;
    struct targets targets;
    struct local_object *object;
    struct stmt *list, *to_mine, *to_theirs; /* list: of `listed` */
    struct arena translated;                 /* of the row read last */
    struct buf version;
    size_t listed;
    struct val *given; /* the row that next gave */
};

/* NULL on failure. write: the database will be written, else it is only read. */
struct side *local_open(const char *path, int which);

/* Reads the row with the canonical key into o->row: 1, 0, -1. Its values live until the next read of the object. */
int local_row(struct local_side *l, size_t object, const struct val *key);

/* Lets go of the row that was read last of the object: no statement is under way any more. */
void local_row_done(struct local_side *l, size_t object);

/* The side that the operations of a struct side stand for, NULL when it is at the other end of a connection. */
struct local_side *local_of(struct side *s);

/* The row with the canonical key as side_next gives it, key and version: 1, 0, -1. */
int local_listed(struct local_side *l, size_t object, const struct val *key, const struct val **row);

/* The canonical row of the one that target_row has just found. */
int local_canonical(struct local_side *l, struct local_object *o);

/* The key that the row has here: 1 with it in out (nkey values), 0 when it can have none, as another row has it; -1. Values are
 * the arena's, or those given. */
int local_key(struct local_side *l, size_t object, const struct val *key, struct val *out, struct arena *a);

/* A reference to that parent, as it is here. */
int local_reference(struct local_side *l, size_t parent, const struct val *canonical, struct val *out,
                    struct arena *a);

/* Notes in the links of this connection that the row has this key in mine. */
int local_link(struct local_side *l, size_t object, const struct val *mine, const struct val *theirs);

#endif
