/* userkey: whether another row is known to people by the same user key. */
#ifndef USERKEY_H
#define USERKEY_H

#include "apply/target.h"

struct userkey;

/* The user keys of the target's table, as the package tells them: "a, b | c" ("" for none). NULL on failure. */
struct userkey *userkey_open(struct target *t, const char *alternatives);
void userkey_free(struct userkey *u);

/* Whether another row than the one with its key has a user key that the insert tells, compared by the columns' own
 * collations; NULL is nobody's. 1 (userkey_other says which), 0, -1. */
int userkey_taken(struct userkey *u, const struct change *c);
const char *userkey_other(const struct userkey *u);
const struct val *userkey_row(const struct userkey *u); /* only its key is set, in the table's columns */

/* Whether the row in t->now, of the insert's key, has one of its user keys, too. */
bool userkey_same(const struct userkey *u, const struct target *t, const struct change *c);

#endif
