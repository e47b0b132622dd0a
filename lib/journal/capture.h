/* capture: the triggers that note every change of the captured tables in the journal: attach, detach, check. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include "base/buf.h"
#include "sql/db.h"

/* What attach has to tell. */
struct capture_report {
    struct buf text; /* lines */
    bool lost;       /* changes were made that the journal does not hold */
    bool left_out;   /* a table with a key cannot be captured, and is not */
};

/* Captures the tables named, or with ntable 0 all that have a key (layout_of). Inside the caller's write transaction; makes
 * the toolkit's tables (meta_init) if they are not there, and upgrades those of an older format (upgrade_tables). What is
 * captured rightly already stays untouched; layouts that changed are recorded again, and rows with something in an added
 * column are journalled as updates of it. Refuses (ERR_REFUSED) a table named, or captured before, that cannot be
 * captured; others are left out. The report, if it is not NULL, is filled; its text is the caller's to free. */
int capture_attach(struct db *db, const char *const *table, size_t ntable, struct capture_report *report);

/* The same for the tables that are captured already, and are still there. */
int capture_again(struct db *db, struct capture_report *report);

/* The same for a captured table that the caller has made again, in the same transaction, having taken care of its rows. */
int capture_renew(struct db *db, const char *table);

/* Journals what is in a captured table already as made here: what its rows hold in a column, where that is not the
 * column's default; or all rows. */
int capture_journal_column(struct db *db, const char *table, const char *column);
int capture_journal_rows(struct db *db, const char *table);

/* Takes the triggers away, in one transaction. The journal and the marks of its readers stay; the next attach begins a
 * new epoch. */
int capture_detach(struct db *db);

/* Refuses (ERR_REFUSED) when a captured table is no longer captured whole: it was made again, its columns or triggers
 * changed, or a trigger of the application's was made after ours and so fires before them. On a node's copy also
 * (ERR_AGAIN) while a table waits to be compared with the server (capture_uncaptured). Costs next to nothing while the
 * schema is that of the last capture_note_whole. */
int capture_check(struct db *db);

/* Notes that all is captured whole in the schema as it is. To be called after capture_check, or after changes of ours to a
 * schema that was found whole, in the caller's write transaction. */
int capture_note_whole(struct db *db);

/* The tables of a node's copy that were changed while they were not captured, by name, and the journal's end at the time
 * when they were captured again: what was changed up to there is to be found by comparison with what the server holds for
 * the node, and capture_compared to be called for each in the transaction that journals it. */
struct uncaptured {
    char *table;
    int64_t upto;
};
int capture_uncaptured(struct db *db, struct uncaptured **out, size_t *n);
void capture_uncaptured_free(struct uncaptured *u, size_t n);
int capture_compared(struct db *db, const char *table);

/* Empties the tables in which triggers keep rows that REPLACE may delete. To be called, in the same transaction, by
 * any code that changes captured tables without triggers or removes entries from the journal. */
int capture_forget(struct db *db);

/* Calls fn for each table of the application: what is amiss with its capture ("" for nothing), or why it is not captured.
 * Stops at the first nonzero result and returns it. */
typedef int capture_each_fn(void *ctx, const char *table, bool captured, const char *amiss);
int capture_each(struct db *db, capture_each_fn *fn, void *ctx);

/* The same for captured tables that are no longer there. */
int capture_each_gone(struct db *db, capture_each_fn *fn, void *ctx);

#endif
