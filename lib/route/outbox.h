/* outbox: the docking directory: DOCKING/NODE/outbox/00000001.dx ..., one archive after another for each node.
 *
 * Archives are written as 00000001.dx.new, complete and synced, before the database commits that they were made, and
 * get their names after it. While that goes on a file DOCKING/unfinished is there; the next process that opens the docking directory
 * and finds it gives their names to the archives that the database knows, and removes the others. */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "nodes/node.h"

struct outbox;

/* Opens the docking directory of a database: the one given, or (NULL) that of the last run, or `docking` beside the
 * database where there is one, or else (no run has noted one) DATABASE-docking. Made when absent, in a directory that is
 * there; but refused once archives have been made: the name is wrong, or what waited for nodes is lost. Takes its lock (ERR_BUSY, with the holder; wait:
 * tries for ten seconds), and ends what a crash left. */
struct outbox *outbox_open(struct db *db, const char *docking, const char *holder, bool wait);
void outbox_close(struct outbox *o); /* removes what was not committed; frees the lock; NULL is fine */

/* What dx_meta's `docking` should say so that the next run finds this directory. */
const char *outbox_note(const struct outbox *o);

/* A new file for the node's archive of that number; *name is for messages. The descriptor is the outbox's; -1, or
 * OUTBOX_ALONE where the fault is with this node's directory. */
enum { OUTBOX_ALONE = -2 };
int outbox_begin(struct outbox *o, const struct node *n, int64_t number, const char **name);

/* The file begun last is complete. Nothing is synced yet. */
int outbox_end(struct outbox *o);

/* Syncs all files, so that the database may commit. */
int outbox_sync(struct outbox *o);

/* After the commit: gives the files their names. */
int outbox_commit(struct outbox *o);

/* Copies the node's archives from number `from` on, as far as they are there, to a descriptor, one behind another.
 * Their number in *n. */
int outbox_copy(const struct outbox *o, const char *node, int64_t from, int fd, int64_t *n);

/* Whether the node's archive of that number is still there, not fetched. */
bool outbox_has(const struct outbox *o, const char *node, int64_t number);

/* Removes the node's archives up to a number. Those that are gone already are fine. */
int outbox_remove(const struct outbox *o, const char *node, int64_t upto);

/* Removes archives behind the newest one: of a history that a restored database does not know. */
int outbox_remove_after(const struct outbox *o, const char *node, int64_t newest);

/* The node's archives that are still there: how many, and their bytes, and how many of them have numbers behind `applied`.
 * 0 when there is no such directory. */
struct outbox_files {
    int64_t files, bytes, later;
};
int outbox_waiting(const char *docking, const char *node, int64_t applied, struct outbox_files *f);

/* The docking directory as outbox_open would choose it, to free. */
char *outbox_directory(struct db *db, const char *docking);

#endif
