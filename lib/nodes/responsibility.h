/* responsibility: which package a user's copies get: user -> responsibility -> package, and whether that is given out.
 *
 *   dx_user            name, responsibility ("" none), ended
 *   dx_responsibility  name, package
 *   dx_package_state   package, published, active; a package that is not in it is both
 *
 * Each table is made when the first row is put into it. A node that is registered with a package by name needs none of it. */
#ifndef RESPONSIBILITY_H
#define RESPONSIBILITY_H

#include "nodes/node.h"

/* Registers a user, or takes one up again that had been ended, with a responsibility. Nodes of the user whose package was that
 * of the responsibility before get the new one. In the caller's write transaction, as all that changes. */
int responsibility_set_user(struct db *db, const char *user, const char *responsibility);

/* Ends a user: sessions of the user's nodes are refused. */
int responsibility_end_user(struct db *db, const char *user);

/* Gives a responsibility its package. Nodes of its users whose package was the one before get the new one. */
int responsibility_set(struct db *db, const char *name, const char *package);

/* Whether a user of that name is registered, and not ended: 1, 0, -1. */
int responsibility_knows(struct db *db, const char *user);

/* The package of a user, to free. Refused (ERR_REFUSED) with what is missing on the way. */
int responsibility_package(struct db *db, const char *user, char **package);

/* published: new copies may be made; active: sessions are served. */
int responsibility_publish(struct db *db, const char *package, bool published);
int responsibility_activate(struct db *db, const char *package, bool active);

/* Whether the node may have a session, or (copy) a new copy: refused (ERR_REFUSED), fit for the node, when its user has been
 * ended or its package is not active, or not published. */
int responsibility_check(struct db *db, const struct node *n, bool copy);

/* Tells of each user ("alice", "rep", true: not ended), responsibility ("rep", "sales") and package (name, "",
 * published, active). */
struct responsibility_row {
    const char *name, *of;
    bool published, active; /* of a user: active means not ended */
};
typedef void responsibility_fn(void *ctx, const struct responsibility_row *row);
int responsibility_each_user(struct db *db, responsibility_fn *fn, void *ctx);
int responsibility_each(struct db *db, responsibility_fn *fn, void *ctx);
int responsibility_each_package(struct db *db, responsibility_fn *fn, void *ctx);

#endif
