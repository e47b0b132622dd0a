/* node_archives: each node's archive in a run: who gets which blocks, and the files. */
#ifndef NODE_ARCHIVES_H
#define NODE_ARCHIVES_H

#include "nodes/node.h"
#include "route/outbox.h"
#include "route/package_run.h"
#include "route/row_emit.h"

/* A node that may get an archive. */
struct receiver {
    struct node node;
    enum receiver_state {
        RECEIVER_AWAKE,
        RECEIVER_ASLEEP, /* gets nothing: too much waits for it */
        RECEIVER_WAKING  /* has fetched all: gets what came to be since it fell asleep, net */
    } state;
    bool fell;  /* asleep in this run */
    bool woken; /* what it slept through is dealt with */
    const struct plan *plan;
    size_t npiece, *piece; /* numbers in sender->pieces */
    bool written;
    int64_t rekey;          /* newest of those that its archive carries */
    int64_t changes, bytes; /* of its archive */
    char digest[SHA_HEX];
};

struct delivery {
    struct db *db;
    const struct sender *sender;
    struct outbox *outbox;
    int64_t after, upto, archives;
    int64_t run;               /* the number of the run before */
    int64_t fold;              /* archives that may wait for a node before it falls asleep; 0: any number */
    bool redefined;            /* a definition is new: nobody sleeps through that */
    struct receiver *receiver; /* by id */
    size_t nreceiver;
    const struct plan *told; /* whose tables the head names */
    struct dx_head head;
    int64_t *rekeyed; /* nodes that are to rename rows, ascending */
    size_t nrekeyed;
};

/* All active nodes but one (NULL: all). */
int deliver_list(struct delivery *x, const char *but);

/* Finds out who sleeps and who wakes. */
void deliver_wake(struct delivery *x);

/* The audience of the package's nodes that neither sleep nor wake, AUDIENCE_ALL when none of them does. */
int deliver_present(struct delivery *x, const struct plan *p, int64_t *audience);

/* The sender's pieces from number `first` on are of this package: notes who gets which. */
int deliver_deal(struct delivery *x, const struct plan *p, size_t first);

/* Of the receivers of this package that wake and are not dealt with: one, and the audience of it and of all that fell
 * asleep in the same run, which are dealt with now. *r is NULL when there are no more. -1 on failure. */
int deliver_next_woken(struct delivery *x, const struct plan *p, const struct receiver **r,
                       int64_t *audience);

/* The same as deliver_deal, for pieces whose audiences are of nodes that wake. */
int deliver_deal_woken(struct delivery *x, const struct plan *p, size_t first);

/* Writes and syncs the archives, under temporary names; a node with nothing to be told gets none. */
int deliver_write(struct delivery *x);

/* In the run's transaction: notes what was written. */
int deliver_store(struct delivery *x, const char *now);

/* Writes an archive that says nothing, for a pipe that wants one. */
int deliver_empty(const struct node *n, int fd);

void deliver_free(struct delivery *x);

#endif
