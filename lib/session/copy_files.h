/* copy_files: the files that a copy's rows name, and what is here of them. LOCAL.db-dx/files holds each under its digest;
 * LOCAL.db-dx/attach has an empty file of the same name for one that was added here, until the server has it. The two
 * directories are all that is known: there is no list of them that could be wrong. */
#ifndef COPY_FILES_H
#define COPY_FILES_H

#include "base/sha.h"
#include "sql/db.h"

#define COPY_FILES_STORE  "files"
#define COPY_FILES_ATTACH "attach"

enum copy_file_state {
    COPY_FILE_HERE,
    COPY_FILE_WAITS,   /* to be sent */
    COPY_FILE_MISSING, /* to be fetched */
    COPY_FILE_OFFERED, /* it can be asked for */
    COPY_FILE_LARGE,   /* larger than what travels */
    COPY_FILE_TYPE     /* of a type that does not travel */
};

struct copy_file {
    char sha[SHA_HEX];
    enum copy_file_state state;
    int64_t size; /* as its row says; -1 where it does not */
    int64_t at;   /* bytes of it that are here, of a transfer that was cut off */
};

struct copy_files {
    struct copy_file *file; /* by digest, each once */
    size_t n;
    bool any; /* the package names files at all */
};

/* What the rows name, and where each is. What is in the store and no row names any more is removed. quick: where nothing
 * has changed since a look that found nothing to move, out is empty, and the look is spared. */
int copy_files_look(struct db *db, const char *spool, bool quick, struct copy_files *out);
void copy_files_free(struct copy_files *f);

/* The file of that digest; NULL. */
struct copy_file *copy_files_find(const struct copy_files *f, const char *sha);
const char *copy_file_state_name(enum copy_file_state s);

/* Adds a file to the copy: the mark in SPOOL/attach comes first, so that the file is never one that nobody wants. */
int copy_files_add(const char *spool, const char *path, char sha[SHA_HEX], int64_t *size);

/* Copies a file, under its digest, into a directory, which is made when absent. expect: refused (ERR_REFUSED) where that is
 * not its digest; NULL. */
int copy_files_put(const char *directory, const char *path, const char *expect, char sha[SHA_HEX],
                   int64_t *size);

/* Removes it if it is what a copy_files_put left that was killed a day ago or more. */
void copy_files_sweep(int dir, const char *name);

/* Asks for the files of a row by its key, or for one by its digest: dx_file_request. Refused when no row names one. */
int copy_files_request(struct db *db, const char *what);

#endif
