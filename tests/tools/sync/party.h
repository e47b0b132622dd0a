/* party: the server or a client in a run of a history, and what its journal says it did. */
#ifndef PARTY_H
#define PARTY_H

#include "base/buf.h"
#include "history.h"
#include "sql/db.h"

/* A change as somebody's journal told it, one column at a time. */
struct entry {
    char table[4];
    struct buf key; /* val_put of its packed key */
    int column;     /* or -1: the row was deleted */
    struct buf old, new;
    int64_t seq, applied; /* the newest archive that its maker had applied */
};

struct entries {
    struct entry *e;
    size_t n;
    int64_t upto; /* of the journal, gathered so far */
};

struct party {
    struct db *db;
    int generation; /* numbering: how often its copy was made again */
    bool stale;     /* made again on the server, the snapshot is not applied yet */
    struct entries did;
    int64_t *cut; /* where its uploads end, in its journal */
    size_t ncut;
};

struct run {
    const struct history *h;
    struct party server, client[NODES];
};

struct party *party_of(struct run *r, int node);

/* The name of its database, to be freed. */
char *party_database(int node);

/* What the SQL (its %d is the node) yields; -1 on failure. */
int64_t party_number(struct db *db, const char *sql, int node);

/* Another number once somebody else has written to its database. */
int64_t party_version(struct party *p);

/* Takes down what it did since the last time: after each transaction, and before the journal is trimmed. */
int party_gather(struct party *p);
void party_forget(struct entries *all);

/* Notes where the uploads end that are recorded now. What a new numbering made one again is one. */
void party_note_cuts(struct party *p);

#endif
