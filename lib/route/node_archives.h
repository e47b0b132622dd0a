/* node_archives: each node's archive in a run: who gets which blocks, and the files. */
#ifndef NODE_ARCHIVES_H
#define NODE_ARCHIVES_H

#include "nodes/key_range.h"
#include "nodes/node.h"
#include "route/outbox.h"
#include "route/package_run.h"
#include "route/row_emit.h"

/* A node that may get an archive. */
struct receiver {
    struct node node;
    enum receiver_state {
        RECEIVER_ACTIVE,
        RECEIVER_SUSPENDED, /* gets nothing: too much waits for it */
        RECEIVER_RESUMED    /* has fetched all: gets what came to be since it was suspended, net */
    } state;
    bool new_suspension; /* suspended in this run */
    bool renew;          /* its copy has to be made again */
    bool resumed;        /* what it missed is dealt with */
    bool current;        /* it gets what there is in this run, suspended or not: a copy of it is made */
    const struct package_run *plan;
    size_t npiece, *piece; /* numbers in sender->pieces */
    bool written;
    int64_t rekey;          /* newest of those that its archive carries */
    int64_t verdict;        /* the same */
    int64_t changes, bytes; /* of its archive */
    char digest[SHA_HEX];
};

struct node_archives {
    struct db *db;
    const struct row_emitter *sender;
    struct outbox *outbox;
    struct set_aside *aside; /* gets the nodes whose outbox cannot be written */
    const char *sign;        /* as route.sign */
    int64_t after, upto, archives;
    int64_t run;               /* the number of the run before */
    int64_t suspend_after;     /* archives that may wait for a node before it is suspended; 0: any number */
    bool redefined;            /* a definition is new: no node may miss that */
    struct receiver *receiver; /* by id */
    size_t nreceiver;
    char **but; /* the packages of the nodes that get none, because they get a snapshot */
    size_t nbut;
    const struct package_run *head_package; /* whose tables the head names */
    struct dx_head head;
    struct dx_writer *writer; /* of the archive written last, for the next; or NULL */
    int64_t *rekeyed;         /* nodes that are to rename rows, ascending */
    size_t nrekeyed;
    struct key_ranges ranges; /* that archives of this run carry */
    int64_t *judged;          /* nodes for which there are verdicts to send, ascending */
    size_t njudged;
};

/* All active nodes but those of these names, which ascend. */
int node_archives_list(struct node_archives *x, char *const *but, size_t n);

/* The node gets what there is in this run, suspended or not. */
void node_archives_current(struct node_archives *x, int64_t node);

/* Finds out who is suspended and who is resumed. */
void node_archives_resume(struct node_archives *x);

/* The audience of the package's nodes that are neither suspended nor resumed nor get a snapshot, AUDIENCE_ALL when none of them
 * does. */
int node_archives_present(struct node_archives *x, const struct package_run *p, int64_t *audience);

/* The sender's pieces from number `first` on are of this package: notes who gets which. */
int node_archives_deal(struct node_archives *x, const struct package_run *p, size_t first);

/* Of the receivers of this package that are resumed and not dealt with: one, and the audience of it and of all that were
 * suspended in the same run, which are dealt with now. *r is NULL when there are no more. -1 on failure. */
int node_archives_next_resumed(struct node_archives *x, const struct package_run *p,
                               const struct receiver **r, int64_t *audience);

/* The same as node_archives_deal, for pieces whose audiences are of nodes that are resumed. */
int node_archives_deal_resumed(struct node_archives *x, const struct package_run *p, size_t first);

/* The nodes of the audience that were to be resumed stay suspended, for the reason recorded last. */
int node_archives_stay_suspended(struct node_archives *x, int64_t audience);

/* The node's part in this run, or NULL. */
const struct receiver *node_archives_of(const struct node_archives *x, int64_t node);

/* Writes and syncs the archives, under temporary names; a node for which there is nothing gets none. */
int node_archives_write(struct node_archives *x);

/* In the run's transaction: notes what was written. */
int node_archives_store(struct node_archives *x, const char *now);

/* Writes an archive that says nothing, for a pipe that wants one. */
int node_archives_empty(const struct node *n, const char *sign, int fd);

void node_archives_free(struct node_archives *x);

#endif
