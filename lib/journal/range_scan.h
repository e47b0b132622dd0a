/* range_scan: one pass over a range of the journal: which tables are in it, and whether a table's entries stand in the order
 * of its key already, as those of one statement over many rows mostly do. */
#ifndef RANGE_SCAN_H
#define RANGE_SCAN_H

#include "journal/journal.h"

struct range_scan {
    struct journal_table *layout; /* all that the journal knows */
    size_t n;
    struct range_scanned *of; /* per layout */
};

/* Knows the layouts, and as yet of no entries. */
int range_scan_open(struct range_scan *s, struct db *db);
void range_scan_close(struct range_scan *s);

/* Passes over (after, upto]. */
int range_scan_take(struct range_scan *s, struct db *db, int64_t after, int64_t upto);
bool range_scan_touched(const struct range_scan *s, const char *table);
int64_t range_scan_ordered(const struct range_scan *s, const char *table); /* for journal_net_some */

#endif
