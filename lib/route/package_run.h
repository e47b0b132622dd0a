/* package_run: a package as a run sees it: its objects, those it had before, their rules analysed. */
#ifndef PACKAGE_RUN_H
#define PACKAGE_RUN_H

#include "route/object_delta.h"

struct plan {
    struct package *package;
    size_t n;
    struct viewed *viewed; /* parents first; those that are gone last */
    struct object *old;    /* the objects that are gone */
    size_t nold;
    bool routed; /* by this run */
};

/* All loaded packages with their rules, at that time. NULL with *n 0 when there are none. */
int plans_open(struct db *db, struct images *im, const char *now, struct plan **out, size_t *n);
void plans_close(struct plan *p, size_t n);

/* Whether a definition is another than in the run before. */
bool plan_defined_anew(const struct plan *p);

/* After the run, inside its transaction: what is held is what the definitions say. */
int plan_settle(struct db *db, const struct plan *p);

#endif
