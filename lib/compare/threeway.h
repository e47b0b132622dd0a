/* threeway: what two sides must do to agree: an ordered merge of the (key, version) of each with what they agreed on last,
 * object by object, in memory that does not grow with the rows.
 *
 *   base   mine       theirs       what is to be done
 *   b      b          b            nothing
 *   b      changed    b            update (or delete) theirs; and the other way round
 *   b      x          x            nothing: both made the same change (or deleted the row)
 *   b      x          y            conflict (one of them may be a delete)
 *   none   x          none         insert into theirs; and the other way round
 *   none   x          x            nothing
 *   none   x          y            conflict; or two rows that each get a key of their own (keys = rekey)
 *
 * A row that was deleted and made again, as the side noted, is a new one. */
#ifndef THREEWAY_H
#define THREEWAY_H

#include "compare/join.h"
#include "compare/side.h"

/* One object, counted. */
struct threeway_counts {
    int64_t rows[SIDES], base, agreed;
};

struct threeway {
    struct side *side[SIDES];
    struct base *base;
    const struct specs *specs;
    struct work *work;
    bool keep; /* what is equal on both sides of a new object goes into the base at once */
    struct join
        *join; /* compares objects of which the base has no rows inside SQLite; NULL: by their lists */
    bool marked[SIDES];
    struct threeway_counts *count; /* per object */
};

/* Adds to the work what is not as agreed. The sides are in a snapshot. */
int threeway_run(struct threeway *t);

/* Says for an item what is to be done, from what happened to its row on each side. */
void threeway_plan(const struct spec *s, struct item *i);

#endif
