/* plot: a random history for the router, before it is played: tables, a package with rules, and steps. */
#ifndef PLOT_H
#define PLOT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { TABLES = 6, NODES = 4, STEPS = 400 };

enum visible { ALL, NONE, RULE, VIA };

/* Every table has columns id, a, b, c. */
struct sim_table {
    char name[16];
    const char *type[4];
    bool composite; /* key (id, a) */
    bool object;    /* routed at all */
    enum visible visible;
    char *arm[4]; /* RULE: of a UNION */
    int narm;
    bool whole;                   /* load must say that the rule is evaluated whole */
    const char *glue;             /* UNION or UNION ALL */
    int parent;                   /* VIA */
    const char *column, *column2; /* column2: to a parent with a composite key */
    char *keep;                   /* time filter, or NULL */
    bool brittle;                 /* its time filter fails on rows with PLOT_POISON in b */
};

/* A value that no rule brings about. */
#define PLOT_POISON "x'baad'"

struct sim_step {
    enum { STEP_SQL, STEP_USER, STEP_ADD, STEP_ROUTE } kind;
    char *text; /* SQL, or the arguments of txnroute node, or the nodes that are away, as digits */
    int day;    /* of STEP_ADD and STEP_ROUTE */
    bool off;   /* taken out while shrinking */
};

struct history {
    uint64_t seed;
    int ntable;
    struct sim_table table[TABLES];
    char *view;                   /* CREATE VIEW v0 (k, u), or NULL */
    const char *list, *list_type; /* a table s0 of this one column, or NULL */
    bool refused;                 /* load must refuse the rule of t0 */
    int nnode, nstep;
    struct sim_step step[STEPS];
};

struct history *plot_make(uint64_t seed);
void plot_free(struct history *h);

/* Appends the schema as SQL, and the package. */
void plot_schema(const struct history *h, struct buf *b);
void plot_package(const struct history *h, struct buf *b);

/* Appends the rows of table t that the node should have on that day, as SQL: SELECT x.* FROM t x WHERE ... */
void plot_view(const struct history *h, int t, const char *node, int day, struct buf *b);

#endif
