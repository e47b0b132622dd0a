/* fk_optimistic: a row is deleted although another still refers to it, because that one has a deferred update that moves
 * it away. What was deleted so is remembered; settle.c takes it back where the update fails. */
#ifndef FK_OPTIMISTIC_H
#define FK_OPTIMISTIC_H

#include "apply/merge_context.h"

struct optimistic_delete {
    struct target *target;
    struct val *row; /* its values; owned */
};

/* A zeroed one allows nothing. */
struct fk_optimistic {
    bool on;              /* deletes are allowed */
    bool wanted;          /* one was asked for */
    struct rowset broken; /* rows that must not be deleted so: the other row could not move */
    size_t n;
    struct optimistic_delete *deleted; /* in this attempt */
};

/* Whether the row (all its values, of that target) may be deleted while a row with a deferred update refers to it. */
bool fk_optimistic_allows(struct apply_context *w, struct target *t, struct val *row);

/* After an attempt: adds to `broken` each row that is gone while another refers to it. Whether there was one: 1, 0, -1. */
int fk_optimistic_find_broken(struct apply_context *w);

/* Forgets what this attempt has deleted. */
void fk_optimistic_forget(struct fk_optimistic *s);

#endif
