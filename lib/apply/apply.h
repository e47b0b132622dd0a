/* apply: applies one archive, whatever its kind, to a database in one transaction. */
#ifndef APPLY_H
#define APPLY_H

#include "apply/apply_context.h"

/* Applies the archive that dx_next has just begun. Everything or nothing: -1 with the database as it was. */
int apply_archive(struct db *db, struct dx_reader *r, const struct dx_head *h, const struct apply_options *o,
                  struct apply_count *count);

/* After a conflict was resolved: does what waited for it in quarantine, as the next archive would. */
int apply_waiting(struct db *db, struct apply_count *count);

#endif
