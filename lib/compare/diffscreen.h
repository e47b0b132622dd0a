/* diffscreen: rows that are about to be inserted, screened by the user keys of who receives them: two people may have
 * entered the same thing under different keys. */
#ifndef DIFFSCREEN_H
#define DIFFSCREEN_H

#include "compare/diffrows.h"

/* Reads an archive of rows (whose head is `rows`) for the database and writes it to fd without the inserts of which
 * another row of the database has a user key: all columns of one of the alternatives equal, none of them NULL. */
int diff_screen(struct db *db, const struct diff_set *set, struct dx_reader *r, const struct dx_head *rows,
                int fd, const char *name, diff_issue_fn *issue, void *ctx);

#endif
