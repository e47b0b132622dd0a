/* object_delta: an object in a run, and SQL about its rows. The tables of a run are those of moves.h, next_audience.h and
 * row_requests.h. */
#ifndef OBJECT_DELTA_H
#define OBJECT_DELTA_H

#include "nodes/audience.h"
#include "nodes/membership_log.h"
#include "route/declare.h"
#include "rules/rule.h"

/* How an object's rows were held before the run. */
enum view_was {
    WAS_SAME,  /* as its definition says */
    WAS_NONE,  /* not at all */
    WAS_WHOLE, /* by everybody, none named */
    WAS_MEMBER /* row by row (nodes/membership.h), under another definition */
};

/* An object in a run. */
struct object_delta {
    const struct object *object;
    struct rule *rule;           /* NULL when gone */
    struct object_delta *parent; /* of VISIBLE_VIA */
    enum view_was was;
    bool gone;   /* no longer in the package */
    bool fresh;  /* every held row is sent whole: more columns travel than before */
    char *bound; /* the values of its time terms in the run before; NULL: none */
    char *bound_now;
    size_t place; /* parents first */
    struct declaration
        declared;    /* how its table is made; none of an object that is gone, or travels to nobody */
    bool redeclared; /* otherwise than in the run before, so that nodes get the declaration */
    bool aside;      /* set aside in this run (route/set_aside.h): it is left as it was */
    bool retry;      /* a run before set it aside: nodes have its rows as of then, */
    int64_t since, since_run; /* ... that position of the journal, and that run; else those before this run */
    bool owed;                /* single rows of it are set aside */
    double seconds;           /* that it took in this run */
    bool unread;              /* set aside, and its table cannot be read */
};

/* What the views of one run share. */
struct object_deltas {
    struct db *db;
    struct audiences *audiences;
    struct row_classes *classes; /* route/row_class.h */
    struct set_aside *aside;     /* what the run sets aside */
    int64_t statements;          /* of rules that ran, for tests and -v */
};

/* Makes the temporary tables that a run shares; moves_make makes those of one object. */
int object_delta_init(struct db *db);

/* Whether the object's definition, or the time it looks at, is another than in the run before. */
bool object_delta_redefined(const struct object_delta *w);

/* Whether nodes have rows of the object, or are to get some. */
bool object_delta_travels(const struct object_delta *w);

/* Sets the object aside, for the reason that was recorded last: nothing of it has moved. -1 when that is trouble that no
 * object is to blame for. */
int object_delta_set_aside(struct object_deltas *v, struct object_delta *w);

/* Appends the rows of a source (the object's table, or what takes its place) that the time filter keeps, as they stand in
 * a FROM. The filter may name the table: there it goes by the table's own name. */
void object_delta_kept(struct buf *sql, const struct object_delta *w, const char *source);

/* Appends the packed key that an arm yields; that of the parent which a row under the alias names; and a condition
 * that this parent is the one of a packed key. */
void object_delta_arm_key(struct buf *sql, const struct object_delta *w);
void object_delta_parent_key(struct buf *sql, const struct object_delta *w, const char *alias);
void object_delta_where_parent(struct buf *sql, const struct object_delta *w, const char *alias,
                               const char *key);

/* Appends SQL for the audience that a row of the object has after the run, by an SQL expression of its packed key. */
void object_delta_audience(struct buf *sql, const struct object_delta *w, const char *key);

#endif
