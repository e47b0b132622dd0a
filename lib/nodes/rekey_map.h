/* rekey_map: integer keys that two databases handed out for different rows: which rows of a node's got a fresh key here,
 * and which were adopted by a row that means the same (dx_rekey), until the node has renamed them. */
#ifndef REKEY_MAP_H
#define REKEY_MAP_H

#include "archive/dx.h"
#include "nodes/package.h"
#include "sql/db.h"

/* The rekeys that a node has not applied yet, and which columns refer to which tables. A zeroed one is empty. */
struct rekey_map {
    size_t n, nref;
    int64_t applied; /* the newest archive that the node has applied, as far as the work at hand knows */
    struct dx_rekey *rekey; /* in their order; without references */
    size_t *slot, nslot; /* by table and old key: the newest one's number from 1, 0 free; open addressing */
    struct rekey_ref *ref;
};

struct rekey_ref {
    char *table, *column, *parent;
};

/* Reads those of the node that no archive up to `applied` carried, and the references: declared foreign keys of one
 * column, the package's via columns, and what its `references` say. */
int rekey_map_load(struct rekey_map *r, struct db *db, int64_t node, int64_t applied,
                   const struct package *p);
void rekey_map_free(struct rekey_map *r);

/* Forgets all but the first n of them. */
void rekey_map_cut(struct rekey_map *r, size_t n);

/* What has become of the node's key of that table here; NULL: it is the same. */
const struct dx_rekey *rekey_map_lookup(const struct rekey_map *r, const char *table, const struct val *key);

/* The table that the column refers to, or NULL. */
const char *rekey_map_parent(const struct rekey_map *r, const char *table, const char *column);

/* A key for the row that no other row of the table has and nobody will hand out: the same for the same row. attempt: 0,
 * and on from there where what was given last is taken elsewhere. */
int rekey_fresh(struct db *db, const char *node_epoch, const char *table, const char *column, int64_t old,
                int *attempt, int64_t *out);

/* Whether a row of the table has that key: 1, 0, -1. */
int rekey_taken(struct db *db, const char *table, const char *column, int64_t key);

/* Notes that the node's row `old` is `new` here; adopt: that row was here before. gone: the archive that takes the row away
 * from the node, when that is made already: then the node gets no new key, and means another row by the old one afterwards; else 0. What the
 * node says in the work at hand is understood by r. */
int rekey_add(struct rekey_map *r, struct db *db, int64_t node, const char *table, const struct val *old,
              const struct val *new, bool adopt, int64_t gone);

/* Router: adds what no archive has carried yet to the head, as far as it is of tables and columns that the head has;
 * *last is the newest of them. Then, in the commit, notes the archive's number (rekey_carried). */
int rekey_fill(struct db *db, int64_t node, struct dx_head *h, int64_t *last);

/* The same for a snapshot, whose head has all else already: it may come in place of archives that had them, and over a copy
 * from a backup, so it has the newest of all that there ever were, as many as fit; of those that the node confirmed (archives up to
 * `applied`) a quarter of the head is filled. Where earlier ones are left out, the head says so. */
int rekey_fill_snapshot(struct db *db, int64_t node, int64_t applied, struct dx_head *h, int64_t *last);

/* Bytes that those of the node which no archive has carried yet take in a head: all go with one archive, so that they must
 * fit it. */
int rekey_unsent_bytes(struct db *db, int64_t node, int64_t *bytes);

/* The nodes for which there are some that no archive has carried yet, ascending; to free. */
int rekey_nodes(struct db *db, int64_t **node, size_t *n);
int rekey_carried(struct db *db, int64_t node, int64_t last, int64_t number);

/* A new copy of the node, in the state after archive `number`, has all up to `last` in it, whatever archives carry them. */
int rekey_known(struct db *db, int64_t node, int64_t last, int64_t number);

/* A companion that has renamed a row for its server has its own nodes rename it. */
int rekey_pass(struct db *db, const struct dx_rekey *r);

#endif
