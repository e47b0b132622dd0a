/* consumer: who reads the journal, and up to where each has it safely. */
#ifndef CONSUMER_H
#define CONSUMER_H

#include "sql/db.h"

/* The reader meant when none is named. */
#define PEER_DEFAULT "default"

struct consumer {
    char *name;
    int64_t mark; /* everything up to this number is safe with it */
};

/* All of them, by name: those that acknowledged something, "the router" where a package is loaded, "the server" on a
 * node's copy. consumer_list_free gives them back. */
int consumer_list(struct db *db, struct consumer **out, size_t *n);
void consumer_list_free(struct consumer *p, size_t n);

/* A peer's mark; 0 for one that is not known yet. */
int consumer_mark(struct db *db, const char *name, int64_t *mark);

/* Sets it, in the journal's epoch now, making the peer known. */
int consumer_set(struct db *db, const char *name, int64_t mark);

/* Whether the mark is of an epoch that is over: what was changed between the two the journal may not have. 1, 0, -1. */
int consumer_stale(struct db *db, const char *name);

/* Refuses (ERR_REFUSED) a position from which the journal cannot be read on without a gap: beyond its end, which means
 * that the database was restored from a backup, or before what trim has left. `who` is for the message. */
int consumer_check(struct db *db, const char *who, int64_t mark);

/* Deletes the entries that all peers have, in the caller's transaction, but for the newest one: numbers must never come
 * again. *removed tells how many; *holder is the peer that is furthest behind, its name to free, NULL without peers, when
 * nothing is deleted. */
int consumer_trim(struct db *db, int64_t *removed, struct consumer *holder);

#endif
