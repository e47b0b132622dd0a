/* rules: random rules of every form that a package may have, or may not. All are malloc'd. */
#ifndef RULES_H
#define RULES_H

#include "plot.h"

/* A random column, and a random value as SQL. */
const char *rules_column(void);
const char *rules_value(void);

/* An arm of a rule for table t that the router follows from changes. */
char *rules_followed(const struct history *h, int t);

/* One that it evaluates whole. *alone: it cannot be an arm beside others. */
char *rules_whole(const struct history *h, int t, bool *alone);

/* One that it must refuse. */
char *rules_refused(const struct history *h, int t);

/* A time filter. */
char *rules_keep(void);

#endif
