/* change: what happened to one row, before and after. */
#ifndef CHANGE_H
#define CHANGE_H

#include "data/table.h"
#include "data/val.h"

/* The numbers are SQLite's authorizer codes, as its changeset format uses them. */
enum change_op { CHANGE_DELETE = 9, CHANGE_INSERT = 18, CHANGE_UPDATE = 23 };

/* Values stand in the table's column order; VAL_NONE where the change says nothing of a column.
 *
 *            old                              new
 *   insert   none                             every column (or those the sender has)
 *   delete   every column, or only the key    none
 *   update   key; old values if known         the columns that changed, never the key
 *
 * A change of key is a delete and an insert. Whoever hands out a change owns its arrays and bytes,
 * and says how long they live. */
struct change {
    const struct table *table;
    enum change_op op;
    const char *origin;    /* the node it came from; "" when made in the database it was read from */
    int64_t seq;           /* its number in the journal it was read from, or 0 */
    struct val *old, *new; /* table->ncol each */
};

/* "insert", "update", "delete" */
const char *change_op_name(enum change_op op);

/* The row's key values in key order, pointing into the change, in out[table->nkey]. An insert's key is in new. */
void change_key(const struct change *c, struct val *out);

/* The row's key as one value (key_pack), pointing into the change or into `room`. */
struct val change_packed_key(const struct change *c, struct buf *room);

/* The key as bytes that are equal exactly when the keys are the same (val_same per column). */
void change_key_bytes(const struct change *c, struct buf *out);

/* Turns a change round in place, into the one that takes it back: old and new change places, but the key of an update
 * stands in old, whichever way it goes. */
void change_invert(struct change *c);

/* For messages: "table key", e.g. "contact 'A-17'"; valid until some calls after. */
const char *change_show(const struct change *c);

#endif
