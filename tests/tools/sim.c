/*
 * sim: random histories of a server and its nodes, played with the real commands, which must end with every copy equal
 * to the server's view for it, byte for byte.
 *
 *   sim [FIRST [COUNT]]          histories by their seeds; prints the ones that fail, and exits 1 when one did
 *   SIM_KEEP=1 sim SEED          leaves the directory of the history and tells each step
 *
 * A history: transactions on the server and on the nodes, uploads and archives that are lost, come twice, in the wrong
 * order or cut off, commands that are killed at a step that lasts; rows that come into view and leave it. In the end
 * everything is exchanged. Works in $TMPDIR, the commands come from $PATH.
 */
#include "db.h"
#include "err.h"
#include "file.h"
#include "mem.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODES_MAX = 4, STEPS_MAX = 50 };

/* What a history is made of, chosen by its seed. */
static struct {
    uint64_t seed, random;
    bool integer_keys, unique, references, some_rows;
    int nodes, policy;
    bool failed;
} h;

static bool keep;
static char home[4096];

/* ---- chance ---- */

static uint64_t next_random(void)
{
    uint64_t z = h.random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int below(int n)
{
    return (int)(next_random() % (uint64_t)n);
}

static bool chance(int percent)
{
    return below(100) < percent;
}

/* ---- commands ---- */

__attribute__((format(printf, 1, 2))) static void broken(const char *fmt, ...)
{
    va_list ap;
    if (h.failed)
        return;
    h.failed = true;
    printf("seed %llu: ", (unsigned long long)h.seed);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* Runs a shell command; its exit code. What it says goes to the file `said`. */
__attribute__((format(printf, 1, 2))) static int run(const char *fmt, ...)
{
    char line[2000];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line - 12, fmt, ap);
    va_end(ap);
    strcpy(line + n, " 2>>said");
    int status = system(line);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (keep)
        printf("  %s -> %d\n", line, code);
    return code;
}

/* The same, and one of the codes allowed, as a string of digits, must come; 137, a kill, always may. */
__attribute__((format(printf, 2, 3))) static int expect(const char *codes, const char *fmt, ...)
{
    char line[1900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    int code = run("%s", line);
    if (code != 137 && (code > 9 || strchr(codes, '0' + code) == NULL))
        broken("%s: exit %d", line, code);
    return code;
}

/* In some calls the command is to be killed at its n-th step that lasts. */
static const char *killing(void)
{
    static char text[32];
    text[0] = 0;
    if (chance(8))
        snprintf(text, sizeof text, "DX_STOP_AT=%d ", 1 + below(6));
    return text;
}

static const char *node_name(int node)
{
    static const char *const names[NODES_MAX] = {"alice", "bob", "carol", "dave"};
    return names[node];
}

/* ---- the databases ---- */

static int64_t number(const char *path, const char *sql)
{
    int64_t n = 0;
    struct db *db = db_open(path, DB_READ);
    if (db == NULL || db_get_int(db, &n, "%s", sql))
        broken("%s: %s", path, err_message());
    db_close(db);
    return n;
}

static void execute(const char *path, const char *sql)
{
    struct db *db = db_open(path, DB_CREATE);
    if (keep)
        printf("  %s: %s\n", path, sql);
    if (db == NULL || db_exec(db, sql))
        broken("%s: %s: %s", path, sql, err_message());
    db_close(db);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f))
        broken("%s: cannot write", path);
}

static void set_up(void)
{
    static const char *const policies[] = {"server", "client", "newest x", "ask"};
    char text[2000];
    snprintf(text, sizeof text,
             "PRAGMA journal_mode = WAL;"
             "CREATE TABLE item (id %s PRIMARY KEY, x INTEGER, y INTEGER, p %s %s, u TEXT %s);"
             "CREATE TABLE part (id %s REFERENCES item, no INTEGER, v, PRIMARY KEY (id, no)) WITHOUT ROWID",
             h.integer_keys ? "INTEGER" : "TEXT", h.integer_keys ? "INTEGER" : "TEXT",
             h.references ? "REFERENCES item" : "", h.unique ? "UNIQUE" : "",
             h.integer_keys ? "INTEGER" : "TEXT");
    execute("hq.db", text);
    for (int i = 1; i <= 3; i++) {
        snprintf(text, sizeof text, "INSERT INTO item VALUES (%s%d%s, %d, %d, NULL, 'u%d')",
                 h.integer_keys ? "" : "'k", i, h.integer_keys ? "" : "'", below(4), below(4), i);
        execute("hq.db", text);
    }
    snprintf(text, sizeof text,
             "[package]\nname = p\nversion = 1\n[object item]\nvisible = %s\nconflict = %s\n"
             "[object part]\nvia = id -> item\nconflict = %s\n",
             h.some_rows ? "SELECT n.name, i.id FROM item i JOIN dx_node n ON (i.y + n.user) % 3 <> 0"
                         : "all",
             policies[h.policy], policies[h.policy == 2 ? 0 : h.policy]);
    mkdir("package", 0777);
    mkdir("docking", 0777);
    mkdir("up", 0777);
    mkdir("down", 0777);
    write_file("package/package.conf", text);
    expect("0", "txnlog attach hq.db && txnroute load hq.db package");
    for (int n = 0; n < h.nodes; n++) {
        expect("0", "txnroute node add hq.db %s --package p --user %d", node_name(n), n);
        expect("0", "mkdir -p docking/%s/outbox docking/%s/inbox up/%s down/%s", node_name(n), node_name(n),
               node_name(n), node_name(n));
        expect("0", "txnroute extract hq.db %s docking | dxapply %s.db", node_name(n), node_name(n));
    }
}

/* ---- editing ---- */

/* A key: as text in SQL. */
static void key_text(char *out, size_t room, int64_t key)
{
    snprintf(out, room, h.integer_keys ? "%lld" : "'k%lld'", (long long)key);
}

static int64_t some_key(const char *path)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT %s FROM item ORDER BY (random() * 0 + %d * x + y), id LIMIT 1 OFFSET %d",
             h.integer_keys ? "id" : "substr(id, 2)", below(9), below(3));
    return number(path, sql);
}

static void edit_item(const char *path, char *sql, size_t room)
{
    char key[40], other[40];
    int q = below(100);
    int64_t old = some_key(path);
    int64_t max = number(path, h.integer_keys ? "SELECT max(id) FROM item WHERE id < 1000"
                                              : "SELECT max(CAST(substr(id, 2) AS INTEGER)) FROM item");
    int64_t fresh = chance(80) ? max + 1 : 1 + below(12);
    key_text(other, sizeof other, some_key(path));
    if (q < 30 || old == 0) {
        key_text(key, sizeof key, fresh);
        snprintf(sql, room, "INSERT OR IGNORE INTO item VALUES (%s, %d, %d, %s, 'u%d')", key, below(4),
                 below(4), chance(50) || old == 0 ? "NULL" : other, below(30));
        return;
    }
    key_text(key, sizeof key, old);
    if (q < 70)
        snprintf(sql, room, "UPDATE item SET x = %d%s WHERE id = %s", below(4),
                 chance(30) ? ", p = NULL" : "", key);
    else if (q < 80)
        snprintf(sql, room, "UPDATE item SET y = %d, p = %s WHERE id = %s", below(4), other, key);
    else if (q < 88)
        snprintf(sql, room, "UPDATE OR IGNORE item SET u = 'u%d' WHERE id = %s", below(30), key);
    else
        snprintf(sql, room, "DELETE FROM part WHERE id = %s; DELETE FROM item WHERE id = %s", key, key);
}

static void edit_part(const char *path, char *sql, size_t room)
{
    char key[40];
    int64_t item = some_key(path);
    key_text(key, sizeof key, item);
    int q = below(100);
    if (item == 0)
        snprintf(sql, room, "SELECT 1");
    else if (q < 50)
        snprintf(sql, room, "INSERT OR REPLACE INTO part VALUES (%s, %d, %d)", key, below(3), below(5));
    else if (q < 80)
        snprintf(sql, room, "UPDATE part SET v = %d WHERE id = %s", below(5), key);
    else
        snprintf(sql, room, "DELETE FROM part WHERE id = %s AND no = %d", key, below(3));
}

static void edit(const char *path)
{
    char sql[800], one[300] = "";
    size_t n = (size_t)snprintf(sql, sizeof sql, "BEGIN");
    for (int left = 1 + below(2); left > 0; left--) {
        (chance(70) ? edit_item : edit_part)(path, one, sizeof one);
        n += (size_t)snprintf(sql + n, sizeof sql - n, "; %s", one);
    }
    snprintf(sql + n, sizeof sql - n, "; COMMIT");
    execute(path, sql);
}

/* ---- exchanging ---- */

static int count_files(const char *directory)
{
    DIR *d = opendir(directory);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += strstr(e->d_name, ".dx") != NULL && e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* What was ever made stays in up/ and down/, so that it can come late and again. */
static void upload(int node)
{
    const char *name = node_name(node);
    expect("0", "%stxnlog upload %s.db %s-out", killing(), name, name);
    run("cp -n %s-out/*.dx up/%s/ 2>/dev/null", name, name);
}

static void merge(int node, int file)
{
    char path[100];
    const char *name = node_name(node);
    snprintf(path, sizeof path, "up/%s/%08d.dx", name, file);
    if (chance(5) && run("head -c %d %s > cut.dx", 50 + below(900), path) == 0 &&
        run("cmp -s cut.dx %s", path) != 0)
        expect("3", "dxapply hq.db < cut.dx");
    expect("013", "%sdxapply hq.db < %s", killing(), path);
}

static void route(void)
{
    expect("0", "%stxnroute run hq.db docking </dev/null", killing());
    for (int n = 0; n < h.nodes; n++)
        run("cp -n docking/%s/outbox/*.dx down/%s/ 2>/dev/null", node_name(n), node_name(n));
}

static void download(int node, int file)
{
    char path[100];
    const char *name = node_name(node);
    snprintf(path, sizeof path, "down/%s/%08d.dx", name, file);
    if (!file_exists(path))
        return;
    if (chance(5) && run("head -c %d %s > cut.dx", 50 + below(900), path) == 0 &&
        run("cmp -s cut.dx %s", path) != 0)
        expect("3", "dxapply %s.db < cut.dx", name);
    expect("013", "%sdxapply %s.db < %s", killing(), name, path);
}

static void step(void)
{
    int node = below(h.nodes), q = below(100);
    char path[100];
    snprintf(path, sizeof path, "%s.db", node_name(node));
    if (q < 20)
        edit("hq.db");
    else if (q < 55)
        edit(path);
    else if (q < 66)
        upload(node);
    else if (q < 78) {
        snprintf(path, sizeof path, "up/%s", node_name(node));
        int made = count_files(path);
        if (made)
            merge(node, 1 + below(made));
    } else if (q < 88)
        route();
    else {
        snprintf(path, sizeof path, "down/%s", node_name(node));
        int last = (int)number("hq.db", "SELECT max(archive) FROM dx_nodes");
        if (last)
            download(node, 1 + below(last));
    }
}

/* ---- the end ---- */

static void exchange_all(void)
{
    char path[100], sql[200];
    for (int n = 0; n < h.nodes; n++) {
        upload(n);
        snprintf(path, sizeof path, "up/%s", node_name(n));
        int made = count_files(path);
        for (int f = 1; f <= made; f++)
            merge(n, f);
    }
    route();
    for (int n = 0; n < h.nodes; n++) {
        snprintf(sql, sizeof sql, "SELECT archive FROM dx_nodes WHERE name = '%s'", node_name(n));
        int last = (int)number("hq.db", sql);
        for (int f = 1; f <= last; f++)
            download(n, f);
    }
}

static void judge(void)
{
    char path[100];
    for (int n = 0; n < h.nodes && !h.failed; n++) {
        const char *name = node_name(n);
        expect("0", "txnlog digest hq.db --node %s > view", name);
        expect("0", "txnlog digest %s.db > held", name);
        if (run("cmp -s view held") != 0)
            broken("node %s differs from the server's view", name);
        snprintf(path, sizeof path, "%s.db", name);
        if (number(path, "SELECT count(*) FROM dx_journal WHERE origin IS NOT '^' AND seq > "
                         "(SELECT coalesce(max(value), 0) FROM dx_meta WHERE name = 'settled')"))
            broken("node %s has pending changes", name);
    }
}

static void play(uint64_t seed)
{
    memset(&h, 0, sizeof h);
    h.seed = seed;
    h.random = seed * 0x2545f4914f6cdd1du + 1;
    h.nodes = 1 + below(NODES_MAX);
    h.integer_keys = chance(50);
    h.unique = chance(30);
    h.references = chance(30);
    h.some_rows = chance(60);
    h.policy = below(4);
    set_up();
    for (int n = 5 + below(STEPS_MAX); n > 0 && !h.failed; n--)
        step();
    for (int round = 0; round < 5 && !h.failed; round++)
        exchange_all();
    judge();
}

/* Plays one history in a directory of its own; whether it went well. */
static bool history(uint64_t seed)
{
    char directory[4200], command[4300];
    snprintf(directory, sizeof directory, "%s/dx-sim.XXXXXX", home);
    if (mkdtemp(directory) == NULL || chdir(directory)) {
        printf("%s: cannot be made\n", directory);
        return false;
    }
    play(seed);
    if (keep)
        printf("seed %llu is in %s\n", (unsigned long long)seed, directory);
    if (chdir(home) == 0 && !keep) {
        snprintf(command, sizeof command, "rm -rf '%s'", directory);
        if (system(command))
            printf("%s: cannot be removed\n", directory);
    }
    return !h.failed;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const char *directory = getenv("TMPDIR");
    int bad = 0;
    snprintf(home, sizeof home, "%s", directory && *directory ? directory : "/tmp");
    keep = getenv("SIM_KEEP") != NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t seed = first; seed < first + count; seed++)
        bad += !history(seed);
    printf("%llu histories, %d failed\n", (unsigned long long)count, bad);
    return bad > 0;
}
