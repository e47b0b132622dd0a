/* range_scan: one pass over a range of the journal: which tables are in it, and whether a table's entries stand in the order
 * of its key already, as those of one statement over many rows mostly do. */
#ifndef RANGE_SCAN_H
#define RANGE_SCAN_H

#include "journal/journal.h"

struct survey {
    struct journal_table *layout; /* all that the journal knows */
    size_t n;
    struct surveyed *of; /* per layout */
};

/* Knows the layouts, and as yet of no entries. */
int survey_open(struct survey *s, struct db *db);
void survey_close(struct survey *s);

/* Passes over (after, upto]. */
int survey_take(struct survey *s, struct db *db, int64_t after, int64_t upto);
bool survey_touched(const struct survey *s, const char *table);
int64_t survey_ordered(const struct survey *s, const char *table); /* for journal_net_some */

#endif
