/*
 * histories: random writes to captured tables, replayed from the journal, in commit order and net.
 *
 *   histories [FIRST [COUNT]]
 *
 * A history is a schema, some rows, attach, then statements of every kind, many of which fail; its seed makes it. The
 * journal must turn the rows at attach into the rows at the end, with every old value right on the way.
 */
#include "base/err.h"
#include "base/mem.h"
#include "data/arena.h"
#include "journal/capture.h"
#include "journal/journal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every table has these columns; the key is among them. */
enum { COLUMNS = 6, ROWS_MAX = 4000 };
static const char *const column[COLUMNS] = {"k", "a", "b", "n", "r", "i"};

static const struct schema {
    const char *sql;
    bool rowid, alias; /* it has a rowid; its key is the rowid */
} schemas[] = {
    {"CREATE TABLE t (k TEXT PRIMARY KEY, a, b TEXT, n NUMERIC, r REAL, i INTEGER)", true, false},
    {"CREATE TABLE t (k TEXT PRIMARY KEY COLLATE NOCASE, a BLOB, b TEXT COLLATE NOCASE, n NUMERIC, r REAL, i "
     "INTEGER);"
     "CREATE UNIQUE INDEX u1 ON t (b)",
     true, false},
    {"CREATE TABLE t (k INTEGER PRIMARY KEY, a, b TEXT UNIQUE, n NUMERIC UNIQUE, r REAL, i INTEGER)", true,
     true},
    {"CREATE TABLE t (k INTEGER PRIMARY KEY, a, b TEXT UNIQUE ON CONFLICT REPLACE, n NUMERIC, r REAL, i "
     "INTEGER);"
     "CREATE UNIQUE INDEX u1 ON t (lower(b)||n, i DESC) WHERE r > 0 -- x\n;"
     "CREATE UNIQUE INDEX u2 ON t (abs(i)) WHERE i IS NOT NULL",
     true, true},
    {"CREATE TABLE t (k, a, b TEXT COLLATE RTRIM, n NUMERIC, r REAL, i INTEGER, PRIMARY KEY (k, b)) WITHOUT "
     "ROWID;"
     "CREATE UNIQUE INDEX u1 ON t (n COLLATE NOCASE, i)",
     false, false},
    {"CREATE TABLE t (k, a, b NOT NULL, n NUMERIC, r REAL, i INTEGER, g AS (b||n) STORED, PRIMARY KEY (b, "
     "k));"
     "CREATE UNIQUE INDEX u1 ON t (g)",
     true, false},
    {"CREATE TABLE t (k ANY NOT NULL PRIMARY KEY, a ANY, b TEXT, n INTEGER, r REAL, i INTEGER) STRICT;"
     "CREATE UNIQUE INDEX u1 ON t (a)",
     true, false},
    {"CREATE TABLE t (k INTEGER PRIMARY KEY, a, b TEXT, n NUMERIC, r REAL,"
     " i INTEGER REFERENCES t (k) ON DELETE CASCADE ON UPDATE CASCADE);"
     "CREATE UNIQUE INDEX u1 ON t (b)",
     true, true},
    {"CREATE TABLE t (k INTEGER PRIMARY KEY DESC, a, b TEXT, n NUMERIC, r REAL, i INTEGER UNIQUE)", true,
     false},
};

/* Triggers that an application might have. */
static const char *const triggers[] = {
    "CREATE TRIGGER app1 AFTER UPDATE ON t BEGIN UPDATE t SET a = 'app' WHERE k = NEW.k AND a = '1'; END",
    "CREATE TRIGGER app2 AFTER INSERT ON t BEGIN UPDATE t SET a = 'app' WHERE k = NEW.k AND a IS NULL; END",
    "CREATE TRIGGER app3 BEFORE DELETE ON t WHEN OLD.a = 'x' BEGIN DELETE FROM t WHERE a = ''; END",
};

/* Values as SQL, chosen to collide and to be almost the same. */
static const char *const values[COLUMNS][16] = {
    {"1", "2", "3", "4", "'1'", "'2'", "'a'", "'A'", "'b'", "'B'", NULL},
    {"NULL", "0", "0.0", "(0.0 * -1)", "1", "1.0", "'1'", "x'31'", "'x'", "(-9223372036854775807 - 1)",
     "-9223372036854775808.0", "9007199254740993", "9007199254740992.0", "x''", "''", NULL},
    {"'a'", "'A'", "'b'", "'B '", "'b'", "'c'", "'1'", "NULL", NULL},
    {"NULL", "1", "1.0", "'1'", "'x'", "1.5", "0.0", "(0.0 * -1)", "(-9223372036854775807 - 1)",
     "-9223372036854775808.0", "2", NULL},
    {"NULL", "0.0", "(0.0 * -1)", "1", "2.5", "'x'", "0.1", NULL},
    {"NULL", "1", "2", "3", "-1", "-2", "4", NULL},
};

static uint64_t state;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 11) % n);
}

static const char *any_value(unsigned c)
{
    unsigned n = 0;
    while (values[c][n])
        n++;
    return values[c][below(n)];
}

/* ---- statements ---- */

static void put_insert(struct buf *b, const struct schema *s, const char * or)
{
    static const char *const upsert[] = {"",
                                         "",
                                         "",
                                         " ON CONFLICT DO NOTHING",
                                         " ON CONFLICT DO UPDATE SET a = excluded.a, r = 5",
                                         " ON CONFLICT DO UPDATE SET k = k, b = excluded.b"};
    struct buf row = {0};
    bool rowid = s->rowid && !s->alias && below(7) == 0;
    buf_addf(b, "INSERT %s INTO t (b%s", or, rowid ? ", rowid" : "");
    buf_puts(&row, any_value(2));
    if (rowid)
        buf_addf(&row, ", %d", (int)below(6) - 1);
    for (unsigned c = 0; c < COLUMNS; c++)
        if (c != 2 && below(5)) {
            buf_addf(b, ", %s", column[c]);
            buf_addf(&row, ", %s", any_value(c));
        }
    buf_addf(b, ") VALUES (%s)%s", buf_text(&row), * or ? "" : upsert[below(6)]);
    buf_free(&row);
}

static void put_update(struct buf *b, const struct schema *s, const char * or)
{
    static const char *const rowids[] = {"rowid + 1", "rowid - 1", "3", "1"};
    static const unsigned where[] = {0, 2, 5};
    unsigned c = below(COLUMNS), d = below(COLUMNS), w = where[below(3)];
    buf_addf(b, "UPDATE %s t SET %s = %s", or, column[c], any_value(c));
    if (d != c && below(2))
        buf_addf(b, ", %s = %s", column[d], any_value(d));
    if (s->rowid && c != 0 && d != 0 && below(6) == 0)
        buf_addf(b, ", rowid = %s", rowids[below(4)]);
    if (below(5))
        buf_addf(b, " WHERE %s = %s", column[w], any_value(w));
}

static void put_statement(struct buf *b, const struct schema *s)
{
    static const char *const ors[] = {"", "", "OR REPLACE", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT"};
    static const char *const controls[] = {"BEGIN",       "COMMIT",        "ROLLBACK",
                                           "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"};
    const char * or = ors[below(7)];
    unsigned kind = below(20);
    buf_clear(b);
    if (kind < 8)
        put_insert(b, s, or);
    else if (kind < 9)
        buf_addf(b, "INSERT %s INTO t (k, a, b, n, r, i) SELECT k, b, b||1, n, r, i FROM t WHERE r > 0", or);
    else if (kind < 16)
        put_update(b, s, or);
    else if (kind < 18)
        buf_addf(b, "DELETE FROM t WHERE k = %s OR i = %s", any_value(0), any_value(5));
    else
        buf_puts(b, controls[below(6)]);
}

/* ---- rows ---- */

struct plan_apply {
    size_t n;
    struct val *row[ROWS_MAX]; /* COLUMNS values each, in `arena` */
    struct arena *arena;
};

static size_t find(const struct plan_apply *rows, const struct table *t, const struct val *row)
{
    size_t i = 0;
    for (; i < rows->n; i++) {
        bool same = true;
        for (size_t k = 0; same && k < t->nkey; k++)
            same = val_same(&rows->row[i][t->key[k]], &row[t->key[k]]);
        if (same)
            break;
    }
    return i;
}

static bool same_row(const struct val *a, const struct val *b)
{
    for (int c = 0; c < COLUMNS; c++)
        if (!val_same(&a[c], &b[c]))
            return false;
    return true;
}

static void add(struct plan_apply *rows, const struct val *row)
{
    struct val *copy = arena_alloc(rows->arena, COLUMNS * sizeof *copy);
    for (int c = 0; c < COLUMNS; c++)
        copy[c] = arena_val(rows->arena, &row[c]);
    rows->row[rows->n++] = copy;
}

static int load(struct plan_apply *rows, struct db *db, struct arena *arena)
{
    struct stmt *s = db_prepare(db, "SELECT k, a, b, n, r, i FROM t");
    enum step step = STEP_ERROR;
    *rows = (struct plan_apply){.arena = arena};
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct val row[COLUMNS];
        for (int c = 0; c < COLUMNS; c++)
            row[c] = stmt_val(s, c);
        add(rows, row);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static int apply_update(struct plan_apply *rows, size_t at, const struct change *c)
{
    struct val *row = rows->row[at];
    for (size_t i = 0; i < COLUMNS; i++) {
        if (c->new[i].type == VAL_NONE)
            continue;
        if (!val_same(&row[i], &c->old[i]))
            return fail(ERR_LOOK, "%s: column %s was %s, the journal says %s", change_show(c),
                        c->table->col[i], val_show(&row[i]), val_show(&c->old[i]));
        row[i] = arena_val(rows->arena, &c->new[i]);
    }
    return 0;
}

static int apply(struct plan_apply *rows, const struct change *c)
{
    size_t at = find(rows, c->table, c->op == CHANGE_INSERT ? c->new : c->old);
    bool there = at < rows->n;
    if (there == (c->op == CHANGE_INSERT))
        return fail(ERR_LOOK, "entry %lld, %s of %s: the row is %sthere", (long long)c->seq,
                    change_op_name(c->op), change_show(c), there ? "" : "not ");
    if (c->op == CHANGE_INSERT)
        add(rows, c->new);
    else if (c->op == CHANGE_UPDATE)
        return apply_update(rows, at, c);
    else if (!same_row(rows->row[at], c->old))
        return fail(ERR_LOOK, "entry %lld: what was deleted is not %s", (long long)c->seq, change_show(c));
    else
        rows->row[at] = rows->row[--rows->n];
    return 0;
}

/* Net changes come by key: a row may be given what another still holds, but no row may be wrong itself. */
static int replay(struct db *db, struct plan_apply *rows, const struct plan_apply *end, bool net)
{
    int64_t upto;
    struct change c;
    int got = -1;
    if (journal_end(db, &upto))
        return -1;
    struct journal_reader *r = net ? NULL : journal_read(db, 0, upto);
    struct journal_net *n = net ? journal_net(db, "t", 0, upto, JOURNAL_ALL) : NULL;
    while ((r || n) && (got = net ? journal_net_next(n, &c) : journal_next(r, &c)) > 0)
        if (apply(rows, &c)) {
            got = -1;
            break;
        }
    journal_reader_close(r);
    journal_net_close(n);
    if (got < 0)
        return fail_in(net ? "net" : "in order");
    bool same = rows->n == end->n;
    struct journal_table *t;
    size_t nt;
    if (journal_tables(db, &t, &nt))
        return -1;
    for (size_t i = 0; same && i < end->n; i++) {
        size_t at = find(rows, t[0].table, end->row[i]);
        same = at < rows->n && same_row(rows->row[at], end->row[i]);
    }
    journal_tables_free(t, nt);
    return same ? 0 : fail(ERR_LOOK, "%s: the journal ends with other rows", net ? "net" : "in order");
}

/* ---- a history ---- */

static void try(sqlite3 *sql, const char *text, struct buf *log)
{
    char *error = NULL;
    sqlite3_exec(sql, text, NULL, NULL, &error);
    buf_addf(log, "# %s;%s%s\n", text, error ? " -- " : "", error ? error : "");
    sqlite3_free(error);
}

static void write_first(sqlite3 *sql, const struct schema *s, struct buf *log)
{
    struct buf b = {0};
    try(sql, s->sql, log);
    for (size_t i = 0; i < sizeof triggers / sizeof *triggers; i++)
        if (below(4) == 0)
            try(sql, triggers[i], log);
    for (int i = 0; i < 4; i++) {
        buf_clear(&b);
        put_insert(&b, s, "OR IGNORE");
        try(sql, buf_text(&b), log);
    }
    try(sql, "DELETE FROM t WHERE k IS NULL", log);
    buf_free(&b);
}

static void write_history(sqlite3 *sql, const struct schema *s, struct buf *log)
{
    struct buf b = {0};
    try(sql, below(3) ? "PRAGMA recursive_triggers = OFF" : "PRAGMA recursive_triggers = ON", log);
    try(sql, below(2) ? "PRAGMA foreign_keys = OFF" : "PRAGMA foreign_keys = ON", log);
    for (int i = 0; i < 30; i++) {
        put_statement(&b, s);
        try(sql, buf_text(&b), log);
    }
    if (!sqlite3_get_autocommit(sql))
        try(sql, "COMMIT", log);
    if (!sqlite3_get_autocommit(sql))
        try(sql, "ROLLBACK", log);
    buf_free(&b);
}

static int attach(struct db *db)
{
    return db_begin_write(db) || capture_attach(db, NULL, 0, NULL) || db_commit(db) ? -1 : 0;
}

static int run(struct db *db, sqlite3 *sql, const struct schema *s, struct buf *log)
{
    struct arena arena = {0};
    struct plan_apply *rows = mem_zero(3, sizeof *rows); /* before, before again, after */
    write_first(sql, s, log);
    int rc = attach(db) || load(&rows[0], db, &arena) || load(&rows[1], db, &arena) ? -1 : 0;
    if (rc == 0) {
        write_history(sql, s, log);
        rc = load(&rows[2], db, &arena);
    }
    int64_t end, n;
    rc = rc || journal_end(db, &end) || db_get_int(db, &n, "SELECT count(*) FROM dx_journal");
    if (rc == 0 && n != end)
        rc = fail(ERR_LOOK, "%lld entries, but the last is number %lld", (long long)n, (long long)end);
    rc = rc || replay(db, &rows[0], &rows[2], false) || replay(db, &rows[1], &rows[2], true);
    arena_free(&arena);
    free(rows);
    return rc;
}

static int history(unsigned long seed)
{
    static const char *const tails[] = {"", "-journal"};
    char path[64];
    sqlite3 *sql;
    struct buf log = {0};
    state = seed * 2654435761u + 88172645463325252u;
    for (int i = 0; i < 5; i++)
        below(2);
    snprintf(path, sizeof path, "/tmp/dx-histories.%ld.db", (long)getpid());
    struct db *db = db_open(path, DB_CREATE);
    int rc = db && sqlite3_open(path, &sql) == SQLITE_OK ? 0 : -1;
    if (rc == 0) {
        sqlite3_exec(sql, "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY", NULL, NULL, NULL);
        db_exec(db, "PRAGMA synchronous = OFF");
        rc = run(db, sql, &schemas[below(sizeof schemas / sizeof *schemas)], &log);
        sqlite3_close(sql);
    }
    db_close(db);
    if (rc)
        printf("not ok - histories: seed %lu: %s\n%s", seed, err_message(), buf_text(&log));
    buf_free(&log);
    for (int i = 0; i < 2; i++) {
        char file[80];
        snprintf(file, sizeof file, "%s%s", path, tails[i]);
        unlink(file);
    }
    return rc;
}

int main(int argc, char **argv)
{
    unsigned long first = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 400;
    for (unsigned long seed = first; seed < first + count; seed++)
        if (history(seed))
            return 1;
    printf("ok - histories: %lu random histories are replayed from the journal, in order and net\n", count);
    return 0;
}
