/* extract: all that one node may see, as an archive. */
#ifndef EXTRACT_H
#define EXTRACT_H

#include "base/spill.h"
#include "nodes/key_range.h"
#include "nodes/node.h"
#include "route/package_run.h"

/* What the snapshot began: a new numbering with the node. */
struct extract_mark {
    bool offer;  /* set by the caller: it is offered only, and the copy before goes on (nodes/offer.h) */
    char *epoch; /* to free */
    int64_t number, position, ack, node, rekey, applied;
    int64_t changes, bytes; /* written */
};

/* Writes a snapshot to fd: all rows that the node sees after this run, which is its state after archive n->archive; ranges: of keys that this run gives to nodes, and gets those of the copy;
 * signed with the private key in the file `sign`, or not (NULL). Of an object that is set aside it holds the rows that
 * other copies have, and nothing where these cannot be read; rows that no archive carries are noted in `aside`. */
int extract_write(struct db *db, struct package_run *p, const struct node *n, int64_t position,
                  struct audiences *all, struct key_ranges *ranges, const char *sign, int fd,
                  struct set_aside *aside, struct extract_mark *mark);

/* Snapshots of many nodes of one package in one pass: what nodes share is read and compressed once. */
struct extract_copy {
    const struct node *node;
    struct extract_mark *mark;
};

struct extract_many {
    const struct extract_copy *copy; /* by the node's id */
    size_t n;
    int64_t position;
    struct audiences *audiences;
    struct key_ranges *ranges;
    struct spill *spill;
    const char *sign;
    int (*open)(void *ctx,
                const struct node *n); /* a new file, which is synced and closed here; -1 after fail() */
    void *ctx;
};
int extract_write_many(struct db *db, struct package_run *p, const struct extract_many *m,
                       struct set_aside *aside);

/* Records it, in the transaction of that run, at that time. */
int extract_store(struct db *db, const struct node *n, const struct extract_mark *mark,
                  const struct key_ranges *ranges, int64_t run, const char *now);

#endif
