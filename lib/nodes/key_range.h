/* key_range: `keys = ranges N`: of each table with AUTOINCREMENT every copy numbers its rows in a range of its own, above
 * all that was handed out before (dx_key_range). */
#ifndef KEY_RANGE_H
#define KEY_RANGE_H

#include "archive/dx.h"
#include "nodes/node.h"
#include "nodes/package.h"

enum { KEY_RANGE_LEAST = 10, KEY_RANGE_MOST = 1000000000 };

/* The ranges that archives of one run carry. A zeroed one is empty. */
struct key_ranges {
    size_t n;
    struct key_range *range;
};
void key_ranges_free(struct key_ranges *k);

/* The N of `keys = ranges N`, or 0. */
/* Whether that key of a new row of the object's table lies so far above all that were handed out that ranges behind it
 * would come to their end soon: 1, 0, -1. Tables without ranges: 0. */
int key_range_beyond(struct db *db, const struct object *o, int64_t key);

int64_t key_range_size(const struct object *o);

/* Adds to the head a range for each table of the node's package where it has none in that epoch, has used half of it, or
 * where a row stands above it. */
int key_ranges_fill(struct key_ranges *k, struct db *db, const struct node *n, const char *epoch,
                    const struct package *p, struct dx_head *h);

/* In the commit: notes those of the node, and has this database number its own rows above them. */
int key_ranges_store(const struct key_ranges *k, struct db *db, int64_t node, const char *epoch);

/* Has the database number the next row of the table with AUTOINCREMENT above that key, unless it is further already. */
int key_range_begin(struct db *db, const char *table, int64_t behind);

#endif
