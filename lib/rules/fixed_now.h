/* fixed_now: 'now' in SQL, fixed to one time, so that all of a run happens at one moment. */
#ifndef FIXED_NOW_H
#define FIXED_NOW_H

#include "sql/db.h"

/* The time as SQLite writes it, "YYYY-MM-DD HH:MM:SS" in UTC, in text[MOMENT_ROOM]. */
enum { MOMENT_ROOM = 40 };
void fixed_now_now(char *text);

/* Whether the text is such a time, or a date: SQLite can read it. */
bool fixed_now_valid(struct db *db, const char *text);

/* The SQL with date('now', ...), date(), CURRENT_TIMESTAMP and the like at `now`; to free. Appends to `terms` one
 * "SELECT ..." a line that gives the value of each such term; `now` itself where a term depends on the row. Nothing is
 * appended when the SQL knows no time. */
char *fixed_now_set(const char *sql, const char *now, struct buf *terms);

/* The values of the terms, as one text to free; NULL on failure. Equal texts: time has not moved any term. */
char *fixed_now_bound(struct db *db, const char *terms);

#endif
