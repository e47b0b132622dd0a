/* membership_log: which rows went from one audience to another, run by run, and which archive each run gave each node. */
#ifndef MEMBERSHIP_LOG_H
#define MEMBERSHIP_LOG_H

#include "sql/db.h"

/* Makes the tables, if not there. */
int membership_log_init(struct db *db);

/* In the run's transaction: notes rows of one object that go from one audience to another, by their packed keys, each
 * once. Runs are numbered (dx_meta `routes`): several may stand at one position of the journal. All is noted when the
 * close has returned 0. */
struct membership_moves *membership_log_moves_open(struct db *db, int64_t object, int64_t position,
                                                   int64_t run);
int membership_log_move(struct membership_moves *m, const struct val *key, int64_t old, int64_t new);
int membership_log_moves_close(struct membership_moves *m);

/* The moves of an object after a run, in the order of runs, or the newest run first. next: 1 with a move, the key of
 * which lives until the next call; 0, -1. */
struct membership_log_move {
    int64_t position, run, old, new;
    struct val key;
};
enum { HISTORY_ALL = 0 }; /* all objects */
struct membership_log_past *membership_log_past_open(struct db *db, int64_t object, int64_t run, bool newest);
int membership_log_past_next(struct membership_log_past *p, struct membership_log_move *m);
void membership_log_past_close(struct membership_log_past *p);

/* Forgets an object: another may get its number. */
int membership_log_drop(struct db *db, int64_t object);

/* ... that the node got an archive of the moves behind run `since` up to `run`, of so many changes and bytes, at that
 * time; or a snapshot, which its copy begins with: in place of a digest it has the epoch of the numbering that it begins. */
struct membership_log_archive {
    int64_t node, number, position, since, run, changes, bytes;
    bool snapshot;
    const char *made, *digest;
};
struct membership_log_notes *membership_log_notes_open(struct db *db);
int membership_log_archive(struct membership_log_notes *n, const struct membership_log_archive *a);

/* The node's copy, in the numbering of that epoch, began with the state after that archive. */
int membership_log_begins(struct db *db, int64_t node, int64_t number, const char *epoch);

/* The digest of the node's archive of that number, to free; "" when it is not known (any more). */
int membership_log_follows(struct membership_log_notes *n, int64_t node, int64_t number, char **digest);
void membership_log_notes_close(struct membership_log_notes *n);

/* The same, asked once, of a database that may have no router. */
int membership_log_digest(struct db *db, int64_t node, int64_t number, char **digest);

/* ... and forgets, now and then, what is long past, but nothing behind `keep`. The journal was routed from `after` to
 * `upto`. */
int membership_log_forget(struct db *db, int64_t after, int64_t upto, int64_t keep);

/* What waits for a node beyond archive `applied`: archives, changes, bytes, and when the oldest was made (NULL: none;
 * to free). */
struct membership_log_waiting {
    int64_t archives, changes, bytes;
    char *oldest;
};
int membership_log_waiting(struct db *db, int64_t node, int64_t applied, struct membership_log_waiting *w);

/* The newest time at which the node gained or lost the row. 1, 0 when it is not known, -1. */
struct membership_log_entry {
    bool gained;
    int64_t position, run;
    int64_t archive; /* that carried it; 0: none, yet, or any more */
};
int membership_log_of(struct db *db, int64_t node, int64_t object, const struct val *key,
                      struct membership_log_entry *e);

/* The run of the router that made that archive of the node: 1, 0 where the archive is not known (any more), -1. */
int membership_log_run(struct db *db, int64_t node, int64_t archive, int64_t *run);

/* The newest run that made an archive, for any node, more than so many days ago; 0: none. */
int membership_log_run_before(struct db *db, int64_t days, int64_t *run);

/* Calls fn for each row of the object that the node gained or lost after that run, in that order; the key (packed) lives
 * until fn returns. Stops at fn's first nonzero result: -1. */
typedef int membership_log_fn(void *ctx, const struct val *key, bool gained);
int membership_log_since(struct db *db, int64_t node, int64_t object, int64_t run, membership_log_fn *fn,
                         void *ctx);

/* Whether the copy that began with a snapshot of that epoch was made by this database: 1; 0 when it was not, so that the
 * database was restored from a backup since; -1. 1 where it is not known: older releases did not note it. */
int membership_log_knows(struct db *db, int64_t node, const char *epoch);

/* The snapshot that the node's copy began with. 1, 0 when it is not known, -1. */
int membership_log_snapshot(struct db *db, int64_t node, struct membership_log_archive *a);

#endif
