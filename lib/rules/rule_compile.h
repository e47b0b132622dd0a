/* rule_compile: what a rule of a package reads, and how it can be evaluated. */
#ifndef RULE_COMPILE_H
#define RULE_COMPILE_H

#include "rules/rule.h"

/* Analyses the object's rule and time filter, and notes in the images what they read. `now` is the time of the run.
 * NULL (ERR_REFUSED) with the reason and the remedy when it cannot be evaluated at all. */
struct rule *rule_compile(struct db *db, struct transition_tables *im, const struct object *o,
                          const char *now);

#endif
