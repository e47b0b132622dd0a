/* node_status: how each node stands with its server. */
#ifndef NODE_STATUS_H
#define NODE_STATUS_H

#include "nodes/membership_log.h"
#include "nodes/node.h"

struct node_status {
    struct node node;
    struct membership_log_waiting waiting; /* archives made and not known to be applied */
    int64_t files, bytes;                  /* of them, those not fetched yet */
    int64_t age;                           /* seconds since the oldest waiting archive was made */
    int64_t aside;                         /* entries of the journal for which its archives are set aside */
    char session[40];                      /* the end of its last session, UTC; "" when there was none */
    int64_t conflicts;                     /* not resolved */
};

struct node_statuses {
    int64_t routed, end; /* positions in the journal: all up to `routed` is in the archives */
    char *docking;
    size_t n;
    struct node_status *node;
};

/* docking: the docking directory, or NULL for that of the last run. */
int node_status_read(struct db *db, const char *docking, struct node_statuses *s);
void node_status_free(struct node_statuses *s);

#endif
