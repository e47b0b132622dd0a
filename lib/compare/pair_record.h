/* pair_record: what each side of a pair keeps of it, so that a database that was restored from a backup, copied or changed
 * for another is found out.
 *
 *   dx_sync          a row per pair: the pair's id, which side this is, the newest run that was noted here
 *   dx_sync_given    rows that a run put in under another key than they had: the base knows it when the run is over; one that
 *                    was interrupted is found here
 *   dx_sync_deleted  where a database is in several pairs, the rows that one of them has seen deleted here, so that one
 *                    that was deleted and made again is a new one for the others */
#ifndef PAIR_RECORD_H
#define PAIR_RECORD_H

#include "sql/db.h"

#include <stdbool.h>

struct pair_record {
    bool known;       /* there is a row of the pair */
    int role;         /* which side it says that this is */
    int64_t run;      /* its newest run */
    int64_t others;   /* other pairs that the database is in */
    int64_t mark;     /* number of the newest entry of dx_sync_deleted */
    char *pairs;      /* the ids of all pairs, each followed by a blank; to free, NULL for none */
    struct buf given; /* of the newest run: table, key and the key it got, packed (compare/pack.h) */
};

/* Free with pair_record_free, which is fine on a zeroed one. */
int pair_record_get(struct db *db, const char *pair, struct pair_record *out);
void pair_record_free(struct pair_record *p);

/* Notes the run; inside the write transaction. */
int pair_record_put(struct db *db, const char *pair, int role, int64_t run);

/* Notes that in this run the row of that key got another one. */
int pair_record_give(struct db *db, const char *pair, int64_t run, const char *table, const struct val *key,
                     const struct val *given);

/* Notes that the row with this packed key is deleted here. */
int pair_record_mark(struct db *db, const char *table, const struct val *key);

/* Calls fn for the entries behind `since`; stops at the first nonzero result and returns it. */
typedef int pair_record_fn(void *ctx, const char *table, const struct val *key);
int pair_record_marks(struct db *db, int64_t since, pair_record_fn *fn, void *ctx);

#endif
