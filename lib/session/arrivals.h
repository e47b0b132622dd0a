/* arrivals: the uploads that wait in a docking directory, in the order in which their nodes sent them.
 *
 * A site has many nodes, and few of them send between two runs of dxcron. So the walk remembers which inboxes were empty, by
 * the times of their directories, in DOCKING/.inboxes.empty, and opens the others only. Once a day it opens all of them, and
 * removes partial uploads and files whose transfer was not resumed. */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

struct arrival {
    char *node, *file; /* file: its name in the node's inbox */
    int64_t
        time; /* when it came, or one of the node's before it, whichever is later: nanoseconds since 1970 */
};

struct arrivals {
    size_t n;
    struct arrival *file;
};

/* Finds the uploads of all nodes; of one node: only its own, and nothing is remembered or removed. partial_days: whole days
 * after which a part is removed. Free with arrivals_free, also after -1. */
int arrivals_find(const char *docking, const char *node, int64_t partial_days, struct arrivals *out);
void arrivals_free(struct arrivals *a);

#endif
