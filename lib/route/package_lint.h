/* package_lint: what a package would be better for: indexes that its rules want, references that lead out of a view. */
#ifndef PACKAGE_LINT_H
#define PACKAGE_LINT_H

#include "route/package_run.h"

/* Calls `tell` with a line for each statement of the object's rule that would read a table whole when another changes,
 * or would make an index of its own each time. The images are the rule's. */
int package_lint_indexes(struct db *db, const struct object_delta *w, void (*tell)(const char *fmt, ...));

/* ... and for each declared reference that can point to a row that the node does not hold. */
int package_lint_references(struct db *db, const struct package *p, const struct object *o,
                            void (*tell)(const char *fmt, ...));

/* ... and a line for an object whose table has triggers of the application's: what they do at a merge. */
int package_lint_triggers(struct db *db, const struct object *o, void (*tell)(const char *fmt, ...));

/* ... and for each section [files NAME] without an index on its digest. */
int package_lint_files(struct db *db, const struct package *p, void (*tell)(const char *fmt, ...));

/* ... and what the table's own constraints will do to rows that nodes insert and update. */
int package_lint_merges(struct db *db, const struct object *o, void (*tell)(const char *fmt, ...));

#endif
