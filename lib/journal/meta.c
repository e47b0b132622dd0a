/* meta: see journal/meta.h. */
#include "journal/meta.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sha.h"
#include "journal/upgrade.h"

#include <stdlib.h>
#include <string.h>

/* The bookkeeping that every database shares. Each module that keeps tables of its own makes them itself. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"

    /* A captured layout: dx_journal.what names it. Columns and key are JSON arrays of names. A table whose columns
     * change gets a new row; the one that its triggers use now is current. */
    "CREATE TABLE IF NOT EXISTS dx_table ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL, columns TEXT NOT NULL, key TEXT NOT NULL, current INTEGER "
    "NOT NULL);"

    /* Every captured change. what = dx_table.id * 8 + op (1 insert, 2 update, 3 delete, 4 key change).
     * origin NULL: made here. Column i of the table is c<i> and d<i> (added as wider tables are attached):
     *   insert      c = new
     *   delete      c = old
     *   update      c = key, and old where changed; d = new where changed; both NULL where not changed
     *   key change  c = old, d = new
     * seq is never reused: trim keeps the last row. No constraint here, or triggers that write it get slow: see journal/trigger.c. */
    "CREATE TABLE IF NOT EXISTS dx_journal (seq INTEGER PRIMARY KEY, what INTEGER, origin TEXT);"

    /* Readers of the journal and how far each has safely got, in which epoch. */
    "CREATE TABLE IF NOT EXISTS dx_peer ("
    " name TEXT PRIMARY KEY, mark INTEGER NOT NULL, epoch TEXT NOT NULL) WITHOUT ROWID;"

    /* Uploads made and not yet acknowledged: the range (after, upto] of the journal that each carries, and the newest
     * archive from the server that was applied when it was made. */
    "CREATE TABLE IF NOT EXISTS dx_upload ("
    " number INTEGER PRIMARY KEY, after INTEGER NOT NULL, upto INTEGER NOT NULL, applied INTEGER NOT NULL);";

static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_meta'";

int meta_present(struct db *db)
{
    int64_t n;
    if (db_get_int(db, &n, "%s", sql_present) || (n && upgrade_require(db)))
        return -1;
    return n > 0;
}

int meta_require(struct db *db)
{
    int present = meta_present(db);
    if (present == 0)
        return fail(
            ERR_REFUSED,
            "%s: not prepared for synchronization; run `txnlog attach` on a server, `initsync` on a client",
            db_path(db));
    return present < 0 ? -1 : 0;
}

int meta_init(struct db *db)
{
    char epoch[17];
    char *known = NULL;
    if (db_exec(db, sql_make) || meta_get_text(db, "epoch", &known))
        return -1;
    if (known) {
        free(known);
        return upgrade_require(db);
    }
    sha_random_hex(8, epoch);
    return meta_set_int(db, "format", UPGRADE_FORMAT) || meta_set_text(db, "epoch", epoch) ? -1 : 0;
}

int meta_get_text(struct db *db, const char *name, char **out)
{
    return db_get_text(db, out, "SELECT value FROM dx_meta WHERE name = %Q", name);
}

int meta_get_int(struct db *db, const char *name, int64_t *out)
{
    return db_get_int(db, out, "SELECT value FROM dx_meta WHERE name = %Q", name);
}

int meta_set_text(struct db *db, const char *name, const char *value)
{
    if (value == NULL)
        return db_execf(db, "DELETE FROM dx_meta WHERE name = %Q", name);
    return db_execf(db, "INSERT OR REPLACE INTO dx_meta (name, value) VALUES (%Q, %Q)", name, value);
}

int meta_set_int(struct db *db, const char *name, int64_t value)
{
    return db_execf(db, "INSERT OR REPLACE INTO dx_meta (name, value) VALUES (%Q, %lld)", name,
                    (long long)value);
}

bool meta_node_name(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    /* What the docking directory itself keeps beside the nodes' directories. */
    static const char *const own[] = {"lock",       "cron.lock", "cron.log",   "cron.log.new",
                                      "stick.lock", "files.new", "files.seen", "unfinished"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(name, own[i]) == 0)
            return false;
    return n > 0 && n <= 64 && strspn(name, good) == n && name[0] != '.' && name[0] != '-';
}
