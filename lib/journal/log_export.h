/* log_export: the journal as an archive, every change in commit order. */
#ifndef LOG_EXPORT_H
#define LOG_EXPORT_H

#include "sql/db.h"

/* Writes an archive of kind `changes` with the entries (after, the journal's end] to fd, in the caller's read
 * transaction and in bounded memory. Changes are written in the columns of a table's newest layout: of those that an older
 * layout lacked, an insert or delete tells the default. `name` is for messages; level is that of zstd. */
int log_export(struct db *db, int64_t after, int fd, const char *name, int level);

#endif
