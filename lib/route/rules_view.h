/* rules_view: what the rules of the loaded packages read: as text, and as a graph. */
#ifndef RULES_VIEW_H
#define RULES_VIEW_H

#include "base/buf.h"
#include "sql/db.h"

/* Appends the packages, a line for each object: who sees it, and which tables say so. dot: as a graph in the language of
 * dot(1) instead, an arrow from what is read to what it decides about. */
int rules_view(struct db *db, bool dot, struct buf *out);

#endif
