/* same: whether two queries, each in its own database, give the same rows. */
#ifndef SAME_H
#define SAME_H

#include "sql/db.h"

/* 1; 0 with the difference in *why ("should hold 3 rows, holds 2; first difference: should be (1, 'a'), is ()"); -1
 * after fail(). The order of the rows is not compared. *n: the rows wanted. */
int same_rows(struct db *wanted, const char *want, struct db *held, const char *have, struct buf *why,
              size_t *n);

/* Appends a row's values, val_put one after another. */
void same_show(struct buf *b, const struct buf *row);

#endif
