/* files: what a history says, as SQL and as a package. */
#ifndef FILES_H
#define FILES_H

#include "base/buf.h"
#include "history.h"

/* The column by which a row stands below its parent. */
const char *files_reference(const struct sim_table *t);

/* The triggers that somebody has: the server, or a copy. */
void files_triggers(const struct history *h, int who, struct buf *b);

void files_schema(const struct history *h, struct buf *b);

/* place: which table's permission is another than at first; 0: none's. except: a column of each table that is not sent,
 * either may be NULL. */
void files_package(const struct history *h, int place, const char *const *except, struct buf *b);

/* The handheld.conf of a history with categories. */
void files_handheld(const struct history *h, struct buf *b);

/* The columns that travel, of the row named r. */
void files_columns(const struct sim_table *t, struct buf *b);

/* The condition under which the node sees row `row` of table t; depth: 0. */
void files_seen(const struct history *h, int t, const char *row, int node, int depth, struct buf *b);

#endif
