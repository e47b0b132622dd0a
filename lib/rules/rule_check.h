/* rule_check: a rule's text cut into arms, and its words judged: what it may not say, and what makes it be evaluated
 * whole. */
#ifndef RULE_CHECK_H
#define RULE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* The arms of the UNIONs at top level, without DISTINCT; texts and array to free. A rule that must stay whole
 * (EXCEPT, WITH ...) is one arm. */
char **rule_arms(const char *sql, size_t *n);

/* 0, or -1 (ERR_REFUSED) naming the word that no rule may hold, and the remedy. */
int rule_allowed(const char *sql);

/* The same for a time filter, which is a condition on the row's own columns: it asks no table, and leaves its
 * parentheses alone. */
int rule_keep_allowed(const char *keep);

/* Whether tables are joined by the names that their columns share (USING, NATURAL). SQLite does not report that these
 * columns are read. */
bool rule_joins_by_name(const char *sql);

/* Why the arm can only be evaluated whole, as text to free; NULL when it need not. */
char *rule_whole(const char *sql);

#endif
