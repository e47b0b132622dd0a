/* rule_text: rules of package.conf put together from others: a SELECT of (node, value) pairs becomes one of (node, key) pairs of
 * the rows that have the value in a column. */
#ifndef RULE_TEXT_H
#define RULE_TEXT_H

#include "base/buf.h"
#include "data/table.h"

/* Appends the arms of the rule to `out`, joined by UNION ALL: SELECT node, KEY OF t ... JOIN t ON column = value for each
 * arm of `sql`, which yields the node and as many values as there are columns. keep: a condition on rows of the table
 * `from`, whose key the values are, or ""; the rows that fail it are left out. *n counts the arms. A rule that cannot be
 * joined so is refused: NULL, or why in words to free. */
char *rule_text_join(struct buf *out, size_t *n, const char *sql, const struct table *t, char *const *column,
                     size_t ncolumn, const struct table *from, const char *keep);

/* Appends the rule as it is, as further arms. */
void rule_text_add(struct buf *out, size_t *n, const char *sql);

/* The rule that yields every row of the table for every node. */
char *rule_text_all(const struct table *t);

#endif
