/* node_view: whether a node sees a row, or saw it when it made its upload. */
#ifndef NODE_VIEW_H
#define NODE_VIEW_H

#include "apply/merge_context.h"

/* Whether the node whose changes are merged (w->merge, a node's) holds the row, which may be in the table m of its
 * package: it is routed to the node; or the node has inserted it since, which no archive has confirmed; or it waits as
 * the node's insert. 1, 0, -1. */
int node_view_holds(struct apply_context *w, struct merge_table *m, struct target *t, const struct change *c);

/* Whether the node held the row in the view of the archive that it had applied when it made its upload, though it has
 * lost it since, and no longer ago than its object's `late` allows: 1, 0, -1. */
int node_view_held(struct apply_context *w, struct merge_table *m, struct target *t, const struct change *c);

/* Of a row that node_view_held does not let through: whether it held it in that view, but too long ago: 1, 0, -1. */
int node_view_too_late(struct apply_context *w, struct merge_table *m, struct target *t,
                       const struct change *c);

/* Whether each row that the change makes its row refer to, by `via` or a declared foreign key, is one that the node
 * sees or saw, where not all nodes see all rows of that table: 1, 0 (*why says which), -1. */
int node_view_parents(struct apply_context *w, struct merge_table *m, struct target *t,
                      const struct change *c, const char **why);

/* What node_view_parents knows of a table. */
void node_view_parents_free(struct parent_view *p);

#endif
