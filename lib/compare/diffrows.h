/* diffrows: the keys of a database as an archive, and the full rows that a plan asks for. */
#ifndef DIFFROWS_H
#define DIFFROWS_H

#include "archive/dx.h"
#include "compare/diffset.h"

/* Why a row of the plan does not go on. */
enum diff_issue {
    DIFF_VANISHED,  /* it was to be sent, and is not there any more */
    DIFF_CAME_BACK, /* it was to be deleted, as it was deleted here, and is here again */
    DIFF_DUPLICATE /* it was to be inserted, and another row of the receiver has its user key (compare/diffscreen.h) */
};

/* Told of each: the change as read, and for a duplicate the other row's key. */
typedef void diff_issue_fn(void *ctx, enum diff_issue issue, const struct change *c, const struct val *other);

/* Reads a plan's changes from r (whose head is `plan`) and writes an archive of rows to fd, with the rows as the
 * database, one of the two compared, has them now. 0, or -1. */
int diff_rows(struct db *db, const struct diff_set *set, struct dx_reader *r, const struct dx_head *plan,
              int fd, const char *name, diff_issue_fn *issue, void *ctx);

/* Writes the keys of all objects that conf names (NULL: all tables with a key), as an archive of keys, from one snapshot
 * of the database. left_out hears of each table that cannot be compared. 0, 1 when there is such a table, or -1. */
int diff_keys(const char *path, const struct conf *conf, int fd, const char *name,
              void (*left_out)(const char *line));

#endif
