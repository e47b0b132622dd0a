/* rule: a rule of a package analysed: in which places which tables stand in it, which columns it reads, and whether it
 * can be evaluated from changes (routing: one occurrence at a time) or only as a whole. */
#ifndef RULE_H
#define RULE_H

#include "nodes/package.h"
#include "rules/transition_tables.h"

/* One place in an arm's text where a table is named. */
struct occurrence {
    struct relation *relation;
    size_t at, end; /* its bytes in the arm's SQL */
    bool as;        /* a replacement needs " AS name" */
    int dual;       /* number of the NOT EXISTS term around it, or -1 */
    bool frame;     /* the object's table, as the arm's frame joins it */
    bool anchor;    /* the object's table, where it yields the key */
    char *alias;    /* the name it goes by in the arm's own FROM; NULL elsewhere */
};

/* A term NOT EXISTS (...): its bytes, and those of the word NOT. */
struct dual {
    size_t at, end, word_end;
};

/* An arm of the rule's UNION, in a frame that yields (k0, k1, ..., node): the key as the object's table has it, and
 * the number of the node. */
struct arm {
    char *sql;
    size_t list, keys, list_end, end; /* its own text in it: SELECT [list: node, [keys, list_end) ... end) */
    size_t noccurrence, ndual;
    struct occurrence *occurrence;
    struct dual *dual;
    bool *class_column; /* where the key only names the row: what the arm reads of the anchor; else NULL */
};

/* What a rule reads of one table. */
struct reading {
    struct relation *relation;
    bool *column;
};

struct rule {
    const struct object *object;
    struct relation *relation; /* of the object's table */
    size_t narm, nreading;
    struct arm *arm;
    struct reading *reading;
    bool full_refresh; /* only evaluated over all rows */
    char *why;         /* ... because of this word of it; else NULL */
    char *keep;        /* the time filter at this moment, or NULL */
    struct buf terms;  /* of time (rules/fixed_now.h) */
};

void rule_free(struct rule *r);

/* Appends an arm's SQL with each occurrence replaced: use[i] is NULL for the table as it is now, or the name of the
 * table that stands in. */
void rule_sql(struct buf *sql, const struct arm *a, const char *const *use);

/* Appends the name that stands in for the occurrence, with AS where it needs that. */
void rule_put_name(struct buf *sql, const struct occurrence *o, const char *name);

/* rule_sql for bytes [from, to) of it, with other bytes cut out and text put in their place. Cuts ascend. */
struct cut {
    size_t at, end;
    const char *text;
};
void rule_cut_sql(struct buf *sql, const struct arm *a, const char *const *use, size_t from, size_t to,
                  const struct cut *cut, size_t ncut);

/* Whether something that the rule reads has changed, by what transition_fill found: at all, or in one table. */
bool rule_touched(const struct rule *r);
bool rule_touched_by(const struct rule *r, const struct relation *relation);

/* Why the images of a table that the rule reads could not be filled; NULL: they were. */
const char *rule_broken(const struct rule *r);

#endif
