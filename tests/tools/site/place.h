/* place: a site in a run of a history of site-sim: the server, the copies, their backups, and the values that were written.
 * The server is SERVER; the copy of node n is file n, and a second copy of that file, used beside it, is file TWINS + n;
 * its device is DEVICES + n, and a second copy of that DEVICE_TWINS + n. */
#ifndef PLACE_H
#define PLACE_H

#include "../sync/history.h"
#include "base/buf.h"
#include "token.h"

enum { TWINS = NODES, DEVICES = 2 * NODES, DEVICE_TWINS = 3 * NODES, FILES = 4 * NODES };

/* Columns that may be added are called z0, z1, z2; tables that may be, e0 and e1. */
enum { ADDED_COLUMNS = 3, ADDED_TABLES = 2 };

/* A value that somebody wrote. */
struct token {
    bool born;
    int origin;  /* the file in which it was written */
    int made;    /* the step */
    bool gone;   /* overwritten or deleted, by somebody who saw it */
    int gone_in; /* in this file */
    bool lost;   /* it went with a file that was put back from a backup, and nobody else had it */
};

struct backup {
    char *path;
    int file, made, hidden;
};

struct place {
    const struct history *h;
    bool there[FILES];
    int restored[FILES]; /* the step in which the file was last put back from a backup */
    struct backup *backup;
    int nbackup;
    struct token *token;
    int ntoken;
    int clock;                   /* the step */
    struct token_set server_had; /* in its tables or its journal since it was last put back from a backup */
    struct token_set kept;       /* in copies that a message asked to be saved */
    int64_t journal_at;          /* read into server_had up to there */
    int complaints;              /* exit codes that were not 0 */
    int nkept;
    int hidden; /* which of z0, z1, z2 the package does not send: bits */
    bool lies;  /* somebody lies in this history */
    bool lied[NODES];
    struct buf seen; /* which rows each node has seen, in histories with a node that lies */
};

/* The database's path; to be freed. The node of a file. */
char *place_path(int file);
int place_node(int file);

struct db *place_open(int file);

/* Whether a table has that column; whether it is one that the package does not send. */
bool place_has_column(struct db *db, const char *table, const char *column);
bool place_hides(const struct place *p, const char *column);

/* Whether there is such a file. */
bool place_has(const struct place *p, int file);

/* Runs statements in one transaction, those that a constraint forbids apart; notes which values came, and which went. */
int place_write(struct place *p, int file, char *const *sql, int n);

/* Notes which values are gone since `before` from a file in which its user changed the schema. */
int place_note_gone(struct place *p, struct db *db, const struct token_set *before);

/* Copies the database as it is to a path. */
int place_copy(int file, const char *to);

/* Keeps a consistent copy; puts the newest but `back` of it in its place. Values that were in nothing else are noted as lost. */
int place_back_up(struct place *p, int file);
int place_restore(struct place *p, int file, int back);

/* Reads on in the server's journal, as a reader for which it is kept until then. */
int place_follow(struct place *p);

/* Every value is on the server, or was overwritten or deleted by somebody who saw it, or lies where a message said. */
int place_account(struct place *p);

void place_free(struct place *p);

#endif
