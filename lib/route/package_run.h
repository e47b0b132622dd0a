/* package_run: a package as a run sees it: its objects, those it had before, their rules analysed. */
#ifndef PACKAGE_RUN_H
#define PACKAGE_RUN_H

#include "route/object_delta.h"

struct package_run {
    struct package *package;
    size_t n;
    struct object_delta *viewed; /* parents first; those that are gone last */
    struct object *old;          /* the objects that are gone */
    size_t nold;
    bool routed; /* by this run */
    int64_t
        back; /* suspended nodes lack what changed since this position: what was set aside has moved; INT64_MAX */
};

/* All loaded packages with their rules, at that time. NULL with *n 0 when there are none. Objects of which the rule cannot
 * be compiled any more are set aside, and have none; where v->aside is NULL that is a failure. */
int package_runs_open(struct object_deltas *v, struct transition_tables *im, const char *now,
                      struct package_run **out, size_t *n);
void package_runs_close(struct package_run *p, size_t n);

/* Whether a definition is another than in the run before. */
bool package_run_defined_anew(const struct package_run *p);

/* Whether nodes are to get the declaration of a table. */
bool package_run_redeclared(const struct package_run *p);

/* After the run, inside its transaction: what is held is what the definitions say. */
int package_run_settle(struct db *db, const struct package_run *p);

#endif
