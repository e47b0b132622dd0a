/* offer: a copy of a node that was made while another copy of it was in use (dx_offer). It is offered: the copy before goes
 * on until the new one reports back, by a session or an upload that states the new epoch. Both hold the same rows at
 * archive `archive`, so that the archives made meanwhile, in the numbering of the copy before, are right for both. */
#ifndef OFFER_H
#define OFFER_H

#include "nodes/node.h"

struct offer {
    const char *epoch; /* of the new copy */
    int64_t archive;   /* the archive whose state it has */
    int64_t rekey;     /* the newest key change that it knows of */
};

/* Notes that a copy in that numbering was given out; an offer to the node is over with that. In the caller's transaction. */
int offer_given(struct db *db, int64_t node, const char *epoch);

/* Whether a copy in the node's present numbering was given out: 1, 0, -1. */
int offer_in_use(struct db *db, const struct node *n);

/* Offers a copy in place of the one before; it replaces an offer that is open. In the caller's transaction. */
int offer_make(struct db *db, const struct node *n, const struct offer *o);

/* The epoch of the offer that is open, to free: 1; 0 when there is none, and where an upload of the copy before has been
 * merged since: the offered copy lacks that. -1 on failure. */
int offer_find(struct db *db, const struct node *n, char **epoch);

/* The copy with that epoch reports back. Where it is the one that is offered, its numbering is the node's from now on, and
 * *n says so: 1; 0 where it is not, -1. In the caller's transaction. */
int offer_accept(struct db *db, struct node *n, const char *epoch);

/* Whether a copy in that numbering was given out or offered here: 1, 0, -1. */
int offer_knows(struct db *db, int64_t node, const char *epoch);

#endif
