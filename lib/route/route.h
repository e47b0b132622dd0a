/* route: one run of the router: every node's copy from the server's view at one position of the journal to that at
 * another. */
#ifndef ROUTE_H
#define ROUTE_H

#include "sql/db.h"

/* Makes the router's own tables, if not there. In the caller's transaction. */
int route_init(struct db *db);

struct object;

struct route {
    const char *docking; /* the docking directory, or NULL (route/outbox.h says which) */
    const char *now;     /* the time of the run, "YYYY-MM-DD HH:MM:SS"; NULL: the clock's */
    int log;             /* descriptor of the archive that says what changed, or -1 */
    int64_t
        suspend_after; /* archives that may wait for a node before what follows is set aside; 0: any number */
    const char *node;  /* when set: the node's archives that it has not applied go to `out` */
    const char
        *extract; /* when set: a snapshot for this node goes to `out`, with a numbering of its own. A copy
                          * that is in use goes on until the new one reports back (nodes/offer.h) */
    char *const
        *copies; /* when set: the same for these nodes, names ascending, in one pass; into/NODE.dx ... */
    size_t ncopies;
    const char *into;
    bool renumber; /* with extract: the numbering before is over at once, whatever is in use */
    int out;
    int (*accept)(struct db *db,
                  void *ctx); /* NULL, or asked in the transaction that records the run: -1 after fail()
                                              * undoes it, nothing is routed */
    void *ctx;
    const char *sign; /* the private key, in a file, with which archives are signed, or NULL */
    void (*took)(void *ctx, const char *package, const struct object *o,
                 double seconds);       /* hears what an object took, in the run that was recorded; or NULL */
    void (*tell)(const char *fmt, ...); /* hears of what is set aside, when it is new; NULL: nobody does */
};

struct route_done {
    int64_t after, upto;          /* of the journal */
    int64_t moved, changes;       /* rows whose audience changed; changes encoded, each once */
    int64_t archives, statements; /* written; statements of rules that ran */
    int64_t aside;                /* objects, rows and nodes that are set aside now (route/set_aside.h) */
    int64_t handed;               /* with `node`: archives in `out`; 0: one that changes nothing */
    int64_t steps;                /* db_steps of the run */
};

/* Runs the router. What it fails on, an object, a row or a node, is set aside (done->aside), and all else is done: the next
 * run tries it again. Nothing has changed when the run itself fails (ERR_REFUSED, ERR_BUSY with the holder, ...). */
int route_run(struct db *db, const struct route *r, struct route_done *done);

/* Loads a package (the caller's write transaction): analyses its rules, and calls `tell` with a line for each that
 * will be evaluated whole, or that lacks an index. */
int route_load(struct db *db, const char *directory, void (*tell)(const char *fmt, ...));

#endif
