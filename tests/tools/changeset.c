/*
 * changeset: SQLite's own session functions as a program, the oracle for our encoder and decoder.
 *
 *   changeset apply DB < CHANGESET      apply with sqlite3changeset_apply; any conflict aborts
 *   changeset invert < CHANGESET > CHANGESET
 *   changeset diff FROM TO > CHANGESET  what turns the tables of FROM into those of TO (sqlite3session_diff)
 *   changeset patch FROM TO > PATCHSET  the same as a patchset
 *
 * Exits 0, or 1 with a message when SQLite refuses. Input must be trusted: those functions trust it.
 */
#define SQLITE_ENABLE_SESSION
#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int rc, const char *what, sqlite3 *db)
{
    if (rc == SQLITE_OK)
        return;
    fprintf(stderr, "changeset: %s: %s\n", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    exit(1);
}

static void *read_all(int *size)
{
    size_t n = 0, cap = 1 << 16, got;
    char *bytes = malloc(cap);

    while (bytes && (got = fread(bytes + n, 1, cap - n, stdin)) > 0) {
        n += got;
        if (n == cap) {
            char *more = realloc(bytes, cap *= 2);

            if (!more)
                free(bytes);
            bytes = more;
        }
    }
    if (!bytes)
        check(SQLITE_NOMEM, "read", NULL);
    *size = (int)n;
    return bytes;
}

static void write_all(const void *bytes, int size)
{
    if ((size && fwrite(bytes, 1, (size_t)size, stdout) != (size_t)size) || fflush(stdout) != 0)
        check(SQLITE_IOERR, "write", NULL);
}

static int on_conflict(void *context, int reason, sqlite3_changeset_iter *iter)
{
    static const char *const names[] = {"?", "DATA", "NOTFOUND", "CONFLICT", "CONSTRAINT", "FOREIGN_KEY"};
    const char *table = "";
    int columns, op, indirect;

    (void)context;
    if (reason != SQLITE_CHANGESET_FOREIGN_KEY)
        sqlite3changeset_op(iter, &table, &columns, &op, &indirect);
    fprintf(stderr, "changeset: conflict %s in table %s\n", names[reason], table);
    return SQLITE_CHANGESET_ABORT;
}

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db;

    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), path, NULL);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

static void apply(const char *path)
{
    sqlite3 *db = open_db(path);
    int size;
    void *bytes = read_all(&size);

    check(sqlite3changeset_apply(db, size, bytes, NULL, on_conflict, NULL), "apply", NULL);
    free(bytes);
    check(sqlite3_close(db), "close", NULL);
}

static void invert(void)
{
    int size, out_size;
    void *bytes = read_all(&size), *out;

    check(sqlite3changeset_invert(size, bytes, &out_size, &out), "invert", NULL);
    write_all(out, out_size);
    sqlite3_free(out);
    free(bytes);
}

/* The session sees the database TO as main; each table of its that is no one's but the application's is compared
 * with that of FROM, attached. */
static void diff(const char *from, const char *to, int patchset)
{
    sqlite3 *db = open_db(to);
    sqlite3_session *session;
    sqlite3_stmt *attach, *tables;
    char *message = NULL;
    void *out;
    int rc, size;

    check(sqlite3_prepare_v2(db, "ATTACH ?1 AS before", -1, &attach, NULL), "attach", db);
    sqlite3_bind_text(attach, 1, from, -1, SQLITE_STATIC);
    sqlite3_step(attach);
    check(sqlite3_finalize(attach), from, db);
    check(sqlite3session_create(db, "main", &session), "session", db);
    check(sqlite3_prepare_v2(
              db,
              "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
              "AND name NOT LIKE 'dx\\_%' ESCAPE '\\' ORDER BY name",
              -1, &tables, NULL),
          "tables", db);
    while ((rc = sqlite3_step(tables)) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(tables, 0);

        check(sqlite3session_attach(session, table), table, db);
        check(sqlite3session_diff(session, "before", table, &message), message ? message : table, NULL);
    }
    check(sqlite3_finalize(tables), "tables", db);
    check(patchset ? sqlite3session_patchset(session, &size, &out)
                   : sqlite3session_changeset(session, &size, &out),
          "changeset", db);
    write_all(out, size);
    sqlite3_free(out);
    sqlite3session_delete(session);
    check(sqlite3_close(db), "close", NULL);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "apply") == 0)
        apply(argv[2]);
    else if (argc == 2 && strcmp(argv[1], "invert") == 0)
        invert();
    else if (argc == 4 && (strcmp(argv[1], "diff") == 0 || strcmp(argv[1], "patch") == 0))
        diff(argv[2], argv[3], argv[1][0] == 'p');
    else {
        fprintf(stderr, "usage: changeset apply DB | invert | diff FROM TO | patch FROM TO\n");
        return 2;
    }
    return 0;
}
