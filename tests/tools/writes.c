/*
 * writes: an application's writes to a contact table, timed, for the benches.
 *
 *   writes make DB        an empty contact table: 11 columns, text key, about 190 bytes a row; WAL
 *   writes run DB ROWS    inserts, updates (2 columns) and deletes of ROWS rows in key order, 10,000 a transaction;
 *                         prints a line each: operation, CPU seconds, bytes of dx_journal that it added
 *   writes scan DB        reads every value of dx_journal; prints CPU seconds
 */
#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { TRANSACTION = 10000 };

static sqlite3 *db;

static void check(int rc, const char *what)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "writes: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql)
{
    check(sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *s;
    check(sqlite3_prepare_v2(db, sql, -1, &s, NULL), sql);
    return s;
}

static double cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static long long journal_bytes(void)
{
    sqlite3_stmt *s = prepare("SELECT coalesce(sum(payload), 0) FROM dbstat WHERE name = 'dx_journal'");
    check(sqlite3_step(s), "dbstat");
    long long n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void bind_contact(sqlite3_stmt *s, int i, char text[10][64])
{
    snprintf(text[0], 64, "ACC-%07d", i / 7);
    snprintf(text[1], 64, "First%d", i % 1000);
    snprintf(text[2], 64, "Lastname%d", i % 5000);
    snprintf(text[3], 64, "first%d.last%d@example.com", i % 1000, i % 5000);
    snprintf(text[4], 64, "+1 555 %07d", i);
    snprintf(text[5], 64, "City of %d", i % 300);
    snprintf(text[6], 64, "Active");
    snprintf(text[7], 64, "2024-01-02 03:04:05");
    snprintf(text[8], 64, "2024-05-06 07:08:09");
    for (int c = 0; c < 9; c++)
        sqlite3_bind_text(s, 2 + c, text[c], -1, SQLITE_STATIC);
    sqlite3_bind_int(s, 11, i % 9);
}

static void bind_update(sqlite3_stmt *s, int i, char text[10][64])
{
    snprintf(text[0], 64, "+1 556 %07d", i);
    sqlite3_bind_text(s, 2, text[0], -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, "2024-06-07 08:09:10", -1, SQLITE_STATIC);
}

static void bind_nothing(sqlite3_stmt *s, int i, char text[10][64])
{
    (void)s;
    (void)i;
    (void)text;
}

static void phase(const char *name, const char *sql, void (*bind)(sqlite3_stmt *, int, char[10][64]),
                  int rows)
{
    sqlite3_stmt *s = prepare(sql);
    char key[32], text[10][64];
    long long bytes = journal_bytes();
    double start = cpu();
    for (int i = 0; i < rows; i++) {
        if (i % TRANSACTION == 0)
            run("BEGIN");
        snprintf(key, sizeof key, "1-%08X", (unsigned)i);
        sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
        bind(s, i, text);
        check(sqlite3_step(s), name);
        check(sqlite3_reset(s), name);
        if (i % TRANSACTION == TRANSACTION - 1 || i == rows - 1)
            run("COMMIT");
    }
    double used = cpu() - start;
    sqlite3_finalize(s);
    printf("%s %.3f %lld\n", name, used, journal_bytes() - bytes);
}

static void scan(void)
{
    sqlite3_stmt *s = prepare("SELECT * FROM dx_journal ORDER BY seq");
    double start = cpu();
    long long bytes = 0;
    while (sqlite3_step(s) == SQLITE_ROW)
        for (int c = 0; c < sqlite3_column_count(s); c++)
            if (sqlite3_column_type(s, c) == SQLITE_TEXT)
                bytes += *sqlite3_column_text(s, c) + sqlite3_column_bytes(s, c);
            else
                bytes += sqlite3_column_int64(s, c);
    sqlite3_finalize(s);
    printf("%.3f %lld\n", cpu() - start, bytes);
}

int main(int argc, char **argv)
{
    if (argc < 3 || (strcmp(argv[1], "run") == 0 && argc < 4)) {
        fprintf(stderr, "usage: writes make DB | run DB ROWS | scan DB\n");
        return 2;
    }
    check(sqlite3_open(argv[2], &db), argv[2]);
    if (strcmp(argv[1], "make") == 0)
        run("PRAGMA journal_mode = wal; CREATE TABLE contact (row_id TEXT PRIMARY KEY, account_id TEXT, "
            "first_name TEXT,"
            " last_name TEXT, email TEXT, phone TEXT, city TEXT, status TEXT, created TEXT, last_upd TEXT,"
            " modification_num INTEGER)");
    else if (strcmp(argv[1], "scan") == 0)
        scan();
    else {
        int rows = atoi(argv[3]);
        run("PRAGMA synchronous = normal");
        phase("insert", "INSERT INTO contact VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
              bind_contact, rows);
        phase("update", "UPDATE contact SET phone = ?2, last_upd = ?3 WHERE row_id = ?1", bind_update, rows);
        phase("delete", "DELETE FROM contact WHERE row_id = ?1", bind_nothing, rows);
    }
    sqlite3_close(db);
    return 0;
}
