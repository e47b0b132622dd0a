/* hidden_columns: a row that an upload deletes and inserts again keeps what its node does not see of it. */
#ifndef HIDDEN_COLUMNS_H
#define HIDDEN_COLUMNS_H

#include "apply/merge_context.h"

/* Remembers the row that the node's delete names, where columns of its table do not travel; gives the node's insert of
 * a row remembered the values of those columns (the arena's). */
int hidden_columns(struct apply_context *w, struct target *t, struct change *c, struct arena *a);

/* The insert gets another key, so that it is another row: it has no values in those columns. 0, or -1. */
int hidden_columns_forget(struct apply_context *w, struct target *t, struct change *c);

#endif
