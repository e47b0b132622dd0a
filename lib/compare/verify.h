/* verify: the digests of single rows, written as an archive of keys by one side and compared with the rows that the
 * other holds, in memory that does not grow with the rows. What differs is named; nothing is changed. */
#ifndef VERIFY_H
#define VERIFY_H

#include "compare/scope.h"
#include "journal/digest.h"

/* The rows held here, or by the node; of all tables, or of those named. */
struct verify_of {
    const char *node;
    bool at; /* only if they are what archive `number` left (at_archive_open) */
    int64_t number;
    char *const *name;
    size_t nname;
    bool whole; /* verify_write: the columns of the rows in the place of their hash */
};

/* Their digests, table by table, into a zeroed *d. In the caller's read transaction, as what follows. */
int verify_digest(struct db *db, const struct verify_of *of, struct digest *d);

/* Writes (key, hash) of them, or the whole rows, as an archive of keys (archive/dx.h, sql/changekey.h), with the number if it
 * was asked for. */
int verify_write(struct db *db, const struct verify_of *of, int fd, const char *name);

enum proof_what {
    PROOF_DIFFERS,
    PROOF_HERE,  /* only here */
    PROOF_THERE, /* only in the archive */
    PROOF_WHATS
};

/* What a comparison finds, by table. */
struct verify {
    void (*row)(void *ctx, const struct table *keys, const struct val *key, enum proof_what what);
    void (*table)(void *ctx, const char *table, int64_t alike,
                  const int64_t count[PROOF_WHATS]); /* after its rows */
    void (*lone)(void *ctx, const char *table,
                 enum proof_what what); /* PROOF_DIFFERS: other columns, or another key */
    void *ctx;
};

/* Compares the rows held here with the archive of keys at `path` ("-": stdin): all tables of either, or those named.
 * When the archive has the epoch of a numbering, only if the copy here stands at it, in the same numbering (ERR_AGAIN, ERR_REFUSED). */
int verify_compare(struct db *db, const char *path, char *const *name, size_t nname, const struct verify *p);

#endif
