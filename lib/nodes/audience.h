/* audience: sets of nodes, each with a number. Rows that the same nodes hold share an audience. */
#ifndef AUDIENCE_H
#define AUDIENCE_H

#include "sql/db.h"

enum {
    AUDIENCE_NOBODY = 0,
    AUDIENCE_ALL = -1 /* every node of the package */
};

struct audience {
    size_t n;
    const int64_t *node; /* ids, ascending */
};

/* Makes the table dx_audience, if not there. */
int audience_init(struct db *db);

/* The audiences of a database, read as they are asked for. New ones live in memory until audience_save. */
struct audiences *audiences_open(struct db *db);
void audiences_close(struct audiences *a);

/* The set of that number; AUDIENCE_ALL gives what audience_all has said. Lives until audiences_close. NULL on
 * failure. */
const struct audience *audience_get(struct audiences *a, int64_t id);
void audience_all(struct audiences *a, const int64_t *node, size_t n);

/* The number of a set of ascending ids: the one it has, or a new one; no ids: AUDIENCE_NOBODY. -2 on failure. */
enum { AUDIENCE_ERROR = -2 };
int64_t audience_intern(struct audiences *a, const int64_t *node, size_t n);

/* a minus b, a and b; -2 on failure. */
int64_t audience_minus(struct audiences *a, int64_t one, int64_t other);
int64_t audience_both(struct audiences *a, int64_t one, int64_t other);

/* Whether the node is in the set: 1, 0, -1. */
int audience_has(struct audiences *a, int64_t id, int64_t node);

/* Stores a new audience, if it is new, before rows name it. */
int audience_save(struct audiences *a, int64_t id);

/* Appends "id, id, ..." of all audiences that contain the node, AUDIENCE_ALL among them. */
int audience_of_node(struct db *db, int64_t node, struct buf *ids);

#endif
