/*
 * upload: a node that may send any changes at all, against merge and router. The bytes choose the changes of one to 32
 * uploads of node mallory, and between which of them the router runs; tar, seal and head are sound. Whatever they are:
 * no row outside of her permission changes, she comes to hold none of another's, the router runs, the office can insert
 * rows, and another node's upload is merged. In some the office gives rows of hers to alice meanwhile: her uploads may change
 * them as long as none has said that she has applied the archive that took them away. Each upload counts as a case.
 */
#include "apply/apply.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spool.h"
#include "journal/capture.h"
#include "nodes/attachment.h"
#include "nodes/membership.h"
#include "route/route.h"
#include "target.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the server ---- */

/* The digest of a file of alice's. */
#define SECRET "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char schema[] =
    "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT UNIQUE, region TEXT, credit INTEGER);"
    "CREATE TABLE note (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, text "
    "TEXT);"
    "CREATE TABLE tag (name TEXT, no INTEGER, account INTEGER, what, PRIMARY KEY (name, no));"
    "CREATE TABLE price (id TEXT PRIMARY KEY, n REAL);"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, what);"
    "CREATE TABLE lead (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE SET NULL, what);"
    "CREATE TABLE visit (id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER REFERENCES account ON DELETE "
    "CASCADE, at TEXT, what, node TEXT);"
    "CREATE TABLE bulletin (id INTEGER PRIMARY KEY, what, at TEXT);"
    "CREATE TABLE label (id TEXT PRIMARY KEY, name TEXT, color TEXT);"
    "CREATE TABLE doc (id INTEGER PRIMARY KEY, node TEXT, sha TEXT COLLATE NOCASE, label TEXT);"
    "INSERT INTO label VALUES ('1', 'Acme', 'red'), ('2', 'mine', 'blue');"
    "INSERT INTO doc VALUES (1, 'alice', '" SECRET "', '1'), (2, 'mallory', NULL, '2');"
    "INSERT INTO account VALUES (1, 'Acme', 'alice', 100), (2, 'Bolt', 'mallory', 200), (3, 'Cog', 'alice', "
    "300), (4, 'Dry', 'mallory', 400), (5, 'Eve', 'mallory', 500);"
    "INSERT INTO note VALUES (1, 1, 'hers'), (2, 2, 'mine'), (3, 3, 'hers'), (5, 5, 'moves');"
    "INSERT INTO tag VALUES ('1', 1, 1, 'hers'), ('2', 2, 2, 'mine');"
    "INSERT INTO price VALUES ('1', 9.5), ('2', 1.5);"
    "INSERT INTO audit VALUES (1, 1, 'made'), (2, 2, 'made'), (3, 3, 'made'), (4, 4, 'made');"
    "INSERT INTO lead VALUES (1, 1, 'cold'), (2, 2, 'warm'), (3, 4, 'hot');"
    "INSERT INTO visit VALUES (1, 1, '2026-01-01', 'hers', 'alice'), (2, 2, '2026-01-01', 'mine', 'mallory'),"
    " (3, 2, '2026-01-01', 'hers, at mine', 'alice');"
    "INSERT INTO bulletin VALUES (1, 'from the office', '9999-01-01');";

static const char package[] =
    "[package]\nname = p\nversion = 1\n"
    "[object account]\nvisible = SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = a.region\n"
    "columns = * except credit\nconflict = client\n"
    "[object note]\nvia = account -> account\ndeletes = lose\n"
    "[object tag]\nvia = account -> account\nkeys = issue\n"
    "[object price]\nvisible = all\nwrite = no\n"
    "[object visit]\nvisible = SELECT n.name, v.id FROM visit v JOIN dx_node n ON n.user = v.node\n"
    "conflict = newest at\nkeys = ranges 10\n"
    "[object label]\nvisible = all\nwrite = insert\nuser_key = name\nduplicates = adopt\n"
    "[object doc]\nvisible = SELECT n.name, d.id FROM doc d JOIN dx_node n ON n.user = d.node\n"
    "references = label -> label\nguard = rows 8\n"
    "[files scan]\ntable = doc\ndigest = sha\ndelivery = broadcast\n"
    "[object bulletin]\nvisible = all\nwrite = insert\n"
    "[object audit]\nvisible = none\n";

/* What mallory may not change, as one text. Account 2 is hers, but a visit of alice's refers to it; account 4 she may
 * delete, and with it goes what no node sees. */
static const char protected_rows[] =
    "SELECT (SELECT group_concat(quote(id) || quote(name) || quote(region) || quote(credit)) FROM account "
    "WHERE id IN (1, 3))"
    " || (SELECT group_concat(quote(id) || quote(account) || quote(text)) FROM note WHERE account IN (1, 3) "
    "OR id IN (1, 3))"
    " || (SELECT group_concat(quote(name) || quote(no) || quote(account) || quote(what)) FROM tag WHERE "
    "account IN (1, 3) OR (name = '1' AND no = 1))"
    " || (SELECT group_concat(quote(id) || quote(n)) FROM price)"
    " || (SELECT group_concat(quote(id) || quote(account) || quote(what)) FROM audit WHERE id <> 4)"
    " || (SELECT group_concat(quote(id) || quote(what) || CASE WHEN id <> 3 THEN account ELSE '' END) FROM "
    "lead)"
    " || (SELECT group_concat(quote(id) || quote(account) || quote(at) || quote(what) || quote(node)) FROM "
    "visit WHERE id IN (1, 3))"
    " || (SELECT quote(what) || quote(at) FROM bulletin WHERE id = 1)"
    " || (SELECT group_concat(quote(id) || quote(name) || quote(color)) FROM label WHERE id IN ('1', '2'))"
    " || (SELECT quote(node) || quote(sha) || quote(label) FROM doc WHERE id = 1)"
    " || (SELECT count(*) FROM account WHERE credit IS NOT NULL AND credit <> 100 * id)"
    " || (SELECT credit FROM account WHERE id = 2)"
    " || (SELECT group_concat(name || user || package || epoch || active) FROM dx_nodes)"
    " || (SELECT group_concat(name || tbl || coalesce(rule, '') || written) FROM dx_object)"
    " || (SELECT group_concat(type || name || coalesce(sql, '')) FROM sqlite_schema WHERE tbl_name NOT LIKE "
    "'dx_%')";

/* What the office gives to alice; and what then is hers: empty where mallory has deleted it before. */
static const char move[] = "UPDATE account SET region = 'alice' WHERE id = 5";
static const char moved_rows[] =
    "SELECT coalesce((SELECT quote(name) || quote(region) || quote(credit) FROM account WHERE id = 5), '') "
    "|| "
    "coalesce((SELECT quote(account) || quote(text) FROM note WHERE id = 5 AND account = 5), '')";

static char *directory, *template_path, *case_path, *docking;
static unsigned long uploads;

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz upload: %s (%s)\n", what, err_message());
    abort();
}

static void clear(void)
{
    printf("%lu uploads\n", uploads);
    char *command = mem_printf("rm -rf %s", directory);
    if (system(command))
        fprintf(stderr, "%s: is left\n", directory);
    free(command);
}

static void ignore(const char *fmt, ...)
{
    (void)fmt;
}

static void make_package(void)
{
    char *path = file_join(directory, "package.conf");
    FILE *f = fopen(path, "w");
    bool written = f && fputs(package, f) >= 0;
    if (f)
        written &= fclose(f) == 0;
    require(written, "no package");
    free(path);
}

/* By a connection of its own, as the command has it. */
static int run_router(const char *path)
{
    struct route r = {.docking = docking, .log = -1, .out = -1};
    struct route_done done;
    struct db *db = db_open(path, DB_WRITE);
    int rc = db ? route_run(db, &r, &done) : -1;
    db_close(db);
    return rc;
}

static void make_server(void)
{
    const char *tmp = getenv("TMPDIR");
    directory = mem_printf("%s/dx-fuzz-XXXXXX", tmp ? tmp : "/tmp");
    require(mkdtemp(directory) != NULL, "no directory");
    atexit(clear);
    template_path = file_join(directory, "hq.db");
    case_path = file_join(directory, "case.db");
    docking = file_join(directory, "docking");
    make_package();
    struct db *db = db_open(template_path, DB_CREATE);
    require(db && db_exec(db, schema) == 0 && db_begin_write(db) == 0 &&
                capture_attach(db, NULL, 0, NULL) == 0 && route_init(db) == 0 &&
                route_load(db, directory, ignore) == 0 && node_add(db, "alice", "alice", "p") == 0 &&
                node_add(db, "mallory", "mallory", "p") == 0 && db_commit(db) == 0,
            "no server");
    db_close(db);
    require(run_router(template_path) == 0, "no first run");
}

static void fresh_case(void)
{
    struct buf bytes = {0};
    char *remove = mem_printf("%s-wal", case_path);
    unlink(remove);
    free(remove);
    require(file_load(template_path, 1 << 24, &bytes) == 0, "no template");
    FILE *f = fopen(case_path, "w");
    require(f && fwrite(bytes.p, 1, bytes.n, f) == bytes.n && fclose(f) == 0, "no case");
    buf_free(&bytes);
}

/* ---- the uploads ---- */

struct input {
    const uint8_t *p, *end;
};

static unsigned next(struct input *in, unsigned below)
{
    return in->p < in->end ? *in->p++ % below : 0;
}

enum { TABLES = 12, COLUMNS = 5 };

static const struct layout_of_table {
    const char *name, *column[COLUMNS];
    uint8_t pk[COLUMNS];
    size_t n;
} layouts[TABLES] = {{"account", {"id", "name", "region", "credit"}, {1}, 4},
                     {"note", {"id", "account", "text"}, {1}, 3},
                     {"tag", {"name", "no", "account", "what"}, {1, 2}, 4},
                     {"price", {"id", "n"}, {1}, 2},
                     {"audit", {"id", "account", "what"}, {1}, 3},
                     {"lead", {"id", "account", "what"}, {1}, 3},
                     {"visit", {"id", "account", "at", "what", "node"}, {1}, 5},
                     {"bulletin", {"id", "what", "at"}, {1}, 3},
                     {"label", {"id", "name", "color"}, {1}, 3},
                     {"doc", {"id", "node", "sha", "label"}, {1}, 4},
                     {"dx_nodes", {"id", "name", "user", "package"}, {1}, 4},
                     {"nowhere", {"id", "x"}, {1}, 2}};

static struct val value(struct input *in)
{
    static const char *const texts[] = {
        "1",       "2",    " 3",   "alice",
        "mallory", "",     "2.0",  "9999-12-31",
        "Acme",    "mine", SECRET, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "\xff"};
    static const int64_t integers[] = {0, 1, 2, 3, 4, 5, 50, -1, INT64_MAX, INT64_MIN};
    const double reals[] = {1.0, 2.0, 3.5, NAN, INFINITY, -0.0, 9.3e18};
    switch (next(in, 8)) {
    case 0:
        return (struct val){.type = VAL_NULL};
    case 1:
        return (struct val){.type = VAL_REAL, .r = reals[next(in, sizeof reals / sizeof *reals)]};
    case 2:
    case 3:
        return val_text(texts[next(in, sizeof texts / sizeof *texts)]);
    case 4:
        return (struct val){.type = VAL_BLOB, .p = "1\0x", .n = next(in, 4)};
    default:
        return val_int(integers[next(in, sizeof integers / sizeof *integers)]);
    }
}

static void fill(struct input *in, struct change *c)
{
    const struct table *t = c->table;
    bool told = false;
    for (size_t i = 0; i < t->ncol; i++) {
        struct val *old = (struct val *)&c->old[i], *new = (struct val *)&c->new[i];
        *old = *new = (struct val){.type = VAL_NONE};
        if (t->pk[i])
            *(c->op == CHANGE_INSERT ? new : old) = value(in);
        else if (c->op == CHANGE_DELETE)
            *old = value(in);
        else if (next(in, 3)) {
            *new = value(in);
            *old = c->op == CHANGE_UPDATE ? value(in) : *old;
            told = true;
        }
    }
    for (size_t i = 0; c->op == CHANGE_UPDATE && !told && i < t->ncol; i++)
        if (!t->pk[i]) {
            ((struct val *)c->new)[i] = value(in);
            ((struct val *)c->old)[i] = value(in);
            break;
        }
}

static void add_tables(struct dx_head *h)
{
    for (size_t i = 0; i < TABLES; i++) {
        struct table *t = table_new(layouts[i].name, layouts[i].n, layouts[i].column, layouts[i].pk);
        dx_head_add_table(h, t);
        table_free(t);
    }
}

/* Whether the upload has told of the row; most inputs leave out what would be told twice, since that refuses the whole. */
struct told {
    struct buf rows;
    size_t n;
};

static bool told_before(struct told *told, const struct change *c)
{
    struct buf row = {0};
    size_t at = 0;
    bool found = false;
    buf_puts(&row, c->table->name);
    buf_byte(&row, 0);
    change_key_bytes(c, &row);
    for (size_t i = 0, n; i < told->n && !found; i++, at += n) {
        memcpy(&n, told->rows.p + at, sizeof n);
        at += sizeof n;
        found = n == row.n && memcmp(told->rows.p + at, row.p, n) == 0;
    }
    buf_add(&told->rows, &row.n, sizeof row.n);
    buf_add(&told->rows, row.p, row.n);
    told->n++;
    buf_free(&row);
    return found;
}

/* One archive of that node in a file; its changes chosen by the input, or one honest one of alice's. */
static int make_upload(struct input *in, struct db *db, const char *node, int64_t number, int64_t applied)
{
    enum { CHANGES_MOST = 16, MOVED = 5 };
    struct dx_head h;
    struct val old[COLUMNS], new[COLUMNS];
    struct told told = {0};
    char *epoch;
    int fd = spool_new();
    require(fd >= 0 && db_get_text(db, &epoch, "SELECT epoch FROM dx_nodes WHERE name = %Q", node) == 0,
            "no epoch");
    dx_head_init(&h, DX_UPLOAD);
    dx_head_set(&h.from, node);
    dx_head_set(&h.epoch, epoch);
    h.number = number;
    h.applied = applied;
    add_tables(&h);
    struct dx_writer *w = dx_writer_open(fd, "upload", &h, 1);
    require(w != NULL, "no writer");
    for (unsigned n = in ? 1 + next(in, CHANGES_MOST) : 1; n > 0; n--) {
        struct change c = {.origin = "", .old = old, .new = new, .op = CHANGE_UPDATE, .table = h.table[0]};
        if (in) {
            c.table = h.table[next(in, TABLES)];
            c.op = (enum change_op[]){CHANGE_INSERT, CHANGE_UPDATE, CHANGE_DELETE}[next(in, 3)];
            bool aimed = applied && next(in, 8) == 0; /* at a row that has moved away */
            c.table = aimed ? h.table[next(in, 2)] : c.table;
            fill(in, &c);
            if (aimed)
                (c.op == CHANGE_INSERT ? new : old)[0] = val_int(MOVED);
            if (told_before(&told, &c) && next(in, 16))
                continue;
        } else {
            memset(old, 0, sizeof old);
            memset(new, 0, sizeof new);
            old[0] = val_int(1);
            old[1] = val_text("Acme");
            new[1] = val_text("Acorn");
        }
        require(dx_write(w, &c) == 0, "cannot write");
    }
    require(dx_writer_close(w) == 0 && lseek(fd, 0, SEEK_SET) == 0, "no archive");
    dx_head_free(&h);
    buf_free(&told.rows);
    free(epoch);
    return fd;
}

static int merge(struct db *db, int fd, const char *node, struct apply_count *count)
{
    const struct apply_options o = {.upload_from = node, .guard_rows = -1, .guard_percent = -1};
    const struct dx_head *h;
    struct dx_reader *r = dx_reader_open(fd, "upload");
    int rc = dx_next(r, &h) > 0 ? apply_archive(db, r, h, &o, count) : -1;
    dx_reader_close(r);
    close(fd);
    return rc;
}

/* ---- what must hold ---- */

static int holds(struct db *db, const char *node, const char *table, int64_t key)
{
    struct node n;
    struct package *p = package_get(db, "p");
    struct val v = val_int(key);
    require(p && node_find(db, node, &n) > 0, "no node");
    int held = membership_holds(db, &n, package_object(p, table), &v);
    node_free(&n);
    package_free(p);
    return held;
}

/* Whether a session would give the node the file. */
static int may_have(struct db *db, const char *node)
{
    struct node n;
    require(node_find(db, node, &n) > 0, "no node");
    struct attachment_view *v = attachment_view_open(db, &n);
    int may = v ? attachment_view_may(v, SECRET, false) : -1;
    attachment_view_close(v);
    node_free(&n);
    return may;
}

static char *state(struct db *db, const char *rows)
{
    char *text;
    require(db_get_text(db, &text, "%s", rows) == 0 && text, "a protected row is gone");
    return text;
}

static void same(const char *before, const char *after, const char *what)
{
    if (strcmp(before, after) != 0)
        fprintf(stderr, "before: %s\nafter:  %s\n", before, after);
    require(strcmp(before, after) == 0, what);
}

/* Rows that move away from mallory while she makes uploads. */
struct moving {
    int64_t at;      /* with that upload; 0: none move */
    int64_t archive; /* that took them away; 0: not yet */
    bool heard;      /* an upload of hers has said that she has it */
    char *rows;      /* as they are then; NULL: she has changed them since, as she may */
};

static void move_away(struct db *db, struct moving *m)
{
    require(run_router(case_path) == 0 && db_exec(db, move) == 0 && run_router(case_path) == 0 &&
                db_get_int(db, &m->archive, "SELECT archive FROM dx_nodes WHERE name = 'mallory'") == 0,
            "rows cannot be moved");
    m->rows = state(db, moved_rows);
    if (*m->rows == 0) { /* she has deleted them before, and may make such rows of her own */
        free(m->rows);
        m->rows = NULL;
    }
}

/* After an upload that said `applied`, and was merged or not. */
static void check_moved(struct db *db, struct moving *m, int64_t applied, bool merged)
{
    if (m->rows == NULL)
        return;
    char *now = state(db, moved_rows);
    m->heard |= applied >= m->archive;
    if (m->heard)
        same(m->rows, now, "a row that has moved away, as she knows, has changed");
    else if (strcmp(m->rows, now) != 0) {
        free(m->rows);
        m->rows = NULL;
    }
    m->heard &= merged || applied < m->archive;
    free(now);
}

/* What the office does every day: tables hand out keys. */
static const char office[] =
    "INSERT INTO account (region) VALUES ('alice'); INSERT INTO note (text) VALUES ('x');"
    "INSERT INTO visit (what) VALUES ('x'); INSERT INTO bulletin (what) VALUES ('x')";

/* Her uploads, one after another, until one is refused. */
static void attack(struct db *db, struct input *in, const char *before)
{
    enum { UPLOADS_MOST = 32, ROUTE_EVERY = 8 };
    struct apply_count count;
    int rc = 0;
    int64_t n = 1 + next(in, UPLOADS_MOST);
    struct moving m = {.at = next(in, 2) ? 1 + next(in, UPLOADS_MOST) : 0};
    for (int64_t number = 1; rc == 0 && number <= n; number++) {
        if (number == m.at)
            move_away(db, &m);
        int64_t applied = m.archive ? m.archive - next(in, 2) : 0;
        rc = merge(db, make_upload(in, db, "mallory", number, applied), "mallory", &count);
        require(rc == 0 || err_code() == ERR_REFUSED || err_code() == ERR_GUARD, "the merge failed");
        char *after = state(db, protected_rows);
        same(before, after, "a row that she may not change has changed");
        free(after);
        check_moved(db, &m, applied, rc == 0);
        if (number < n && next(in, ROUTE_EVERY) == 0)
            require(run_router(case_path) == 0, "the router does not run");
        uploads++;
    }
    free(m.rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct apply_count count;
    if (template_path == NULL)
        make_server();
    fresh_case();
    struct db *db = db_open(case_path, DB_WRITE);
    require(db != NULL, "no database");
    char *before = state(db, protected_rows);
    attack(db, &in, before);
    require(run_router(case_path) == 0, "the router does not run");
    require(holds(db, "alice", "account", 1) == 1 && holds(db, "alice", "note", 1) == 1 &&
                holds(db, "alice", "note", 3) == 1,
            "another node has lost a row");
    require(holds(db, "mallory", "account", 1) == 0 && holds(db, "mallory", "note", 1) == 0 &&
                holds(db, "mallory", "note", 3) == 0,
            "she holds another's row");
    require(may_have(db, "alice") == 1 && may_have(db, "mallory") == 0, "a file is given to whom it is not");
    require(merge(db, make_upload(NULL, db, "alice", 1, 0), "alice", &count) == 0,
            "another node is not served");
    int64_t served;
    require(db_get_int(db, &served, "SELECT count(*) FROM account WHERE id = 1 AND name = 'Acorn'") == 0 &&
                (served == 1 || count.quarantined + count.conflicts > 0),
            "another node's change is not merged");
    require(db_exec(db, office) == 0, "the office cannot insert");
    free(before);
    db_close(db);
    return 0;
}
