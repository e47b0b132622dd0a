/*
 * starve: SQLite is denied memory once, at one allocation after the other (where there are thousands, at every n-th).
 * What reads a layout, or merges an upload, then fails with everything as it was, or has done all of it. Speaks TAP.
 */
#include "apply/apply.h"
#include "archive/dx.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/capture.h"
#include "nodes/node.h"
#include "route/route.h"
#include "sql/layout.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- memory ---- */

static sqlite3_mem_methods real;
static long left = -1; /* allocations until the one that fails; -1: none does */

static bool denied(void)
{
    return left >= 0 && left-- == 0;
}

static void *starved_malloc(int n)
{
    return denied() ? NULL : real.xMalloc(n);
}

static void *starved_realloc(void *p, int n)
{
    return denied() ? NULL : real.xRealloc(p, n);
}

static int configure(void)
{
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real))
        return -1;
    sqlite3_mem_methods m = real;
    m.xMalloc = starved_malloc;
    m.xRealloc = starved_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &m) || sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) ? -1 : 0;
}

/* ---- the server ---- */

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE NOT NULL DEFAULT 'x', n REAL);"
    "CREATE TABLE u (a TEXT, b BLOB, t INTEGER REFERENCES t, PRIMARY KEY (b, a)) WITHOUT ROWID;"
    "INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', 2.5); INSERT INTO u VALUES ('x', x'01', 1)";

static const char package[] =
    "[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n[object u]\nvisible = all\n";

static void tell(const char *fmt, ...)
{
    (void)fmt;
}

static int make_server(const char *path)
{
    FILE *f = fopen("package.conf", "w");
    if (f == NULL || fputs(package, f) < 0 || fclose(f))
        return -1;
    struct db *db = db_open(path, DB_CREATE);
    int rc = db == NULL || db_exec(db, schema) || db_begin_write(db) || capture_attach(db, NULL, 0, NULL) ||
                     route_init(db) || route_load(db, ".", tell) || node_add(db, "alice", NULL, "p") ||
                     db_commit(db)
                 ? -1
                 : 0;
    db_close(db);
    return rc;
}

/* What there is to be seen of it. */
static int look(struct db *db, struct buf *out)
{
    char *text;
    if (db_get_text(db, &text,
                    "SELECT (SELECT group_concat(id || name || n) FROM t) || (SELECT group_concat(a || "
                    "hex(b) || t) FROM "
                    "u) || (SELECT merged FROM dx_nodes) || (SELECT count(*) FROM dx_journal)"))
        return -1;
    buf_puts(out, text);
    free(text);
    return 0;
}

/* ---- what is done ---- */

typedef int work_fn(struct db *db, struct buf *out);

static int read_layouts(struct db *db, struct buf *out)
{
    static const char *const names[] = {"t", "u"};
    for (size_t i = 0; i < 2; i++) {
        struct layout *l = layout_of(db, names[i]);
        if (l == NULL)
            return -1;
        buf_addf(out, "%s: ", l->sql);
        layout_keys(out, l->table, "");
        for (size_t c = 0; c < l->table->ncol; c++)
            buf_addf(out, " %s %s %s %s %d %d", l->table->col[c], l->column[c].type, l->column[c].collation,
                     l->column[c].value ? l->column[c].value : "-", (int)l->column[c].affinity,
                     l->column[c].notnull);
        layout_free(l);
    }
    return 0;
}

static int name_one(void *ctx, const char *table, bool has_key)
{
    buf_addf(ctx, "%s %d ", table, has_key);
    return 0;
}

static int list_tables(struct db *db, struct buf *out)
{
    return layout_each(db, name_one, out);
}

static int merge_upload(struct db *db, struct buf *out)
{
    static const struct apply_options options = {.guard_rows = -1, .guard_percent = -1};
    struct apply_count count;
    const struct dx_head *h;
    FILE *f = fopen("upload.dx", "r");
    struct dx_reader *r = f ? dx_reader_open(fileno(f), "upload.dx") : NULL;
    int rc = r == NULL || dx_next(r, &h) < 0 || apply_archive(db, r, h, &options, &count) ? -1 : 0;
    if (rc == 0)
        buf_addf(out, "%d %d %d ", (int)count.inserted, (int)count.conflicts, (int)count.refused);
    dx_reader_close(r);
    if (f)
        fclose(f);
    return rc;
}

static int write_upload(struct db *db)
{
    struct layout *t = layout_of(db, "t"), *u = layout_of(db, "u");
    struct val old[3] = {{0}}, row[3] = {val_int(7), val_text("seven"), {.type = VAL_REAL, .r = 7.5}},
               below[3] = {val_text("y"), {.type = VAL_BLOB, .p = (const uint8_t *)"y", .n = 1}, val_int(7)};
    struct node n;
    struct dx_head h;
    dx_head_init(&h, DX_UPLOAD);
    if (t == NULL || u == NULL || node_require(db, "alice", &n))
        return -1;
    dx_head_set(&h.from, "alice");
    dx_head_set(&h.epoch, n.epoch);
    h.number = 1;
    h.upto = 2;
    dx_head_add_table(&h, t->table);
    dx_head_add_table(&h, u->table);
    FILE *f = fopen("upload.dx", "w");
    struct dx_writer *w = f ? dx_writer_open(fileno(f), "upload.dx", &h, 1) : NULL;
    struct change one = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = old, .new = row};
    struct change two = {.table = u->table, .op = CHANGE_INSERT, .origin = "", .old = old, .new = below};
    int rc = w == NULL || dx_write(w, &one) || dx_write(w, &two) || dx_writer_close(w) || fclose(f) ? -1 : 0;
    dx_head_free(&h);
    node_free(&n);
    layout_free(t);
    layout_free(u);
    return rc;
}

/* ---- each ---- */

static int failures;

enum outcome { DONE_WITHOUT, DONE_STARVED, FAILED };

/* In a process of its own, since what finds no memory may end it. What is told goes to the file "told". */
static enum outcome run_child(work_fn *work, long at)
{
    struct buf out = {0};
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct db *db = db_open("run.db", DB_WRITE);
        left = at;
        int rc = db ? work(db, &out) : -1;
        bool starved = at >= 0 && left < 0;
        left = -1;
        FILE *f = fopen("told", "w");
        if (f == NULL || fputs(rc ? "" : buf_text(&out), f) < 0 || fclose(f))
            rc = -1;
        buf_free(&out);
        db_close(db);
        exit(rc ? FAILED : starved ? DONE_STARVED : DONE_WITHOUT);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return FAILED;
    return WEXITSTATUS(status) <= FAILED ? (enum outcome)WEXITSTATUS(status) : FAILED;
}

/* The server as it was made, as run.db. */
static int restore(void)
{
    static char bytes[1 << 20];
    FILE *from = fopen("server.db", "r");
    size_t n = from ? fread(bytes, 1, sizeof bytes, from) : 0;
    if (from == NULL || fclose(from))
        return -1;
    unlink("run.db-wal");
    unlink("run.db-shm");
    unlink("told");
    FILE *to = fopen("run.db", "w");
    return to && fwrite(bytes, 1, n, to) == n && fclose(to) == 0 ? 0 : -1;
}

/* What it told, and what there is then: on a copy of the server, the allocation of that number failing. */
static enum outcome run(work_fn *work, long at, struct buf *out)
{
    if (restore())
        return FAILED;
    enum outcome outcome = run_child(work, at);
    char line[1024] = "";
    FILE *f = outcome == FAILED ? NULL : fopen("told", "r");
    if (f) {
        line[fread(line, 1, sizeof line - 1, f)] = 0;
        buf_puts(out, line);
        fclose(f);
    }
    struct db *db = db_open("run.db", DB_WRITE);
    if (db == NULL || look(db, out))
        buf_puts(out, err_message());
    db_close(db);
    return outcome;
}

static void starve(const char *what, work_fn *work, long step)
{
    struct buf before = {0}, after = {0}, got = {0};
    struct db *db = db_open("server.db", DB_WRITE);
    int bad = db == NULL || look(db, &before) || run(work, -1, &after) != DONE_WITHOUT;
    db_close(db);
    long at = 0;
    for (enum outcome outcome = FAILED; !bad && outcome != DONE_WITHOUT; at += step) {
        buf_clear(&got);
        outcome = run(work, at, &got);
        bad = strcmp(buf_text(&got), buf_text(outcome == FAILED ? &before : &after)) != 0;
    }
    if (bad)
        printf("# allocation %ld: %s\n", at - step, buf_text(&got));
    printf("%sok - %s: short of memory, all or nothing\n", bad ? "not " : "", what);
    failures += bad;
    buf_free(&before);
    buf_free(&after);
    buf_free(&got);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char *directory = mem_printf("%s/dx-starve-XXXXXX", tmp ? tmp : "/tmp");
    if (configure() || mkdtemp(directory) == NULL || chdir(directory) || make_server("server.db"))
        return printf("not ok - starve: no server: %s\n", err_message()), 1;
    struct db *db = db_open("server.db", DB_WRITE);
    if (db == NULL || write_upload(db))
        return printf("not ok - starve: no upload: %s\n", err_message()), 1;
    db_close(db);
    long step = getenv("DX_SANITIZED") ? 11 : 1;
    starve("layouts read", read_layouts, step);
    starve("tables listed", list_tables, step);
    starve("an upload merged", merge_upload, getenv("DX_SANITIZED") ? 97 : 31);
    char *clean = mem_printf("rm -r '%s'", directory);
    if (chdir("/") || system(clean))
        failures++;
    free(clean);
    free(directory);
    return failures != 0;
}
