/* base: the file that keeps what two databases agreed on last, an SQLite database of its own. One run at a time has it.
 *
 *   dx_base       name, value: format, pair (the pair's id), run (the newest one), running (one that was begun and may
 *                 have written the sides), digest (of configuration and schema), and of each side its path and the run
 *                 that was noted in it (0: it is never written)
 *   dx_object     the objects that were compared: table, layout
 *   dx_agreed_N   of object N the rows that both have: key, version, content (compare/version.h)
 *   dx_link       object, key in mine, key in theirs, of rows that have two keys
 *   dx_conflict   what both changed, with both rows, and the answer that the next run heeds
 *   dx_issue      what was left for the next run, and why */
#ifndef BASE_H
#define BASE_H

#include "compare/spec.h"
#include "compare/work.h"

struct base_side {
    char *path;
    int64_t run;  /* noted in it, 0: none */
    int64_t mark; /* deletions noted in it up to there are known here (compare/pair_record.h) */
};

struct base {
    struct db *db;
    char *path;
    bool fresh; /* there was none */
    char *pair, *digest;
    int64_t run, running;
    struct base_side side[SIDES];
    size_t nobject;
    struct base_object *object; /* per spec, from base_objects on */
};

struct base_object {
    int64_t id;
    bool initial; /* nothing is known of it */
    bool blind;   /* its keys are known, what its rows were is not: the schema or the configuration changed */
    struct stmt *rows, *again, *put, *drop;
};

/* Opens it for a run, making it when it is not there, or reads it only (write false; NULL when it is not there). NULL
 * with ERR_REFUSED for a file that is no base. Close without base_commit: nothing changed. */
struct base *base_open(const char *path, bool write);
void base_close(struct base *b);

/* A base of nothing that goes with base_close, for a comparison without one. */
struct base *base_none(void);

/* Finds the objects of the specs in it; those that are new are added. renew: what is known of rows is of another schema
 * or configuration: their keys stay. forget: nothing is known any more. */
int base_objects(struct base *b, const struct specs *s, bool renew, bool forget);

/* The rows of an object in the order of their keys: 1 with key, version and content in row, 0, -1. */
int base_rows_begin(struct base *b, size_t object);
int base_rows_next(struct base *b, const struct spec *s, size_t object, struct val *row);

/* The same rows a second time, beside the first. */
int base_again_begin(struct base *b, size_t object);
int base_again_next(struct base *b, const struct spec *s, size_t object, struct val *row);

/* Notes that both have the row with this version and content (or NULL), or that neither has it. */
int base_agree(struct base *b, const struct spec *s, size_t object, const struct val *key,
               const struct val *version, const struct val *content);
int base_drop(struct base *b, const struct spec *s, size_t object, const struct val *key);

/* Rows that have another key in mine. */
int base_link(struct base *b, size_t object, const struct val *mine, const struct val *theirs);
typedef int base_link_fn(void *ctx, size_t object, const struct val *mine, const struct val *theirs);
int base_links(struct base *b, base_link_fn *fn, void *ctx);

/* The conflicts and issues of a run take the place of those before. */
int base_clear_lists(struct base *b);
int base_conflict(struct base *b, const struct specs *s, const struct item *i);
int base_issue(struct base *b, const struct specs *s, const struct item *i, int side);

/* Whether the last run left this row alone. A failure counts as no. */
bool base_has_issue(struct base *b, const struct specs *s, const struct item *i);

/* The answer to the conflict of that row, if both sides still are what they were when it was given: 1 with a byte a
 * column, 'm' or 't' (for a row that one side deleted: the first counts), to free; 0; -1. */
int base_answer(struct base *b, const struct specs *s, const struct item *i, char **answer);

/* Notes that a run begins that may write the sides, and what the run has come to. */
int base_begin_run(struct base *b);
int base_end_run(struct base *b, const char *digest);
int base_commit(struct base *b); /* and goes on in a new transaction */

/* What is in the lists, for people (also for a base that is only read). Values live until the next one. */
struct base_conflict {
    int64_t id;
    const char *table;
    struct table *layout;
    enum what what[SIDES];
    const struct val *key, *row[SIDES]; /* NULL where it was deleted */
    const char *answer;                 /* or NULL */
};
typedef int base_conflict_fn(void *ctx, const struct base_conflict *c);
int base_each_conflict(struct base *b, base_conflict_fn *fn, void *ctx);

struct base_issue {
    const char *table;
    const struct val *key;
    size_t nkey;
    int side; /* on which it was to be done, SIDES for none */
    const char *reason;
};
typedef int base_issue_fn(void *ctx, const struct base_issue *i);
int base_each_issue(struct base *b, base_issue_fn *fn, void *ctx);

/* Gives the conflict an answer, a byte a column of its layout, or takes it away (NULL). ERR_REFUSED for an id that is
 * not there. */
int base_set_answer(struct base *b, int64_t id, const char *answer);

#endif
