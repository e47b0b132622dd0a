/* explain: says of one row and one node whether the node has it, by which rule, through which rows, since when. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "base/buf.h"
#include "sql/db.h"

/* Appends the answer, in lines. key: the row's key as text, in key order. 1 when the node holds the row, 0 when not,
 * -1 (ERR_REFUSED for an unknown node or table). */
int explain_row(struct db *db, const char *node, const char *table, char *const *key, size_t nkey,
                struct buf *out);

#endif
