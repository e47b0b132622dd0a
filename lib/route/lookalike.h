/* lookalike: columns that look like references to another object's rows, by name, type and values, where neither the schema nor the
 * package says so. */
#ifndef LOOKALIKE_H
#define LOOKALIKE_H

#include "nodes/package.h"

struct lookalike {
    const struct object *object; /* of the package that was looked at */
    char *column;
    const struct object *to;
    int64_t values, found; /* different values that were looked at, and how many of them are keys there */
};

/* Those of the package's objects: columns that no foreign key, `via` or `references` mentions, and whose best match is
 * an object that nodes hold. At most 2000 rows of a column are read. */
int lookalike_find(struct db *db, const struct package *p, struct lookalike **out, size_t *n);
void lookalike_free(struct lookalike *l, size_t n);

/* The line of package.conf that declares an object's, those that it declares already among them:
 * "references = a -> x, b -> y". Only those for which `wanted` is true (NULL: all); nothing where there is none. */
typedef bool lookalike_wanted(const struct lookalike *l);
void lookalike_line(struct buf *out, const struct object *o, const struct lookalike *l, size_t n,
                    lookalike_wanted *wanted);

/* Refuses a package whose rows may get other keys (keys = rekey, duplicates = adopt) while columns that look like
 * references to them are neither declared nor excluded: after that they would point to other rows. */
int lookalike_check(struct db *db, const struct package *p, const char *directory);

#endif
