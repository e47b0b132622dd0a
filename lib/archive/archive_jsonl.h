/* archive_jsonl: archives as JSON Lines and back. */
#ifndef ARCHIVE_JSONL_H
#define ARCHIVE_JSONL_H

#include "archive/dx.h"

#include <stdio.h>

/* Prints the changes of the archive at hand, a line each (data/jsonl.h). */
int lines_print(struct dx_reader *r, FILE *out);

/* Reads the lines of `in`, keeping them in a temporary file, and when all are found right writes them to `out` as one
 * archive with head h, the tables of which come first and are not learnt; others are learnt from the lines and added
 * to h. The form is patch if `patch` is set, or there are updates or deletes and none of them tells an old value
 * outside the key. Refusals (ERR_REFUSED) name the line. */
int lines_pack(int in, const char *name, struct dx_head *h, bool patch, int out, int level);

#endif
