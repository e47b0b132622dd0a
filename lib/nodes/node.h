/* node: the partial copies that a database feeds: who they are, and how far each is. */
#ifndef NODE_H
#define NODE_H

#include "sql/db.h"

struct node {
    int64_t id;
    char *name; /* meta_node_name */
    char *user; /* what rules call dx_node.user; "" for none */
    char *package;
    char *epoch; /* of the numbering with this node: random, new when it is registered or extracted again */
    bool active; /* not ended */
    int64_t archive;      /* number of the newest archive made for it */
    int64_t position;     /* the journal's number that archive stands for */
    int64_t suspended_at; /* archives are set aside since this position, until it fetches; -1: they are not */
    int64_t suspended_run; /* ... and since this run (dx_meta `routes`) */
    int64_t applied;       /* newest archive that it says it has applied */
    int64_t merged;        /* number of its newest upload merged here */
    int64_t last_ack;      /* the `ack` in its newest archive: below `merged`, an archive is owed */
};

/* Makes the tables dx_nodes and dx_force and the view dx_node(name, user, package, status), if not there. */
int node_init(struct db *db);

/* The node of that name: 1, 0 when there is none (or no nodes at all), -1. Free with node_free. */
int node_find(struct db *db, const char *name, struct node *out);
void node_free(struct node *n);

/* The same, but refused (ERR_REFUSED, with a message fit for the operator of the node) when unknown or ended, or when the day
 * has come on which it ends. */
int node_require(struct db *db, const char *name, struct node *out);

/* All nodes by name; the caller frees each, and the array. */
int node_list(struct db *db, struct node **out, size_t *n);

/* Registers, changes (NULL: as it is), ends. A new epoch at registration. */
int node_add(struct db *db, const char *name, const char *user, const char *package);
int node_set(struct db *db, const char *name, const char *user, const char *package);
int node_end(struct db *db, const char *name);

/* Ends the node at that time (seconds since 1970; 0: never, as before), and tells it of the server that it has then ("" for
 * none). What has come to its end is refused from then on; node_end_due ends it. */
int node_end_at(struct db *db, const char *name, int64_t at, const char *site);

/* Ends the nodes whose time has come, in a write transaction of its own where there are any. */
int node_end_due(struct db *db);

/* Inside the caller's transaction: the upload `number` of the node is merged; it has applied archive `number`. */
int node_note_merged(struct db *db, int64_t node, int64_t number);
int node_note_applied(struct db *db, int64_t node, int64_t number);

/* Asks the router to send the row to the node with its next archive, whole as it is then, or its removal if it is not
 * in the node's view: after a conflict, a refusal, a rekey. key is key_pack of the row's key. */
int node_force(struct db *db, int64_t node, const char *table, const struct val *key);

#endif
