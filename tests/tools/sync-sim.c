/* sync-sim: random histories of a server and its clients, exchanged with faults, until every copy must be right.
 *
 *   sync-sim [-n CLIENTS] [-c] [-s] [-t SECONDS] FROM TO [DIR]     seeds FROM to TO-1; works in DIR (default: .)
 *     -n CLIENTS   3 to so many (default 8)   -c   integer keys collide    -s   no stage is hurt
 *     -t SECONDS   no new history after that time
 *
 * A history is a schema, a package, clients, and steps: transactions anywhere, and the stages of a synchronization run
 * with the real txnlog, txnroute and dxapply: uploads made, merged, routed, applied, copies made anew, journals trimmed.
 * Archives are lost, repeated, reordered, cut off, damaged, joined; a stage is killed at one of its durable steps or
 * after some microseconds, or runs out of disk. What is refused must change nothing. At the end all is exchanged
 * undisturbed; then each copy must be the server's view of its node, with nothing pending, the digests must say so
 * too, and every change made on a client must be found again: in the server's data, in its journal under what came
 * after it, in a conflict record, or in quarantine. The first history that fails is shrunk and printed with its seed;
 * exit 1. */
#include "buf.h"
#include "db.h"
#include "err.h"
#include "file.h"
#include "journal.h"
#include "key.h"
#include "mem.h"
#include "sim/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 12, TABLES = 5, NODES = 8, STEPS = 600, COLUMNS = 8, STATEMENTS = 4, USERS = 3, ROUNDS = 8 };
enum { SERVER = -1 };

static int most_nodes = 8;
static bool colliding, smooth;
static time_t most_seconds = 1 << 30;

/* ---- a history ---- */

enum visible { ALL, RULE, FAR, VIA };

/* Columns: id; own, the user who sees it; p, a reference; x, y; u, perhaps unique; at, a time; h, perhaps hidden. */
static const char *const column[COLUMNS] = {"id", "own", "p", "x", "y", "u", "at", "h"};
enum { ID, OWN, P, X, Y, U, AT, H };

struct sim_table {
    char name[16];
    bool integer, without_rowid, unique, hides;
    enum visible visible;
    int parent;                                          /* what p refers to, or -1 */
    const char *action;                                  /* of the declared reference; NULL: not declared */
    const char *write, *conflict, *deletes, *duplicates; /* duplicates: NULL when u is no user key */
};

enum hurt { HURT_NOT, HURT_STOP, HURT_KILL, HURT_DISK };
enum kind { STEP_SQL, STEP_UPLOAD, STEP_MERGE, STEP_ROUTE, STEP_APPLY, STEP_TRIM, STEP_USER, STEP_EXTRACT };

struct sim_step {
    enum kind kind;
    int node; /* or SERVER */
    char *sql[STATEMENTS];
    int which;  /* an archive: how it is chosen */
    int damage; /* how it is delivered */
    int place;  /* where it is damaged; the user */
    enum hurt hurt;
    int at;   /* which durable step, microseconds, or bytes */
    bool off; /* taken out while shrinking */
};

struct history {
    uint64_t seed;
    int ntable, nnode, nstep;
    struct sim_table table[TABLES];
    bool enforced; /* the application enforces its references */
    struct sim_step step[STEPS];
    int token; /* values and keys that are new */
};

static void make_tables(struct history *h)
{
    h->ntable = 3 + below(3);
    int integer = below(h->ntable);
    for (int t = 0; t < h->ntable; t++) {
        struct sim_table *x = &h->table[t];
        snprintf(x->name, sizeof x->name, "t%d", t);
        x->integer = t == integer || (colliding && chance(60));
        x->without_rowid = chance(30);
        x->unique = chance(25);
        x->hides = chance(20);
        x->parent = chance(15) ? t : t && chance(80) ? below(t) : -1;
        x->action =
            chance(60) ? NULL : ANY("", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE");
        x->visible = t == 0 ? RULE : below(3);
        if (x->parent < 0 && x->visible == FAR)
            x->visible = RULE;
        if (x->parent >= 0 && x->parent != t && chance(50))
            x->visible = VIA;
        x->write = chance(85) ? "yes" : ANY("no", "insert, update", "insert", "update, delete");
        x->conflict = chance(50) ? "server" : ANY("client", "newest at", "ask");
        x->deletes = ANY("win", "lose");
        x->duplicates = chance(25) ? ANY("issue", "keep") : NULL;
    }
}

static char *any_value(struct history *h, const struct sim_table *t, int c, int who)
{
    const char *parent = t->parent >= 0 ? h->table[t->parent].name : t->name;
    switch (c) {
    case OWN:
        return mem_text(ANY("'u0'", "'u1'", "'u2'", "'u0'", "'u1'", "NULL"));
    case P:
        return chance(85) ? mem_printf("(SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)", parent, below(4))
                          : mem_text("NULL");
    case AT:
        return mem_printf("%d", h->token++);
    case U:
        if ((t->unique || t->duplicates) && chance(30))
            return mem_printf("'w%d'", below(5));
        break;
    case X:
        if (chance(80)) /* two, so that values go away and come back */
            return mem_text(ANY("0", "1"));
        break;
    default:
        if (chance(30))
            return mem_text(ANY("NULL", "0", "1", "2", "1.5", "x'00ff'", "''", "-0.0", "'\xc3\xa4'"));
    }
    return mem_printf("'v%d.%d'", who, h->token++);
}

static char *new_key(struct history *h, const struct sim_table *t, int who)
{
    if (t->integer && colliding && chance(85)) /* as the database hands them out, or one that was in use */
        return chance(75) ? mem_printf("(SELECT coalesce(max(id), 0) + 1 FROM %s WHERE id < 1000)", t->name)
                          : mem_printf("%d", 1 + below(9));
    if (t->integer)
        return mem_printf("%d", 1000 * (who + 2) + h->token++);
    return chance(30) ? mem_printf("'k%d'", below(8)) : mem_printf("'n%d.%d'", who, h->token++);
}

static char *some_row(const struct sim_table *t)
{
    return mem_printf("id = (SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)", t->name, below(5));
}

static int columns_of(const struct sim_table *t, int who)
{
    return who == SERVER || !t->hides ? COLUMNS : COLUMNS - 1;
}

static void put_insert(struct history *h, struct buf *b, const struct sim_table *t, int who, const char *verb)
{
    int n = columns_of(t, who);
    buf_addf(b, "%s INTO %s (id", verb, t->name);
    for (int c = 1; c < n; c++)
        buf_addf(b, ", %s", column[c]);
    char *key = new_key(h, t, who);
    buf_addf(b, ") VALUES (%s", key);
    free(key);
    for (int c = 1; c < n; c++) {
        char *v = any_value(h, t, c, who);
        buf_addf(b, ", %s", v);
        free(v);
    }
    buf_puts(b, ")");
}

static void put_update(struct history *h, struct buf *b, const struct sim_table *t, int who)
{
    char *row = some_row(t);
    buf_addf(b, "UPDATE OR IGNORE %s SET ", t->name);
    for (int i = 0, n = 1 + below(2), c = chance(30) ? X : 1 + below(columns_of(t, who) - 1); i < n; i++) {
        char *v = any_value(h, t, c, who);
        buf_addf(b, "%s%s = %s", i ? ", " : "", column[c], v);
        free(v);
        c = c + 1 < columns_of(t, who) ? c + 1 : 1;
        if (n > 1 && columns_of(t, who) == 2)
            break;
    }
    if (strcmp(t->conflict, "newest at") == 0 && chance(60) && strstr(buf_text(b), " at = ") == NULL)
        buf_addf(b, ", at = %d", h->token++);
    buf_addf(b, " WHERE %s", row);
    free(row);
}

static char *make_statement(struct history *h, int who)
{
    const struct sim_table *t = &h->table[below(h->ntable)];
    struct buf b = {0};
    char *row = some_row(t), *key = NULL;
    int q = below(100);
    if (q < 32)
        put_insert(h, &b, t, who, "INSERT OR IGNORE");
    else if (q < 37)
        put_insert(h, &b, t, who, "INSERT OR REPLACE");
    else if (q < 42) {
        put_insert(h, &b, t, who, "INSERT");
        buf_puts(&b, " ON CONFLICT (id) DO UPDATE SET x = excluded.x, own = excluded.own");
    } else if (q < 80)
        put_update(h, &b, t, who);
    else if (q < 85) {
        key = new_key(h, t, who);
        buf_addf(&b, "UPDATE OR IGNORE %s SET id = %s WHERE %s", t->name, key, row);
    } else if (q < 88 && t->unique) /* two unique values change places */
        buf_addf(&b,
                 "CREATE TEMP TABLE s AS SELECT id, u FROM %s ORDER BY id LIMIT 2 OFFSET %d; UPDATE %s SET "
                 "u = 's' || id || u WHERE id IN (SELECT id FROM s); UPDATE %s SET u = (SELECT s.u FROM s "
                 "WHERE s.id <> %s.id) WHERE id IN (SELECT id FROM s) AND (SELECT count(*) FROM s) = 2; "
                 "DROP TABLE s",
                 t->name, below(4), t->name, t->name, t->name);
    else if (q < 92) { /* a row that comes and goes, perhaps one that another has made, too */
        key = colliding && t->integer ? mem_printf("%d", 1 + below(9))
              : t->integer            ? new_key(h, t, who)
                                      : mem_printf("'k%d'", below(8));
        buf_addf(&b, "INSERT OR IGNORE INTO %s (id) VALUES (%s); DELETE FROM %s WHERE id = %s", t->name, key,
                 t->name, key);
    } else
        buf_addf(&b, "DELETE FROM %s WHERE %s", t->name, row);
    free(row);
    free(key);
    return buf_take(&b);
}

static struct sim_step *add_step(struct history *h, enum kind kind, int node)
{
    if (h->nstep == STEPS)
        h->nstep--;
    struct sim_step *s = &h->step[h->nstep++];
    *s = (struct sim_step){.kind = kind, .node = node, .which = below(100), .damage = below(100)};
    s->place = below(1 << 30);
    if (kind != STEP_SQL && kind != STEP_USER && !smooth && chance(25)) {
        s->hurt = chance(50) ? HURT_STOP : chance(60) ? HURT_KILL : HURT_DISK;
        s->at = s->hurt == HURT_STOP ? 1 + below(12) : s->hurt == HURT_KILL ? below(15000) : below(60000);
    }
    return s;
}

static void add_sql(struct history *h, int who)
{
    struct sim_step *s = add_step(h, STEP_SQL, who);
    for (int i = 0, n = 1 + below(STATEMENTS); i < n; i++)
        s->sql[i] = make_statement(h, who);
}

/* A stage that goes well, with the archive whose turn it is. */
static void add_sound(struct history *h, enum kind kind, int node)
{
    struct sim_step *s = add_step(h, kind, node);
    s->which = s->damage = 0;
    s->hurt = HURT_NOT;
}

static void add_text(struct history *h, int who, char *sql)
{
    add_step(h, STEP_SQL, who)->sql[0] = sql;
}

static char *touch(struct history *h, const struct sim_table *t, int key, int who)
{
    return mem_printf("UPDATE OR IGNORE %s SET y = 'v%d.%d' WHERE id = %d", t->name, who, h->token++, key);
}

/* A row of the server's and one of the node's get one integer key; the node goes on with its own before it knows, and
 * with the server's afterwards. */
static void add_collision(struct history *h)
{
    int n = below(h->nnode), key = 500 + h->token++;
    const struct sim_table *t = &h->table[below(h->ntable)];
    if (!t->integer || key >= 1000)
        return;
    for (int who = SERVER; who <= n; who += n + 1)
        add_text(h, who,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, x) VALUES (%d, 'u%d', 'v%d.%d')", t->name,
                            key, n % USERS, who, h->token++));
    add_sound(h, STEP_UPLOAD, n);
    for (int i = 0; i < 3; i++)
        add_sound(h, STEP_MERGE, n);
    add_sound(h, STEP_ROUTE, SERVER);
    if (chance(70)) {
        add_text(h, n, touch(h, t, key, n));
        add_sound(h, STEP_UPLOAD, n);
        add_sound(h, STEP_MERGE, n);
    }
    for (int i = 0; i < 3; i++)
        add_sound(h, STEP_APPLY, n);
    add_text(h, n, touch(h, t, key, n));
    add_sound(h, STEP_UPLOAD, n);
}

static struct history *make_history(uint64_t seed)
{
    struct history *h = mem_zero(1, sizeof *h);
    h->seed = seed;
    random_seed(seed);
    h->token = 10;
    h->enforced = chance(40);
    h->nnode = 3 + below(most_nodes - 2);
    make_tables(h);
    for (int i = 4 + below(8); i > 0; i--)
        add_sql(h, SERVER);
    for (int n = 0; n < h->nnode; n++)
        add_step(h, STEP_EXTRACT, n)->hurt = HURT_NOT;
    for (int i = 10 + below(60); i > 0; i--) {
        int n = below(h->nnode), q = below(100);
        if (colliding && chance(4))
            add_collision(h);
        else if (q < 12)
            add_sql(h, SERVER);
        else if (q < 42)
            add_sql(h, n);
        else
            add_step(h,
                     q < 54   ? STEP_UPLOAD
                     : q < 67 ? STEP_MERGE
                     : q < 77 ? STEP_ROUTE
                     : q < 92 ? STEP_APPLY
                     : q < 96 ? STEP_TRIM
                     : q < 98 ? STEP_USER
                              : STEP_EXTRACT,
                     q < 77 && q >= 67                 ? SERVER
                     : q >= 92 && chance(30) && q < 96 ? SERVER
                                                       : n);
    }
    return h;
}

static void free_history(struct history *h)
{
    for (int s = 0; s < h->nstep; s++)
        for (int i = 0; i < STATEMENTS; i++)
            free(h->step[s].sql[i]);
    free(h);
}

/* ---- what it says, as files ---- */

static void put_schema(const struct history *h, struct buf *b)
{
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        buf_addf(b, "CREATE TABLE %s (id %s PRIMARY KEY, own TEXT, p %s", x->name,
                 x->integer ? "INTEGER" : "TEXT NOT NULL",
                 x->parent >= 0 && h->table[x->parent].integer ? "INTEGER" : "TEXT");
        if (x->parent >= 0 && x->action)
            buf_addf(b, " REFERENCES %s%s", h->table[x->parent].name, x->action);
        buf_addf(b, ", x, y, u%s, at INTEGER, h)%s;\n", x->unique ? " UNIQUE" : "",
                 x->without_rowid && !x->integer ? " WITHOUT ROWID" : "");
    }
}

static void put_rule(const struct history *h, const struct sim_table *t, struct buf *b)
{
    if (t->visible == RULE)
        buf_addf(b, "SELECT n.name, r.id FROM %s r JOIN dx_node n ON n.user = r.own", t->name);
    else
        buf_addf(b, "SELECT n.name, r.id FROM %s r JOIN %s q ON q.id = r.p JOIN dx_node n ON n.user = q.own",
                 t->name, h->table[t->parent].name);
}

static void put_package(const struct history *h, struct buf *b)
{
    buf_puts(b, "[package]\nname = p\nversion = 1\n");
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        buf_addf(b, "\n[object %s]\nwrite = %s\nconflict = %s\ndeletes = %s\n", x->name, x->write,
                 x->conflict, x->deletes);
        if (x->duplicates)
            buf_addf(b, "user_key = u\nduplicates = %s\n", x->duplicates);
        if (x->hides)
            buf_puts(b, "columns = * except h\n");
        if (x->visible == VIA)
            buf_addf(b, "via = p -> %s\n", h->table[x->parent].name);
        else {
            buf_puts(b, "visible = ");
            if (x->visible == ALL)
                buf_puts(b, "all");
            else
                put_rule(h, x, b);
            buf_puts(b, "\n");
        }
    }
}

static void put_columns(const struct sim_table *t, struct buf *b)
{
    for (int c = 0; c < columns_of(t, 0); c++)
        buf_addf(b, "%sr.%s", c ? ", " : "", column[c]);
}

/* Appends the condition under which the node sees row `row` of table t. */
static void put_seen(const struct history *h, int t, const char *row, int node, int depth, struct buf *b)
{
    const struct sim_table *x = &h->table[t];
    if (x->visible == ALL)
        buf_puts(b, "1");
    else if (x->visible == VIA) {
        char *above = mem_printf("a%d", depth);
        buf_addf(b, "EXISTS (SELECT 1 FROM %s %s WHERE %s.id = %s.p AND ", h->table[x->parent].name, above,
                 above, row);
        put_seen(h, x->parent, above, node, depth + 1, b);
        buf_puts(b, ")");
        free(above);
    } else {
        buf_addf(b, "%s.id IN (SELECT z.id FROM (", row);
        put_rule(h, x, b);
        buf_addf(b, ") z WHERE z.name = 'n%d')", node);
    }
}

/* ---- running ---- */

static char trouble[4096];

static int __attribute__((format(printf, 1, 2))) broke(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(trouble, sizeof trouble, fmt, ap);
    va_end(ap);
    return -1;
}

/* A change as somebody's journal told it, one column at a time. */
struct entry {
    char table[4];
    struct buf key; /* val_put of its packed key */
    int column;     /* or -1: the row was deleted */
    struct buf old, new;
    int64_t seq, applied; /* the newest archive that its maker had applied */
};

struct entries {
    struct entry *e;
    size_t n;
    int64_t upto; /* of the journal, gathered so far */
};

struct party {
    struct db *db;
    int generation; /* numbering: how often its copy was made anew */
    bool stale;     /* made anew on the server, the snapshot is not applied yet */
    struct entries did;
    int64_t *cut; /* where its uploads end, in its journal */
    size_t ncut;
};

struct run {
    const struct history *h;
    struct party server, client[NODES];
};

static struct party *party(struct run *r, int node)
{
    return node == SERVER ? &r->server : &r->client[node];
}

static char *database(int node)
{
    return node == SERVER ? mem_text("hq.db") : mem_printf("n%d.db", node);
}

static void limit_disk(int bytes)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)bytes, .rlim_max = (rlim_t)bytes};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void become(const struct sim_step *s, const char *in, const char *out, const char *const argv[])
{
    int i = open(in ? in : "/dev/null", O_RDONLY),
        o = open(out ? out : "out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    int e = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (i < 0 || o < 0 || e < 0)
        _exit(120);
    dup2(i, 0);
    dup2(o, 1);
    dup2(e, 2);
    if (s && s->hurt == HURT_STOP) {
        char text[16];
        snprintf(text, sizeof text, "%d", s->at);
        setenv("DX_STOP_AT", text, 1);
    }
    if (s && s->hurt == HURT_DISK)
        limit_disk(s->at);
    char *word[WORDS] = {NULL};
    for (int w = 0; w < WORDS - 1 && argv[w]; w++)
        word[w] = mem_text(argv[w]);
    execvp(word[0], word);
    fprintf(stderr, "%s is not in PATH\n", word[0]);
    _exit(121);
}

/* Runs a command, hurt as the step says (NULL: not at all). Its exit code, or -1 when it was killed. */
static int command(const struct sim_step *s, const char *in, const char *out, const char *const argv[])
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0)
        become(s, in, out, argv);
    if (s && s->hurt == HURT_KILL) {
        struct timespec pause = {.tv_nsec = 1000L * s->at};
        nanosleep(&pause, NULL);
        kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(step, in, out, ...) command(step, in, out, (const char *const[]){__VA_ARGS__, NULL})

static int surprise(const char *what, int code)
{
    char text[1024] = "";
    FILE *f = fopen("err", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    return broke("%s: exit %d: %s", what, code, text);
}

/* What a hurt stage may end with: killed, done, or system trouble. */
static bool hurt_ends(const struct sim_step *s, int code)
{
    return s && s->hurt != HURT_NOT && (code == -1 || (s->hurt == HURT_DISK && code == 4));
}

static int64_t number_of(struct db *db, const char *sql, int node)
{
    int64_t n = 0;
    return db_get_int(db, &n, sql, node) ? -1 : n;
}

static int64_t changed(struct party *p)
{
    return number_of(p->db, "PRAGMA data_version", 0);
}

/* ---- what everybody did, from the journals ---- */

static struct buf bytes_of(const struct val *v)
{
    struct buf b = {0};
    val_put(&b, v);
    return b;
}

static void add_entry(struct entries *all, const struct change *c, const struct buf *key, int at)
{
    all->e = mem_grow(all->e, all->n + 1, sizeof *all->e);
    struct entry *e = &all->e[all->n++];
    *e = (struct entry){.column = -1, .seq = c->seq};
    snprintf(e->table, sizeof e->table, "%.3s", c->table->name);
    buf_add(&e->key, key->p, key->n);
    if (at < 0)
        return;
    for (int i = 0; i < COLUMNS; i++)
        if (strcmp(column[i], c->table->col[at]) == 0)
            e->column = i;
    e->old = bytes_of(&c->old[at]);
    e->new = bytes_of(&c->new[at]);
}

static void add_change(struct entries *all, const struct change *c)
{
    struct val id;
    change_key(c, &id);
    struct buf key = bytes_of(&id);
    if (c->op == CHANGE_DELETE)
        add_entry(all, c, &key, -1);
    for (size_t i = 0; c->op != CHANGE_DELETE && i < c->table->ncol; i++)
        if (c->new[i].type != VAL_NONE)
            add_entry(all, c, &key, (int)i);
    buf_free(&key);
}

/* After each transaction, and before the journal is trimmed. */
static int gather(struct party *p)
{
    int64_t end;
    struct change c;
    int got = 0;
    if (p->db == NULL)
        return 0;
    if (journal_end(p->db, &end))
        return broke("%s", err_message());
    struct journal_reader *r = journal_read(p->db, p->did.upto, end);
    size_t from = p->did.n;
    while (r && (got = journal_next(r, &c)) > 0)
        if (strcmp(c.origin, "^") != 0)
            add_change(&p->did, &c);
    int64_t applied = number_of(p->db, "SELECT max(value) FROM dx_meta WHERE name = 'applied'", 0);
    while (from < p->did.n)
        p->did.e[from++].applied = applied;
    journal_reader_close(r);
    p->did.upto = end;
    return r && got == 0 ? 0 : broke("%s", err_message());
}

static void free_entries(struct entries *all)
{
    for (size_t i = 0; i < all->n; i++) {
        buf_free(&all->e[i].key);
        buf_free(&all->e[i].old);
        buf_free(&all->e[i].new);
    }
    free(all->e);
}

/* Notes where the uploads end that are recorded now. What a new numbering made one again is one. */
static void note_cuts(struct party *p)
{
    int64_t last = number_of(p->db, "SELECT coalesce(max(upto), 0) FROM dx_upload", 0);
    int64_t settled =
        number_of(p->db, "SELECT coalesce(max(value), 0) FROM dx_meta WHERE name = 'settled'", 0);
    while (p->ncut && p->cut[p->ncut - 1] > last && p->cut[p->ncut - 1] > settled)
        p->ncut--;
    if (last && (p->ncut == 0 || p->cut[p->ncut - 1] < last)) {
        p->cut = mem_grow(p->cut, p->ncut + 1, sizeof *p->cut);
        p->cut[p->ncut++] = last;
    }
}

/* ---- archives on their way ---- */

/* Every archive ever seen is kept under NAME-node.generation/number, to be delivered when a step says so. */
static char *kept(const char *name, const struct run *r, int node, int64_t number)
{
    return mem_printf("%s-n%d.%d/%08lld.dx", name, node, r->client[node].generation, (long long)number);
}

static bool same_file(const char *a, const char *b)
{
    struct buf x = {0}, y = {0};
    bool same = file_load(a, 1 << 24, &x) == 0 && file_load(b, 1 << 24, &y) == 0 && x.n == y.n &&
                memcmp(x.p, y.p, x.n) == 0;
    buf_free(&x);
    buf_free(&y);
    return same;
}

/* Keeps what stands in a spool; an archive that is there already must be the same. */
static int keep(const struct run *r, const char *name, int node, const char *spool)
{
    DIR *d = opendir(spool);
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        long long number = strtoll(e->d_name, NULL, 10);
        if (number <= 0 || strlen(e->d_name) != 11)
            continue;
        char *from = file_join(spool, e->d_name), *to = kept(name, r, node, number);
        if (!file_exists(to))
            rc = link(from, to) ? broke("%s: %s", to, strerror(errno)) : 0;
        else if (!same_file(from, to))
            rc = broke("%s is not what it was when it had that name first", from);
        free(from);
        free(to);
    }
    if (d)
        closedir(d);
    return rc;
}

static int keep_downloads(const struct run *r)
{
    int rc = 0;
    for (int n = 0; rc == 0 && n < r->h->nnode; n++) {
        char *spool = mem_printf("docking/n%d/outbox", n);
        rc = r->client[n].stale ? 0 : keep(r, "down", n, spool);
        free(spool);
    }
    return rc;
}

/* The newest archive that was kept; numbers begin where the snapshot stands. */
static int64_t newest(const char *name, const struct run *r, int node)
{
    int64_t n = 0;
    char *path = kept(name, r, node, 1);
    path[strlen(path) - strlen("/00000001.dx")] = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        long long number = strtoll(e->d_name, NULL, 10);
        n = number > n ? number : n;
    }
    if (d)
        closedir(d);
    free(path);
    return n;
}

enum damage { WHOLE, TWICE, JOINED, CUT, FLIPPED };

static enum damage damage_of(const struct sim_step *s)
{
    return s == NULL || s->damage < 70 ? WHOLE
           : s->damage < 76            ? TWICE
           : s->damage < 84            ? JOINED
           : s->damage < 92            ? CUT
                                       : FLIPPED;
}

/* Writes what is delivered to the file "mail". */
static int write_mail(const struct sim_step *s, const char *path, const char *second, enum damage damage)
{
    struct buf b = {0};
    if (file_load(path, 1 << 24, &b) || (damage == JOINED && file_load(second, 1 << 24, &b)))
        return broke("%s", err_message());
    if (damage == CUT)
        b.n = 1 + (size_t)s->place % (b.n - 1);
    if (damage == FLIPPED)
        b.p[(size_t)(s->place / 8) % b.n] ^= (uint8_t)(1 << s->place % 8);
    FILE *f = fopen("mail", "w");
    if (f == NULL)
        abort();
    fwrite(b.p, 1, b.n, f);
    fclose(f);
    buf_free(&b);
    return 0;
}

struct delivery {
    const char *name; /* of what is kept */
    int node;
    struct party *to;
    char *db;
    const char *position; /* SQL: the number of the newest that was taken */
};

static int64_t position(const struct delivery *d)
{
    return number_of(d->to->db, d->position, d->node);
}

/* Delivers one; checks what the receiver made of it. */
static int deliver_one(const struct run *r, const struct sim_step *s, const struct delivery *d,
                       int64_t number)
{
    int64_t was = position(d), version = changed(d->to);
    char *path = kept(d->name, r, d->node, number), *second = kept(d->name, r, d->node, number + 1);
    enum damage damage = damage_of(s);
    int rc = 0, code;
    if (!file_exists(path) || (damage == JOINED && !file_exists(second)))
        goto out;
    rc = write_mail(s, path, second, damage);
    code = rc ? 0 : RUN(s, "mail", NULL, "dxapply", d->db);
    if (rc || hurt_ends(s, code))
        goto out;
    int64_t is = position(d), want = was;
    bool fresh = number == was + 1, damaged = damage == CUT || damage == FLIPPED;
    bool refused = number > was + 1 || (damaged && fresh);
    if (!refused && !damaged) {
        want = number > was ? number : was;
        if (damage == JOINED && number + 1 > want)
            want = number + 1;
    }
    if (refused ? code != 3 : damaged ? code != 3 && code != 0 : code != 0 && code != 1)
        rc = surprise(path, code);
    else if (is != want)
        rc = broke("%s: the newest taken was %lld, is %lld, should be %lld", path, (long long)was,
                   (long long)is, (long long)want);
    else if (is == was && changed(d->to) != version)
        rc = broke("%s: was to change nothing in %s (exit %d), but wrote to it", path, d->db, code);
    if (rc == 0 && damage == TWICE) {
        version = changed(d->to);
        code = RUN(NULL, "mail", NULL, "dxapply", d->db);
        if (code != (refused ? 3 : 0) || changed(d->to) != version)
            rc = surprise("the same again", code);
    }
out:
    free(path);
    free(second);
    return rc;
}

static struct delivery delivery(struct run *r, bool up, int node)
{
    if (up)
        return (struct delivery){"up", node, &r->server, database(SERVER),
                                 "SELECT merged FROM dx_nodes WHERE name = 'n%d'"};
    return (struct delivery){"down", node, &r->client[node], database(node),
                             "SELECT value FROM dx_meta WHERE name = 'applied'"};
}

static int deliver(struct run *r, const struct sim_step *s, bool up)
{
    if (r->client[s->node].db == NULL || r->client[s->node].stale)
        return 0;
    struct delivery d = delivery(r, up, s->node);
    int64_t last = newest(d.name, r, d.node);
    int64_t number = s->which < 70 ? position(&d) + 1 : last ? 1 + s->place % last : 0;
    int rc = number > 0 && number <= last ? deliver_one(r, s, &d, number) : 0;
    free(d.db);
    return rc;
}

/* Delivers all that waits, undisturbed; how many, or -1. */
static int deliver_all(struct run *r, bool up, int node)
{
    struct delivery d = delivery(r, up, node);
    int n = 0, rc = 0;
    for (int64_t last = newest(d.name, r, node), at = position(&d) + 1; rc == 0 && at <= last; at++, n++)
        rc = deliver_one(r, NULL, &d, at);
    free(d.db);
    return rc ? -1 : n;
}

/* ---- steps ---- */

static int make_upload(struct run *r, const struct sim_step *s, int node)
{
    if (r->client[node].db == NULL)
        return 0;
    char *db = database(node), *spool = mem_printf("spool-n%d", node);
    int code = RUN(s, NULL, NULL, "txnlog", "upload", db, spool);
    int rc = code == 0 || hurt_ends(s, code) ? 0 : surprise("txnlog upload", code);
    note_cuts(&r->client[node]);
    if (rc == 0 && !r->client[node].stale)
        rc = keep(r, "up", node, spool);
    free(db);
    free(spool);
    return rc;
}

static int route(struct run *r, const struct sim_step *s)
{
    bool log = s && s->which < 30;
    char *after = mem_printf(
        "%lld", (long long)number_of(r->server.db, "SELECT value FROM dx_meta WHERE name = 'routed'", 0));
    int code = log ? RUN(NULL, NULL, "log", "txnlog", "read", "hq.db", "--after", after) : 0;
    free(after);
    if (code)
        return surprise("txnlog read", code);
    code = RUN(s, log ? "log" : NULL, NULL, "txnroute", "run", "hq.db", "docking");
    return code == 0 || hurt_ends(s, code) ? keep_downloads(r) : surprise("txnroute run", code);
}

static void empty_directory(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *file = file_join(path, e->d_name);
        unlink(file);
        free(file);
    }
    if (d)
        closedir(d);
}

static int apply_snapshot(struct run *r, const struct sim_step *s, int node)
{
    struct party *p = &r->client[node];
    char *snapshot = mem_printf("snap-n%d", node), *db = database(node),
         *spool = mem_printf("spool-n%d", node);
    empty_directory(spool);
    int code = RUN(s, snapshot, NULL, "dxapply", db);
    int rc = code == 0 || code == 1 || hurt_ends(s, code) ? 0 : surprise("dxapply of a snapshot", code);
    if (rc == 0 && (code == 0 || code == 1))
        p->stale = false;
    if (rc == 0 && p->db == NULL && !p->stale) {
        p->db = db_open(db, DB_WRITE);
        if (p->db == NULL || (r->h->enforced && db_exec(p->db, "PRAGMA foreign_keys = ON")) ||
            db_exec(p->db, "PRAGMA synchronous = OFF"))
            rc = broke("%s", err_message());
    }
    if (p->db)
        note_cuts(p);
    free(snapshot);
    free(db);
    free(spool);
    return rc;
}

/* Makes the node's copy anew: extract, and the snapshot's way to the client. */
static int extract(struct run *r, const struct sim_step *s)
{
    struct party *p = &r->client[s->node];
    char *snapshot = mem_printf("snap-n%d", s->node), *node = mem_printf("n%d", s->node);
    int rc = gather(p);
    int code = rc ? 0 : RUN(s->which < 50 ? s : NULL, NULL, snapshot, "txnroute", "extract", "hq.db", node);
    if (rc == 0 && code != 0 && !hurt_ends(s, code))
        rc = surprise("txnroute extract", code);
    /* Killed, it may have begun the numbering anew or not: whoever asked for it asks again. */
    if (rc == 0 && code != 0)
        code = RUN(NULL, NULL, snapshot, "txnroute", "extract", "hq.db", node);
    if (rc == 0 && code)
        rc = surprise("txnroute extract again", code);
    if (rc == 0) {
        p->stale = true;
        p->generation++;
        char *up = kept("up", r, s->node, 1), *down = kept("down", r, s->node, 1);
        up[strlen(up) - 12] = down[strlen(down) - 12] = 0;
        mkdir(up, 0777);
        mkdir(down, 0777);
        free(up);
        free(down);
        rc = keep_downloads(r);
    }
    if (rc == 0)
        rc = apply_snapshot(r, s->which < 50 ? NULL : s, s->node);
    free(snapshot);
    free(node);
    return rc;
}

static int trim(struct run *r, const struct sim_step *s)
{
    struct party *p = party(r, s->node);
    if (p->db == NULL || gather(p))
        return p->db ? -1 : 0;
    char *db = database(s->node);
    int code = RUN(s, NULL, NULL, "txnlog", "trim", db);
    free(db);
    return code == 0 || hurt_ends(s, code) ? 0 : surprise("txnlog trim", code);
}

static int write_rows(struct run *r, const struct sim_step *s)
{
    struct party *p = party(r, s->node);
    if (p->db == NULL)
        return 0;
    int rc = db_exec(p->db, "BEGIN IMMEDIATE");
    for (int i = 0; rc == 0 && i < STATEMENTS && s->sql[i]; i++)
        /* A statement may violate a constraint: then it does nothing. */
        if (db_exec(p->db, s->sql[i])) {
            rc = err_code() != ERR_REFUSED;
            db_exec(p->db, "DROP TABLE IF EXISTS temp.s");
        }
    return rc || db_commit(p->db) ? broke("%s", err_message()) : gather(p);
}

static int set_user(const struct sim_step *s)
{
    char *node = mem_printf("n%d", s->node), *user = mem_printf("u%d", s->place % USERS);
    int code = RUN(NULL, NULL, NULL, "txnroute", "node", "set", "hq.db", node, "--user", user);
    free(node);
    free(user);
    return code ? surprise("txnroute node set", code) : 0;
}

static int run_step(struct run *r, const struct sim_step *s)
{
    switch (s->kind) {
    case STEP_SQL:
        return write_rows(r, s);
    case STEP_UPLOAD:
        return make_upload(r, s, s->node);
    case STEP_MERGE:
        return deliver(r, s, true);
    case STEP_ROUTE:
        return route(r, s);
    case STEP_APPLY:
        if (r->client[s->node].db && r->client[s->node].stale)
            return apply_snapshot(r, s, s->node);
        return deliver(r, s, false);
    case STEP_TRIM:
        return trim(r, s);
    case STEP_USER:
        return set_user(s);
    default:
        return extract(r, s);
    }
}

/* Exchanges everything, until nobody has anything to say. */
static int settle(struct run *r)
{
    int moved = 1;
    for (int round = 0; moved && round < ROUNDS; round++) {
        moved = 0;
        for (int n = 0; n < r->h->nnode; n++) {
            if (r->client[n].db == NULL)
                continue;
            if (r->client[n].stale && apply_snapshot(r, NULL, n))
                return -1;
            int got = make_upload(r, NULL, n) ? -1 : deliver_all(r, true, n);
            if (got < 0)
                return -1;
            moved += got;
        }
        if (route(r, NULL))
            return -1;
        for (int n = 0; n < r->h->nnode; n++) {
            int got = r->client[n].db ? deliver_all(r, false, n) : 0;
            if (got < 0)
                return -1;
            moved += got;
        }
    }
    return moved ? broke("after %d rounds there is still something to exchange", ROUNDS) : 0;
}

/* ---- the end ---- */

/* The rows of a query as val_put bytes, sorted. */
struct rows {
    struct buf *row;
    size_t n;
};

static int by_bytes(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static int load_rows(struct db *db, const char *sql, struct rows *out)
{
    struct stmt *s = db_prepare(db, sql);
    enum step step = STEP_ERROR;
    *out = (struct rows){0};
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        out->row = mem_grow(out->row, out->n + 1, sizeof *out->row);
        struct buf *b = &out->row[out->n++];
        *b = (struct buf){0};
        for (int i = 0; i < stmt_columns(s); i++) {
            struct val v = stmt_val(s, i);
            val_put(b, &v);
        }
    }
    stmt_free(s);
    if (out->n)
        qsort(out->row, out->n, sizeof *out->row, by_bytes);
    return step == STEP_DONE ? 0 : broke("%s", err_message());
}

static void show_row(struct buf *b, const struct buf *row)
{
    struct wire w = wire_over(row->p, row->n);
    for (int i = 0; w.p < w.end && w.state == WIRE_OK; i++) {
        struct val v = val_get(&w);
        buf_addf(b, "%s%s", i ? ", " : "", val_show(&v));
    }
}

static int compare_rows(const struct rows *want, const struct rows *have, const char *table, int node)
{
    for (size_t i = 0; i < want->n || i < have->n; i++) {
        bool w = i < want->n, v = i < have->n;
        if (w && v && by_bytes(&want->row[i], &have->row[i]) == 0)
            continue;
        struct buf b = {0};
        buf_addf(&b, "n%d, %s: should hold %zu rows, holds %zu; first difference: should be (", node, table,
                 want->n, have->n);
        if (w)
            show_row(&b, &want->row[i]);
        buf_puts(&b, "), is (");
        if (v)
            show_row(&b, &have->row[i]);
        broke("%s)", buf_text(&b));
        buf_free(&b);
        return -1;
    }
    return 0;
}

static void free_rows(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_free(&r->row[i]);
    free(r->row);
}

static int check_table(struct run *r, int node, int t)
{
    const struct sim_table *x = &r->h->table[t];
    struct buf view = {0}, copy = {0};
    struct rows want = {0}, have = {0};
    buf_puts(&view, "SELECT ");
    put_columns(x, &view);
    buf_add(&copy, view.p, view.n);
    buf_addf(&copy, " FROM %s r", x->name);
    buf_addf(&view, " FROM %s r WHERE ", x->name);
    put_seen(r->h, t, "r", node, 0, &view);
    int rc = load_rows(r->server.db, buf_text(&view), &want) ||
             load_rows(r->client[node].db, buf_text(&copy), &have) ||
             compare_rows(&want, &have, x->name, node);
    buf_free(&view);
    buf_free(&copy);
    free_rows(&want);
    free_rows(&have);
    return rc;
}

static int check_pending(struct run *r, int node)
{
    int64_t n = number_of(r->client[node].db,
                          "SELECT count(*) FROM dx_journal WHERE origin IS NOT '^' AND seq > "
                          "coalesce((SELECT value FROM dx_meta WHERE name = 'settled'), 0)",
                          0);
    return n ? broke("n%d: %lld changes are still pending", node, (long long)n) : 0;
}

static int check_digest(int node)
{
    char *name = mem_printf("n%d", node), *db = database(node);
    int a = RUN(NULL, NULL, "digest-server", "txnlog", "digest", "hq.db", "--node", name);
    int b = a ? 0 : RUN(NULL, NULL, "digest-client", "txnlog", "digest", db);
    int rc = a || b ? surprise("txnlog digest", a + b) : 0;
    if (rc == 0 && !same_file("digest-server", "digest-client"))
        rc = broke("%s: the copy is right, but its digest is not the server's", name);
    free(name);
    free(db);
    return rc;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static bool same_place(const struct entry *a, const struct entry *b)
{
    return strcmp(a->table, b->table) == 0 && same_bytes(&a->key, &b->key);
}

/* Whether two changes of the client go up together, so that only their sum does. */
static bool together(const struct party *p, const struct entry *a, const struct entry *b)
{
    for (size_t i = 0; i < p->ncut; i++)
        if ((a->seq <= p->cut[i]) != (b->seq <= p->cut[i]))
            return false;
    return true;
}

/* Whether the client itself changed it again before it went up. */
static bool overwritten(const struct party *p, size_t at)
{
    const struct entry *e = &p->did.e[at];
    for (size_t i = at + 1; i < p->did.n; i++) {
        const struct entry *later = &p->did.e[i];
        if (same_place(e, later) && (later->column == e->column || later->column < 0 || e->column < 0) &&
            together(p, e, later))
            return true;
    }
    return false;
}

/* Whether it went up as nothing: the value came back, or the row was made and deleted in between. */
static bool undone(const struct party *p, size_t at)
{
    const struct entry *e = &p->did.e[at];
    for (size_t i = 0; i < at; i++) {
        const struct entry *o = &p->did.e[i];
        bool made = o->column >= 0 && o->old.n == 1 && o->old.p[0] == VAL_NONE;
        if (same_place(e, o) && together(p, e, o) &&
            (e->column < 0 ? made : o->column == e->column && same_bytes(&o->old, &e->new)))
            return true;
    }
    return false;
}

/* Whether somebody's journal says that the row was so, or (a delete) went. */
static bool told(const struct entries *did, const struct entry *e)
{
    for (size_t i = 0; i < did->n; i++) {
        const struct entry *o = &did->e[i];
        if (same_place(e, o) && o->column == e->column &&
            (e->column < 0 || same_bytes(&o->new, &e->new) || same_bytes(&o->old, &e->new)))
            return true;
    }
    return false;
}

/* Counts what a statement with the key, and perhaps the value, as parameters finds on the server. */
static int64_t count(struct run *r, const struct entry *e, const char *fmt, const char *a, const char *b)
{
    struct wire key = wire_over(e->key.p, e->key.n), new = wire_over(e->new.p, e->new.n);
    struct val id = val_get(&key), v = e->new.n ? val_get(&new) : (struct val){.type = VAL_NULL};
    struct stmt *s = db_preparef(r->server.db, fmt, a, b);
    int64_t n = 0;
    if (s) {
        stmt_bind(s, 1, &id);
        if (strstr(fmt, "?2"))
            stmt_bind(s, 2, &v);
        n = stmt_step(s) == STEP_ROW ? stmt_int(s, 0) : 0;
    }
    stmt_free(s);
    return n;
}

static bool recorded(struct run *r, int node, const struct entry *e)
{
    char *origin = mem_printf("n%d", node);
    bool there = false;
    if (number_of(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'", 0))
        there = count(r, e, "SELECT count(*) FROM dx_conflict WHERE key IS ?1 AND tbl = %Q AND origin = %Q",
                      e->table, origin) > 0;
    if (!there &&
        number_of(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_quarantine'", 0))
        there = count(r, e, "SELECT count(*) FROM dx_quarantine WHERE key IS ?1 AND tbl = %Q AND origin = %Q",
                      e->table, origin) > 0;
    free(origin);
    return there;
}

static bool on_server(struct run *r, const struct entry *e)
{
    if (e->column < 0)
        return count(r, e, "SELECT count(*) FROM %s WHERE id = ?1", e->table, "") == 0;
    return count(r, e, "SELECT count(*) FROM %s WHERE id = ?1 AND %s IS ?2", e->table, column[e->column]) > 0;
}

/* Whether the client made a row of that key just once, before, and had not deleted it: then the key meant that row. */
static bool its_own(const struct party *p, const struct entry *e)
{
    int64_t made = 0;
    for (size_t i = 0; i < p->did.n; i++) {
        const struct entry *o = &p->did.e[i];
        bool inserted = o->column >= 0 && o->old.n == 1 && o->old.p[0] == VAL_NONE;
        if (!same_place(e, o))
            continue;
        if ((o->column < 0 && o->seq <= e->seq) || (inserted && made && made != o->seq))
            return false;
        if (inserted)
            made = o->seq;
    }
    return made > 0 && made <= e->seq;
}

/* The keys under which the server may have what the client called by one: itself, and what it was rekeyed to by an
 * archive that the client had not applied yet. */
static int keys_of(struct run *r, int node, int64_t applied, const char *table, const struct buf *key,
                   struct buf *out, int room)
{
    struct wire w = wire_over(key->p, key->n);
    struct val old = val_get(&w);
    int n = 0;
    buf_add(&out[n++], key->p, key->n);
    if (old.type != VAL_INT ||
        !number_of(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_rekey'", 0))
        return n;
    struct stmt *s =
        db_preparef(r->server.db,
                    "SELECT new FROM dx_rekey WHERE tbl = %Q AND old = %lld AND node = "
                    "(SELECT id FROM dx_nodes WHERE name = 'n%d') AND (archive IS NULL OR archive > %lld)",
                    table, (long long)old.i, node, (long long)applied);
    while (s && n < room && stmt_step(s) == STEP_ROW) {
        struct val new = stmt_val(s, 0);
        val_put(&out[n++], &new);
    }
    stmt_free(s);
    return n;
}

/* Whether the server has, or had, what the entry says, or a record of why not. */
static bool known(struct run *r, int node, const struct entry *e)
{
    enum { SYNONYMS = 8 };
    struct buf key[SYNONYMS] = {0}, value[SYNONYMS] = {0};
    const struct sim_table *t = &r->h->table[e->table[1] - '0'];
    bool refers = e->column == P && t->parent >= 0;
    int nkey = keys_of(r, node, e->applied, e->table, &e->key, key, SYNONYMS), nvalue = 1;
    bool meant = nkey == 2 && e->column != ID && its_own(&r->client[node], e);
    if (refers)
        nvalue = keys_of(r, node, e->applied, r->h->table[t->parent].name, &e->new, value, SYNONYMS);
    else
        buf_add(&value[0], e->new.p, e->new.n);
    bool found = false;
    for (int k = meant; k < nkey; k++)
        for (int v = 0; v < nvalue && !found; v++) {
            struct entry as = *e;
            as.key = key[k];
            as.new = value[v];
            found = on_server(r, &as) || told(&r->server.did, &as) || recorded(r, node, &as);
        }
    for (int i = 0; i < SYNONYMS; i++) {
        buf_free(&key[i]);
        buf_free(&value[i]);
    }
    return found;
}

static int check_accounts(struct run *r, int node)
{
    const struct party *p = &r->client[node];
    for (size_t i = 0; i < p->did.n; i++) {
        const struct entry *e = &p->did.e[i];
        if (overwritten(p, i) || undone(p, i) || known(r, node, e))
            continue;
        struct buf key = {0}, value = {0};
        show_row(&key, &e->key);
        show_row(&value, &e->new);
        broke("n%d changed %s %s %s = %s; the server never had it, and no record says why", node, e->table,
              buf_text(&key), e->column < 0 ? "(deleted)" : column[e->column], buf_text(&value));
        buf_free(&key);
        buf_free(&value);
        return -1;
    }
    return 0;
}

static int check(struct run *r)
{
    int rc = gather(&r->server);
    for (int n = 0; rc == 0 && n < r->h->nnode; n++) {
        if (r->client[n].db == NULL)
            continue;
        for (int t = 0; rc == 0 && t < r->h->ntable; t++)
            rc = check_table(r, n, t);
        rc = rc || check_pending(r, n) || check_digest(n) || gather(&r->client[n]) || check_accounts(r, n);
    }
    return rc ? -1 : 0;
}

/* ---- a history, from its beginning ---- */

static int write_file(const char *name, struct buf *b)
{
    FILE *f = fopen(name, "w");
    if (f == NULL)
        return broke("cannot write %s", name);
    fwrite(b->p, 1, b->n, f);
    fclose(f);
    return 0;
}

static int begin(struct run *r)
{
    struct buf schema = {0}, package = {0};
    put_schema(r->h, &schema);
    put_package(r->h, &package);
    int rc = system("rm -rf docking up-* down-* spool-* snap-* *.db* p mail; mkdir docking p") ||
                     write_file("p/package.conf", &package)
                 ? broke("cannot write here")
                 : 0;
    r->server.db = rc ? NULL : db_open("hq.db", DB_CREATE);
    if (rc == 0 &&
        (r->server.db == NULL || db_exec(r->server.db, "PRAGMA journal_mode = WAL") ||
         db_exec(r->server.db, "PRAGMA synchronous = OFF") || db_exec(r->server.db, buf_text(&schema)) ||
         (r->h->enforced && db_exec(r->server.db, "PRAGMA foreign_keys = ON"))))
        rc = broke("%s", err_message());
    int made = rc ? 0 : RUN(NULL, NULL, NULL, "txnlog", "attach", "hq.db");
    made = rc || made ? made : RUN(NULL, NULL, NULL, "txnroute", "load", "hq.db", "p");
    if (made > 1) /* 1: it advises */
        rc = surprise("txnroute load", made);
    for (int n = 0; rc == 0 && n < r->h->nnode; n++) {
        char *node = mem_printf("n%d", n), *user = mem_printf("u%d", n % USERS);
        int code =
            RUN(NULL, NULL, NULL, "txnroute", "node", "add", "hq.db", node, "--package", "p", "--user", user);
        rc = code ? surprise("txnroute node add", code) : 0;
        free(node);
        free(user);
    }
    buf_free(&schema);
    buf_free(&package);
    return rc;
}

static void end(struct run *r)
{
    for (int n = SERVER; n < NODES; n++) {
        db_close(party(r, n)->db);
        free_entries(&party(r, n)->did);
        free(party(r, n)->cut);
    }
}

/* 0 when every copy was right, -1 with `trouble` when not. */
static int run_history(const struct history *h)
{
    struct run r = {.h = h};
    for (int n = 0; n < NODES; n++)
        r.client[n].stale = true;
    trouble[0] = 0;
    int rc = begin(&r);
    for (int s = 0; rc == 0 && s < h->nstep; s++)
        if (!h->step[s].off && (rc = run_step(&r, &h->step[s]))) {
            char *why = mem_text(trouble);
            broke("step %d: %s", s, why);
            free(why);
        }
    rc = rc || settle(&r) || check(&r);
    end(&r);
    return rc ? -1 : 0;
}

/* ---- shrinking and telling ---- */

/* Takes out what the failure does not need: halves first, then smaller pieces. */
static void shrink(struct history *h)
{
    time_t until = time(NULL) + 60;
    for (int size = h->nstep / 2; size > 0 && time(NULL) < until; size /= 2)
        for (int from = h->nstep - size; from > -size && time(NULL) < until; from -= size) {
            bool was[STEPS], any_on = false;
            for (int s = 0; s < h->nstep; s++) {
                bool in = s >= from && s < from + size;
                was[s] = h->step[s].off;
                any_on |= in && !was[s];
                h->step[s].off |= in;
            }
            if (!any_on || run_history(h))
                continue;
            for (int s = 0; s < h->nstep; s++)
                h->step[s].off = was[s];
        }
    for (int s = 0; s < h->nstep; s++) {
        enum hurt hurt = h->step[s].hurt;
        int damage = h->step[s].damage;
        h->step[s].hurt = HURT_NOT;
        h->step[s].damage = 0;
        if (h->step[s].off || (hurt == HURT_NOT && damage < 70) || (time(NULL) < until && run_history(h)))
            continue;
        h->step[s].hurt = hurt;
        h->step[s].damage = damage;
    }
}

static void tell_step(const struct sim_step *s, int number)
{
    static const char *const words[] = {"",
                                        "txnlog upload",
                                        "merge an upload of",
                                        "txnroute run",
                                        "apply a download to",
                                        "txnlog trim",
                                        "txnroute node set",
                                        "txnroute extract and apply"};
    static const char *const hurts[] = {"", "stopped at durable step", "killed after microseconds",
                                        "with the disk full at byte"};
    char *db = database(s->node);
    printf("%3d  ", number);
    if (s->kind == STEP_SQL) {
        printf("%s:", db);
        for (int i = 0; i < STATEMENTS && s->sql[i]; i++)
            printf("%s %s;\n", i ? "        " : "", s->sql[i]);
    } else
        printf("%s %s", words[s->kind], db);
    if (s->kind == STEP_USER)
        printf(" --user u%d", s->place % USERS);
    if (s->kind == STEP_MERGE || s->kind == STEP_APPLY)
        printf(", %s, %s", s->which < 70 ? "the next" : "any",
               ((const char *const[]){"whole", "twice", "with the one after it", "cut off",
                                      "one bit flipped"})[damage_of(s)]);
    if (s->hurt)
        printf(", %s %d", hurts[s->hurt], s->at);
    printf("%s", s->kind == STEP_SQL ? "" : "\n");
    free(db);
}

static void tell(const struct history *h, const char *first)
{
    struct buf b = {0};
    put_schema(h, &b);
    put_package(h, &b);
    printf("seed %llu: %s\nshrunk: %s\n\n%s\nclients %d, references %s\n", (unsigned long long)h->seed, first,
           trouble[0] ? trouble : "(did not fail again)", buf_text(&b), h->nnode,
           h->enforced ? "enforced" : "not enforced");
    for (int s = 0; s < h->nstep; s++)
        if (!h->step[s].off)
            tell_step(&h->step[s], s);
    buf_free(&b);
}

static int usage(void)
{
    fprintf(stderr, "usage: sync-sim [-n CLIENTS] [-c] [-s] [-t SECONDS] FROM TO [DIR]\n");
    return 2;
}

int main(int argc, char **argv)
{
    for (int opt; (opt = getopt(argc, argv, "n:cst:")) != -1;) {
        if (opt == 'n')
            most_nodes = atoi(optarg);
        else if (opt == 't')
            most_seconds = atoi(optarg);
        else if (opt == 'c')
            colliding = true;
        else if (opt == 's')
            smooth = true;
        else
            return usage();
    }
    argc -= optind;
    argv += optind;
    if (argc < 2 || most_nodes < 3 || most_nodes > NODES)
        return usage();
    uint64_t from = strtoull(argv[0], NULL, 10), to = strtoull(argv[1], NULL, 10);
    if (argc > 2 && chdir(argv[2])) {
        perror(argv[2]);
        return 2;
    }
    time_t begun = time(NULL);
    uint64_t seed = from;
    for (; seed < to && time(NULL) - begun < most_seconds; seed++) {
        struct history *h = make_history(seed);
        if (run_history(h)) {
            char *first = mem_text(trouble);
            shrink(h);
            run_history(h);
            tell(h, first);
            free(first);
            free_history(h);
            return 1;
        }
        free_history(h);
    }
    printf("%llu histories, every copy as the server sees it, every change accounted for\n",
           (unsigned long long)(seed - from));
    return 0;
}
