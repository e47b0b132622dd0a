/* diffout: what a comparison writes: plans and a new base, archives of kind keys that appear whole or not at all. */
#ifndef DIFFOUT_H
#define DIFFOUT_H

#include "data/change.h"

struct diff_out;

/* An archive that will be `path`; an empty one is written only if asked for, else a file that is there is removed.
 * path NULL: what is added goes nowhere. */
struct diff_out *diff_out_new(const char *path, bool even_empty);

/* Opens it, for rows of these tables. */
int diff_out_begin(struct diff_out *o, const struct table *const *table, size_t n);

/* Adds a row: before and after as (key, change key), NULL where there is none. */
int diff_out_add(struct diff_out *o, const struct table *keys, enum change_op op, const struct val *before,
                 const struct val *after);

/* Ends it; keep false, or a failure: nothing is replaced. Frees o. */
int diff_out_close(struct diff_out *o, bool keep);

#endif
