/* site_files: the store of a site, SITE/files: files under their SHA-256, which rows name. */
#ifndef SITE_FILES_H
#define SITE_FILES_H

#include "sql/db.h"

struct site_files_done {
    int64_t taken, taken_bytes; /* files of nodes that are in the store now */
    int64_t waiting;            /* files that no merged row of their node names yet */
    int64_t dropped;            /* ... for longer than partial_days, or not what their name says */
    int64_t removed;            /* files of the store that no row has named for unused_days */
};

/* In the site of the database: what nodes sent (docking/NODE/files) is taken into the store where a merged upload of that
 * node names it; then what no row names is noted, and removed after its time. Each file is copied, and its digest computed
 * once more on the way: who sent it has no hand on the copy. */
int site_files_collect(struct db *db, struct site_files_done *out);

/* Leaves a mark, docking/files.new, by which dxcron knows that files may have come. */
void site_files_come(const char *site);

/* Calls fn with each digest that rows name and that is not in the store. */
typedef int site_files_fn(void *ctx, const char *table, const char *sha);
int site_files_missing(struct db *db, site_files_fn *fn, void *ctx);

/* How many digests that is. In the caller's transaction; nothing is changed, here or on the disk. */
int site_files_count_missing(struct db *db, int64_t *n);

#endif
