/* history: what happens to a server and its clients: a schema, a package, and steps, chosen by a seed. */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stdint.h>

enum { TABLES = 5, NODES = 8, STEPS = 600, COLUMNS = 8, STATEMENTS = 4, USERS = 3 };
enum { SERVER = -1 };

/* Columns: id; own, the user who sees it; p, a reference; x, y; u, perhaps unique; at, a time; h, perhaps hidden. */
extern const char *const history_column[COLUMNS];
enum { ID, OWN, P, X, Y, U, AT, H };

enum visible { ALL, RULE, FAR, VIA };

/* Whether an insert writes into the parent's row: not at all, on the server only, on the copies as well. */
enum triggers { TRIGGER_NOT, TRIGGER_SERVER, TRIGGER_BOTH };

struct sim_table {
    char name[16];
    bool integer, without_rowid, unique, hides;
    bool ranges;  /* AUTOINCREMENT, and each copy has a range of keys */
    bool subtype; /* its key is its reference to its parent: 1:1 */
    enum triggers triggers;
    bool told; /* the package says what p refers to, the schema does not */
    enum visible visible;
    int parent;                                          /* what p refers to, or -1 */
    const char *action;                                  /* of the declared reference; NULL: not declared */
    const char *write, *conflict, *deletes, *duplicates; /* duplicates: NULL when u is no user key */
    const char *keys;
};

enum hurt { HURT_NOT, HURT_STOP, HURT_KILL, HURT_DISK };
enum kind {
    STEP_SQL,
    STEP_UPLOAD,
    STEP_MERGE,
    STEP_ROUTE,
    STEP_APPLY,
    STEP_TRIM,
    STEP_USER,
    STEP_EXTRACT,
    STEP_ALLOW,
    STEP_RESOLVE
};

struct sim_step {
    int kind; /* enum kind, or site-sim's enum act */
    int node; /* or SERVER */
    char *sql[STATEMENTS];
    int which;  /* an archive: how it is chosen */
    int damage; /* how it is delivered */
    int place;  /* where it is damaged; the user */
    enum hurt hurt;
    int at;      /* which durable step, microseconds, or bytes */
    bool device; /* it is about the node's handheld */
    bool off;    /* taken out while shrinking */
};

struct history {
    uint64_t seed;
    bool colliding;  /* integer keys are handed out twice */
    bool smooth;     /* no stage is hurt */
    bool categories; /* rows of the first table have categories, of which a handheld shows one */
    int ntable, nnode, nstep;
    struct sim_table table[TABLES];
    bool enforced; /* the application enforces its references */
    struct sim_step step[STEPS];
    int token; /* values and keys that are new */
};

/* How many columns of the table somebody has: a node, or the SERVER. */
int history_columns(const struct sim_table *t, int who);

/* Chooses the tables and what the package says of them. */
void history_tables(struct history *h);

/* The history of a seed, with 3 to most_nodes nodes. To be freed. */
struct history *history_make(uint64_t seed, int most_nodes, bool colliding, bool smooth);
void history_free(struct history *h);

#endif
