/* timestamp: the values that say which of two rows is newer: times as SQLite's date functions read them, numbers of
 * seconds, or a counter. */
#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include "data/val.h"

#include <stdbool.h>

/* Whether the value can tell how new its row is: text or a finite number, and no time more than `ahead` seconds from now.
 * Texts are times where they begin like 2026-11-28 or 2026-11-28 12:30; numbers where they are such as seconds or
 * milliseconds since 1970, or Julian days, of the years 2001 to 5138; other texts and numbers are counters. */
bool timestamp_past(const struct val *v, int64_t ahead);

/* Whether a is later than b, or greater where both are counters. Never where the two are not of one kind: times or
 * counters, text or numbers. */
bool timestamp_later(const struct val *a, const struct val *b);

#endif
