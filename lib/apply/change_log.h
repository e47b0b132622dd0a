/* change_log: what an apply really changed: counted, journalled with its origin, and kept for taking it back. */
#ifndef CHANGE_LOG_H
#define CHANGE_LOG_H

#include "apply/quarantine_due.h"
#include "apply/target.h"
#include "apply/trigger_effects.h"
#include "journal/journal.h"

struct change_log_count {
    int64_t inserted, updated, deleted;
    int64_t
        replaced; /* by changes of the log's `sender`: of those updated and deleted, and of those that wait */
};

struct change_log {
    struct db *db;
    struct journal_writer *journal;   /* NULL: not journalled */
    const char *origin;               /* for the journal; NULL: made here */
    const char *sender;               /* whose changes are counted apart; NULL: nobody's */
    struct trigger_effects *triggers; /* what they write is noted, too; NULL: none does. The log's own */
    struct quarantine_due *due;       /* which is to know of inserts; NULL: none. Not the log's */
    int (*made)(void *ctx, struct target *t,
                const struct change *c); /* hears of each change; NULL: nobody does */
    void *made_ctx;
    bool undo; /* kept in temp.dx_undo */
    struct stmt *keep;
    struct change_log_count *count; /* per target */
    size_t n;
};

/* journal: whether the database's journal gets the changes. Inside the transaction. */
int change_log_begin(struct change_log *e, struct db *db, bool journal, bool undo);
void change_log_end(struct change_log *e); /* frees; safe on a zeroed one */

/* Whether changes must be noted whole: an update with the old values of what it changes, a delete with the whole row. */
bool change_log_wants_old(const struct change_log *e);

/* A change of the sender's could not be made yet: it counts as if it had, where it replaces something. */
void change_log_waits(struct change_log *e, const struct target *t, const struct change *c,
                      const char *origin);

/* One change was made. */
int change_log_note(struct change_log *e, struct target *t, const struct change *c);

/* Writes an archive that takes back what was noted, newest first, to a file that replaces `path`. */
int change_log_write_undo(struct change_log *e, struct targets *ts, const char *path);

#endif
