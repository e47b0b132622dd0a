/*
 * package: package.conf as it comes, read against a small database: the INI form, its names and values, and the rules,
 * which SQLite prepares but nobody runs.
 */
#include "nodes/package.h"
#include "sql/db.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/dx-fuzz-XXXXXX";
static char path[sizeof directory + 16];

static void clean_up(void)
{
    unlink(path);
    rmdir(directory);
}

static struct db *open_once(void)
{
    static const char schema[] =
        "CREATE TABLE account (row_id TEXT PRIMARY KEY, name TEXT, territory TEXT, last_upd TEXT);"
        "CREATE TABLE contact (row_id TEXT PRIMARY KEY, account_id TEXT REFERENCES account, name TEXT);"
        "CREATE TABLE link (a INTEGER, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID";
    struct db *db = db_open(":memory:", DB_CREATE);

    if (db == NULL || db_exec(db, schema) || mkdtemp(directory) == NULL)
        abort();
    snprintf(path, sizeof path, "%s/package.conf", directory);
    atexit(clean_up);
    return db;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct db *db;

    if (db == NULL)
        db = open_once();
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    package_free(package_read(db, directory));
    return 0;
}
