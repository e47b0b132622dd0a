/* spec: what is compared: the objects of two databases, from the configuration and from what each side has.
 *
 * Rows are given in an object's canonical columns: mine's names in mine's order, or those that the configuration gives
 * them. Keys are theirs' keys: where a row has another key in mine (compare/base.h, links), it is translated as mine is
 * read and written. */
#ifndef SPEC_H
#define SPEC_H

#include "base/conf.h"
#include "compare/described.h"

enum { MINE, THEIRS, SIDES };

/* Who wins a conflict. TAKE_ASK: nobody, it waits for an answer. */
enum take { TAKE_ASK, TAKE_MINE, TAKE_THEIRS, TAKE_NEWEST };

/* What a delete does against an update of the row. */
enum delete_policy { DELETE_ASK, DELETE_WINS, DELETE_LOSES };

enum { SPEC_INSERT = 1, SPEC_UPDATE = 2, SPEC_DELETE = 4 };

/* An object on one side. */
struct spec_side {
    char *table;
    char **column; /* per canonical column its name there, or NULL where its value is fixed */
    char **fixed;  /* ... to this SQL literal; NULL elsewhere */
    char *filter;  /* SQL of the rows that count, "" for all */
};

/* Columns that together tell what a row is about. */
struct spec_user_key {
    size_t n;
    size_t *column;
};

/* A column that holds the key of a row of another object. */
struct spec_ref {
    size_t column;
    size_t parent; /* number of the object */
};

struct spec {
    char *name;        /* of the object */
    struct table *row; /* its canonical columns; its name is mine's table */
    size_t *sorted;    /* the columns' numbers in the order of their names (strcmp) */
    struct spec_side at[SIDES];
    size_t nchange; /* the change key, as columns of row; none: a hash of the row is compared */
    size_t *change;
    size_t nchecked; /* in a check of change keys nchange is 0, and the change key has so many columns */
    size_t nuser;
    struct spec_user_key *user; /* alternatives */
    bool keep_duplicates;       /* equal user keys are no issue */
    bool by_column;             /* fields = changed: what both changed in different columns is put together */
    bool
        rekey; /* two new rows with one integer key are two rows: each gets a key of its own on the other side */
    enum take take;
    size_t newest; /* TAKE_NEWEST: the column */
    enum delete_policy deletes;
    unsigned write; /* SPEC_...: what mine may do in theirs */
    size_t nref;
    struct spec_ref *ref;
};

struct specs {
    size_t n;
    struct spec *spec; /* by table name (strcmp) */
    size_t nnote;
    char **note; /* what is not compared, and why, a line each */
    size_t nwarning;
    char **warning; /* what is odd, but compared */
};

/* conf may be NULL: all tables that both have. -1 (ERR_REFUSED) for a configuration that makes no sense, with its line. */
int specs_of(const struct conf *conf, const struct described side[SIDES], struct specs *out);
void specs_free(struct specs *s); /* fine on a zeroed one */

/* The object of that name or table (ASCII case ignored), or NULL. */
const struct spec *specs_find(const struct specs *s, const char *name);

/* What decides whether a base made with other specs still fits: schema and configuration, as 64 hex digits. */
void specs_digest(const struct specs *s, char hex[65]);

/* To bytes for the other side, which needs no more than it reads and writes, and back. */
void specs_put(struct buf *b, const struct specs *s, int side);
bool specs_get(struct wire *w, struct specs *out, int side);

#endif
