/* value_check: whether the values of a node's change are such as a row of the table can have: a key as its columns store
 * keys, numbers that are numbers, and no more bytes than a row may have. */
#ifndef VALUE_CHECK_H
#define VALUE_CHECK_H

#include "apply/target.h"

/* Sizes in bytes. */
struct value_limits {
    int64_t value; /* of one value */
    int64_t row;   /* of all values of a row together */
};

/* Whether the column would store the value as another one, by its affinity: then the row would be found under another
 * key than the one that the change tells. */
bool value_converted(const struct target *t, size_t column, const struct val *v);

/* Whether the key is one that a row of the table can have. */
bool value_key_sound(const struct target *t, const struct change *c);

/* Whether the values can be such a row's: 1, 0 (*why tells what is wrong), -1. An update is checked with the row as it
 * is here. */
int value_check(struct target *t, const struct change *c, const struct value_limits *most, const char **why);

#endif
