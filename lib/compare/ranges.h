/* ranges: a list of rows as a tree of sums, so that two ends find what differs without telling what does not.
 *
 * The list, in the order of its keys, is cut into ranges by the keys themselves: a range ends behind a row whose key's hash
 * ends in 4 zero bits (or that is its 512th), a group of ranges behind one whose hash ends in 8. So both ends cut alike
 * wherever their rows are the same. A range is known by its sum: the first 8 bytes of the SHA-256 over its rows; a group by
 * that of its ranges' digests. The root, a whole SHA-256 over all ranges' digests, proves the list that is put together in
 * the end. */
#ifndef RANGES_H
#define RANGES_H

#include "base/sha.h"
#include "data/val.h"

#include <stdbool.h>

struct ranges {
    size_t nrange, ngroup;
    uint64_t *range;   /* sums */
    uint64_t *group;   /* sums */
    size_t *group_end; /* per group the number of the range behind its last */
    /* while it is made */
    struct sha *one, *several, *all;
    struct buf bytes;
    size_t rows; /* in the range at hand */
    bool open, group_open;
    uint8_t root[SHA_BYTES];
};

void ranges_begin(struct ranges *r);
void ranges_free(struct ranges *r); /* fine on a zeroed one */

/* Adds the next row: its key and version. True when a range ends with it. */
bool ranges_add(struct ranges *r, const struct val *key, size_t nkey, const struct val *version);

/* Ends the list; the root is known then. */
void ranges_end(struct ranges *r);

/* Sums to look for. */
struct range_set {
    size_t n;
    uint64_t *sum;
};
void range_set_add(struct range_set *s, const uint64_t *sum, size_t n);
void range_set_sort(struct range_set *s); /* before it is asked */
bool range_set_has(const struct range_set *s, uint64_t sum);
void range_set_free(struct range_set *s);

#endif
