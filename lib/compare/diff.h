/* diff: what two sides must do to agree: an ordered three-way merge of (key, change key) with what they agreed on
 * last, object by object, in memory that does not grow with the rows.
 *
 *   base   mine       theirs       what is to be done
 *   b      b          b            nothing
 *   b      changed    b            update (or delete) theirs; and the other way round
 *   b      x          x            nothing: both made the same change (or deleted the row)
 *   b      x          y            conflict (one of them may be a delete): left alone
 *   none   x          none         insert into theirs; and the other way round
 *   none   x          x            nothing
 *   none   x          y            conflict
 *
 * The new base holds what is equal on both sides now, and of all other rows what the old base said: what was not
 * done is found again the next time. */
#ifndef DIFF_H
#define DIFF_H

#include "compare/diffside.h"
#include "compare/spec.h"

/* What happened to a row on one side since the base. */
enum diff_what { DIFF_SAME, DIFF_INSERTED, DIFF_UPDATED, DIFF_DELETED };

enum diff_guard { GUARD_NONE, GUARD_EMPTIED, GUARD_DELETES };

/* One object, counted. Arrays by the side on which it is to be done. */
struct diff_counts {
    const char *table;
    bool initial; /* the base knows nothing of it */
    int64_t rows[SIDES], base, agreed, conflicts;
    int64_t inserts[SIDES], updates[SIDES], deletes[SIDES];
    enum diff_guard guard[SIDES]; /* what forbids the deletes on that side */
};

struct diff_options {
    const char
        *plan[SIDES];     /* where the plan for each side goes, or NULL; a plan of nothing is not written */
    const char *new_base; /* where the new base goes, or NULL */
    int64_t max_deletes;  /* of one object on one side; -1: no such limit */
    int max_percent;      /* the same in per cent of the object's rows in the base; 100: no such limit */
    int64_t free_deletes; /* max_percent does not count up to so many */
    const char *approve;  /* "OBJECT:N,...": N deletes of this object are what is wanted; or NULL */
    void (*conflict)(void *ctx, const struct table *keys, const struct val *key,
                     const enum diff_what what[SIDES]);
    void (*counted)(void *ctx, const struct diff_counts *n); /* after each object */
    void (*only)(void *ctx, int side, const char *table);    /* a table that the other side does not have */
    void *ctx;
};

/* Compares; base may be NULL. 0, or -1: with ERR_GUARD when an object with rows in the base is empty on one side, or
 * deletes go over a limit (all objects have been counted then); no file is written on failure. */
int diff_compare(struct diff_side *const side[SIDES], struct diff_side *base,
                 const struct diff_options *options);

#endif
