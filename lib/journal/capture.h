/* capture: the triggers that note every change of the captured tables in the journal: attach, detach, check. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include "base/buf.h"
#include "sql/db.h"

/* What attach has to tell. */
struct capture_report {
    struct buf text; /* lines */
    bool lost;       /* changes were made that the journal does not hold: copies must be extracted anew */
};

/* Captures the tables named, or with ntable 0 all that have a primary key. Inside the caller's write transaction; makes
 * the toolkit's tables (meta_init) if they are not there, and upgrades those of an older format (upgrade_tables). What is captured rightly already stays untouched; layouts that
 * changed are recorded anew, and rows with something in an added column are journalled as updates of it. Refuses
 * (ERR_REFUSED) what cannot be captured. The report, if it is not NULL, is filled; its text is the caller's to free. */
int capture_attach(struct db *db, const char *const *table, size_t ntable, struct capture_report *report);

/* Takes the triggers away, in one transaction. The journal and the marks of its readers stay; the next attach begins a
 * new epoch. */
int capture_detach(struct db *db);

/* Refuses (ERR_REFUSED) when a captured table is no longer captured whole: columns or triggers changed, or a trigger of
 * the application's was made after ours and so fires before them. */
int capture_check(struct db *db);

/* Empties the tables in which triggers keep rows that REPLACE may delete. To be called, in the same transaction, by
 * whoever changes captured tables without triggers or removes entries from the journal. */
int capture_forget(struct db *db);

/* Calls fn for each table of the application: what is amiss with its capture ("" for nothing), or why it is not captured.
 * Stops at the first nonzero result and returns it. */
typedef int capture_each_fn(void *ctx, const char *table, bool captured, const char *amiss);
int capture_each(struct db *db, capture_each_fn *fn, void *ctx);

/* The same for captured tables that are no longer there. */
int capture_each_gone(struct db *db, capture_each_fn *fn, void *ctx);

#endif
