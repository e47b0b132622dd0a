/* applied_digests: see journal/applied_digests.h. */
#include "journal/applied_digests.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP = 1000 };

static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_seen (kind TEXT, epoch TEXT, number INTEGER,"
                               " digest TEXT, PRIMARY KEY (kind, epoch, number)) WITHOUT ROWID";

int applied_digests_note(struct db *db, const char *kind, const char *epoch, int64_t number,
                         const char *digest)
{
    if (db_exec(db, sql_make))
        return -1;
    return db_execf(db,
                    "INSERT OR REPLACE INTO dx_seen (kind, epoch, number, digest) VALUES (%Q, %Q, %lld, %Q);"
                    "DELETE FROM dx_seen WHERE kind = %Q AND epoch = %Q AND number <= %lld",
                    kind, epoch, (long long)number, digest, kind, epoch, (long long)(number - KEEP));
}

int applied_digests_digest(struct db *db, const char *kind, const char *epoch, int64_t number, char **digest)
{
    int64_t there;
    *digest = NULL;
    if (db_get_int(db, &there,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_seen'") ||
        (there && db_get_text(db, digest,
                              "SELECT digest FROM dx_seen WHERE kind = %Q AND epoch = %Q AND number = %lld",
                              kind, epoch, (long long)number)))
        return -1;
    if (*digest == NULL)
        *digest = mem_text("");
    return 0;
}

int applied_digests_same(struct db *db, const char *kind, const char *epoch, int64_t number,
                         const char *digest)
{
    char *known;
    if (applied_digests_digest(db, kind, epoch, number, &known))
        return -1;
    int same = *known == 0 || strcmp(known, digest) == 0;
    free(known);
    return same;
}

int applied_digests_forget(struct db *db, const char *epoch)
{
    return db_exec(db, sql_make) || db_execf(db, "DELETE FROM dx_seen WHERE epoch = %Q", epoch) ? -1 : 0;
}
