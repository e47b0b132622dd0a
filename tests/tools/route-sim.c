/* route-sim: random schemas, rules and histories for txnroute, each copy compared with a from-scratch evaluation.
 *
 *   route-sim [-v] FROM TO [DIR]     seeds FROM to TO-1; works in DIR (default: .); -v says what they were made of
 *
 * A history (sim/plot.h) is a schema, a package, nodes, and steps: SQL, node commands, runs of the router, in some of
 * which nodes are away, and between which days go by; rules fail on values that come and go. After each run the archives are applied here, by simple means,
 * and each node's copy is compared with what the rules say at that time, evaluated one by one. What load says of each
 * rule is compared, too: a rule that must be evaluated whole is named, one that must be refused is, with a remedy. The
 * first history that fails is shrunk and printed with its seed; exit 1. */
#include "archive/dx.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "route/route.h"
#include "sim/plot.h"
#include "sim/same.h"
#include "sql/db.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- running it ---- */

static char trouble[4096];

static int broke(const char *what)
{
    snprintf(trouble, sizeof trouble, "%s", what);
    return -1;
}

static char *read_text(const char *name)
{
    char text[8192];
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    return mem_text(text);
}

static int __attribute__((format(printf, 1, 2))) command(const char *fmt, ...)
{
    struct buf b = {0};
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_addf(&b, "( %s ) 2>err", line);
    int rc = system(buf_text(&b));
    buf_clear(&b);
    if (rc) {
        char *said = read_text("err");
        buf_addf(&b, "%s\n  -> %s", line, said);
        broke(buf_text(&b));
        free(said);
    }
    buf_free(&b);
    return rc ? -1 : 0;
}

static int write_file(const char *name, struct buf *b)
{
    FILE *f = fopen(name, "w");
    if (f == NULL)
        return broke("cannot write a file");
    fwrite(b->p, 1, b->n, f);
    fclose(f);
    return 0;
}

/* Puts a change into a copy, by simple means. */
static int put_change(struct db *copy, const struct change *c)
{
    struct buf sql = {0};
    const struct table *t = c->table;
    const struct val *v[64];
    int n = 0;
    if (c->op == CHANGE_INSERT) {
        buf_addf(&sql, "INSERT OR REPLACE INTO %s VALUES (?, ?, ?, ?)", t->name);
        for (size_t i = 0; i < t->ncol; i++)
            v[n++] = &c->new[i];
    } else {
        buf_addf(&sql, c->op == CHANGE_UPDATE ? "UPDATE %s SET " : "DELETE FROM %s", t->name);
        for (size_t i = 0; c->op == CHANGE_UPDATE && i < t->ncol; i++)
            if (c->new[i].type != VAL_NONE) {
                buf_addf(&sql, "%s%s = ?", n ? ", " : "", t->col[i]);
                v[n++] = &c->new[i];
            }
        for (size_t k = 0; k < t->nkey; k++) {
            buf_addf(&sql, "%s%s = ?", k ? " AND " : " WHERE ", t->col[t->key[k]]);
            v[n++] = &c->old[t->key[k]];
        }
    }
    struct stmt *s = db_prepare(copy, buf_text(&sql));
    int rc = s ? 0 : -1;
    for (int i = 0; s && i < n; i++)
        stmt_bind(s, i + 1, v[i]);
    rc = rc || stmt_run(s);
    if (rc == 0 && c->op != CHANGE_INSERT && db_changes(copy) != 1) {
        snprintf(trouble, sizeof trouble, "an archive %ss %s, which the copy does not hold",
                 change_op_name(c->op), change_show(c));
        rc = -2;
    }
    stmt_free(s);
    buf_free(&sql);
    return rc;
}

static int put_archive(struct db *copy, const char *path)
{
    const struct dx_head *head;
    struct change c;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct dx_reader *r = dx_reader_open(fd, path);
    int got = dx_next(r, &head);
    while (got > 0 && (got = dx_read(r, &c)) > 0) {
        got = put_change(copy, &c) ? -1 : 1;
        if (got < 0)
            break;
    }
    dx_reader_close(r);
    close(fd);
    if (got < 0 && trouble[0] == 0)
        broke(err_message());
    return got;
}

static struct db *new_copy(const struct history *h, int node)
{
    char *path = mem_printf("n%d.db", node);
    struct buf b = {0};
    struct db *copy = db_open(path, DB_CREATE);
    plot_schema(h, &b);
    if (copy && db_exec(copy, buf_text(&b)) == 0)
        db_exec(copy, "PRAGMA synchronous = OFF");
    buf_free(&b);
    free(path);
    return copy;
}

static long long rows_by_rule; /* compared; were there none, nothing would be proven */

static int check_table(const struct history *h, struct db *hq, struct db *copy, int node, int t, int day)
{
    const struct sim_table *table = &h->table[t];
    struct buf b = {0}, why = {0};
    char name[16], *mine = mem_printf("SELECT * FROM %s", table->name);
    size_t n;
    snprintf(name, sizeof name, "n%d", node);
    if (table->object)
        plot_view(h, t, name, day, &b);
    else
        buf_addf(&b, "SELECT * FROM %s WHERE 0", table->name);
    buf_addf(&why, "%s, %s: ", name, table->name);
    int same = same_rows(hq, buf_text(&b), copy, mine, &why, &n);
    if (table->visible == RULE)
        rows_by_rule += (long long)n;
    /* A rule that fails on a value here need not fail in the router, which asks for less: there is nothing to compare with
     * until the value has gone, and then all is compared. */
    if (same < 0 && strstr(err_message(), "integer overflow"))
        same = 1;
    if (same <= 0)
        broke(same ? err_message() : buf_text(&why));
    free(mine);
    buf_free(&b);
    buf_free(&why);
    return same > 0 ? 0 : -1;
}

/* Whether the router has set the table's object aside: 1, 0, -1. */
static int set_aside(struct db *hq, const char *table)
{
    int64_t n;
    return db_get_int(hq, &n,
                      "SELECT count(*) FROM dx_set_aside AS a JOIN dx_object AS o ON o.id = a.obj WHERE "
                      "a.kind = 'object' "
                      "AND o.name = %Q",
                      table)
               ? -1
               : n > 0;
}

static long long aside; /* objects that were so, when copies were compared */

static int check_copy(const struct history *h, struct db *hq, struct db *copy, int node, int day)
{
    for (int t = 0; t < h->ntable; t++) {
        int left = set_aside(hq, h->table[t].name);
        aside += left > 0;
        if (left < 0 || (left == 0 && check_table(h, hq, copy, node, t, day)))
            return -1;
    }
    return 0;
}

struct run {
    struct db *hq, *copy[NODES];
    int number[NODES]; /* newest archive seen */
};

/* Takes what the last run put into the node's outbox. */
static int fetch(struct run *r, int node)
{
    for (;;) {
        char *path = mem_printf("docking/n%d/outbox/%08d.dx", node, r->number[node] + 1);
        bool there = access(path, F_OK) == 0;
        int rc = there ? put_archive(r->copy[node], path) : 0;
        if (there)
            unlink(path);
        free(path);
        if (rc || !there)
            return rc ? -1 : 0;
        r->number[node]++;
    }
}

static int add_node(const struct history *h, struct run *r, const char *text, int day)
{
    int node = text[1] - '0';
    struct buf path = {0};
    /* Exit 1: an object is set aside, which check_copy() heeds. */
    if (command("txnroute node add hq.db %s --package p && { txnroute extract hq.db n%d --now 2025-01-%02d > "
                "n%d.dx || [ $? -eq 1 ]; }",
                text, node, day, node))
        return -1;
    r->copy[node] = new_copy(h, node);
    buf_addf(&path, "n%d.dx", node);
    const struct dx_head *head;
    int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC);
    struct dx_reader *reader = dx_reader_open(fd, "extract");
    if (dx_next(reader, &head) > 0)
        r->number[node] = (int)head->number;
    dx_reader_close(reader);
    close(fd);
    int rc = put_archive(r->copy[node], buf_text(&path));
    buf_free(&path);
    return rc;
}

/* One run, in this process; after one archive that is not fetched, a node's are set aside. */
static int run_router(int day)
{
    char now[32];
    struct route_done done;
    struct route route = {.docking = "docking", .now = now, .log = -1, .suspend_after = 1};
    snprintf(now, sizeof now, "2025-01-%02d", day);
    struct db *db = db_open("hq.db", DB_WRITE);
    int rc = db && db_exec(db, "PRAGMA synchronous = OFF") == 0 ? route_run(db, &route, &done) : -1;
    if (rc)
        broke(err_message());
    db_close(db);
    return rc;
}

static int fetch_present(struct run *r, const char *away)
{
    for (int n = 0; n < NODES; n++)
        if (r->copy[n] && strchr(away, '0' + n) == NULL && fetch(r, n))
            return -1;
    return 0;
}

static int route(const struct history *h, struct run *r, const char *away, int day)
{
    /* Who was away gets what was set aside with the run after it has fetched. */
    if (run_router(day) || fetch_present(r, away) || run_router(day) || fetch_present(r, away))
        return -1;
    for (int n = 0; n < NODES; n++)
        if (r->copy[n] && strchr(away, '0' + n) == NULL && check_copy(h, r->hq, r->copy[n], n, day))
            return -1;
    return 0;
}

static int run_step(const struct history *h, struct run *r, const struct sim_step *s)
{
    switch (s->kind) {
    case STEP_SQL:
        /* A statement may violate a constraint: then it does nothing. */
        if (db_exec(r->hq, s->text) && err_code() != ERR_REFUSED)
            return broke(err_message());
        return 0;
    case STEP_USER:
        return r->copy[s->text[1] - '0'] ? command("txnroute node set hq.db %s", s->text) : 0;
    case STEP_ADD:
        return add_node(h, r, s->text, s->day);
    default:
        return route(h, r, s->text, s->day);
    }
}

/* ---- what load says ---- */

/* load must refuse what is to be refused, by its own decision and with a word on what to do instead, and must say of
 * each rule whether it is evaluated whole. */
static int load(const struct history *h)
{
    struct buf line = {0};
    int rc = system("txnroute load hq.db p 2>said"), code = WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
    char *said = read_text("said");
    if (code != (h->refused ? 3 : 0))
        buf_addf(&line, "load: exit %d, %s", code, said);
    else if (h->refused && strstr(said, "object t0") == NULL)
        buf_addf(&line, "load refuses, but does not name object t0: %s", said);
    for (int t = 0; line.n == 0 && !h->refused && t < h->ntable; t++) {
        char *word = mem_printf("object t%d: evaluated whole", t);
        if (h->table[t].object && h->table[t].whole && strstr(said, word) == NULL)
            buf_addf(&line, "load does not say that the rule of t%d is evaluated whole, but: %s", t, said);
        free(word);
    }
    rc = line.n ? broke(buf_text(&line)) : 0;
    free(said);
    buf_free(&line);
    return rc;
}

/* 0 when every copy was right, -1 with `trouble` when not. */
static int run_history(const struct history *h)
{
    struct run r = {0};
    struct buf schema = {0}, package = {0};
    trouble[0] = 0;
    plot_schema(h, &schema);
    plot_package(h, &package);
    if (command("rm -rf docking *.db* *.dx p; mkdir -p p docking") || write_file("p/package.conf", &package))
        return -1;
    r.hq = db_open("hq.db", DB_CREATE);
    int rc = r.hq && db_exec(r.hq, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF") == 0 &&
                     db_exec(r.hq, buf_text(&schema)) == 0
                 ? 0
                 : broke(err_message());
    rc = rc || command("txnlog attach hq.db") || load(h);
    for (int s = 0; rc == 0 && !h->refused && s < h->nstep; s++)
        if (!h->step[s].off)
            rc = run_step(h, &r, &h->step[s]);
    for (int n = 0; n < NODES; n++)
        db_close(r.copy[n]);
    db_close(r.hq);
    buf_free(&schema);
    buf_free(&package);
    return rc ? -1 : 0;
}

/* ---- shrinking and telling ---- */

static void shrink(struct history *h)
{
    bool smaller = true;
    for (int round = 0; smaller && round < 3; round++) {
        smaller = false;
        for (int s = h->nstep - 1; s >= 0; s--) {
            if (h->step[s].off || (h->step[s].kind == STEP_ADD && h->step[s].text[1] == '0'))
                continue;
            h->step[s].off = true;
            if (run_history(h) == 0)
                h->step[s].off = false;
            else
                smaller = true;
        }
    }
    run_history(h);
}

static void tell(const struct history *h)
{
    static const char *const words[] = {[STEP_USER] = "txnroute node set hq.db ",
                                        [STEP_ADD] = "txnroute node add hq.db ",
                                        [STEP_ROUTE] = "txnroute run hq.db docking; away: ",
                                        [STEP_SQL] = "sqlite3 hq.db \""};
    struct buf b = {0};
    plot_schema(h, &b);
    plot_package(h, &b);
    buf_puts(&b, "\n");
    for (int s = 0; s < h->nstep; s++) {
        const struct sim_step *x = &h->step[s];
        if (x->off)
            continue;
        buf_addf(&b, "%s%s%s", words[x->kind], x->text, x->kind == STEP_SQL ? "\"" : "");
        if (x->kind == STEP_ADD || x->kind == STEP_ROUTE)
            buf_addf(&b, "  --now 2025-01-%02d", x->day);
        buf_puts(&b, "\n");
    }
    printf("seed %llu: %s\n\n%s", (unsigned long long)h->seed, trouble, buf_text(&b));
    buf_free(&b);
}

/* What histories were made of, so that one sees that nothing is missing. */
struct census {
    long long refused, whole, followed, below, all, filtered;
};

static void count(struct census *c, const struct history *h)
{
    c->refused += h->refused;
    for (int t = 0; t < h->ntable && !h->refused; t++) {
        const struct sim_table *x = &h->table[t];
        if (!x->object)
            continue;
        c->whole += x->visible == RULE && x->whole;
        c->followed += x->visible == RULE && !x->whole;
        c->below += x->visible == VIA;
        c->all += x->visible == ALL;
        c->filtered += x->keep != NULL;
    }
}

static int play(uint64_t seed, struct census *census)
{
    struct history *h = plot_make(seed);
    int rc = run_history(h);
    if (rc) {
        shrink(h);
        tell(h);
    }
    count(census, h);
    plot_free(h);
    return rc;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    struct census c = {0};
    argc -= verbose;
    argv += verbose;
    if (argc < 3) {
        fprintf(stderr, "usage: route-sim [-v] FROM TO [DIR]\n");
        return 2;
    }
    uint64_t from = strtoull(argv[1], NULL, 10), to = strtoull(argv[2], NULL, 10);
    if (argc > 3 && chdir(argv[3])) {
        perror(argv[3]);
        return 2;
    }
    for (uint64_t seed = from; seed < to; seed++)
        if (play(seed, &c))
            return 1;
    printf("%llu histories, every copy as its rules say\n", (unsigned long long)(to - from));
    if (verbose)
        printf(
            "%lld refused; of the others: %lld rules followed, %lld evaluated whole, %lld objects below "
            "others, "
            "%lld for all; %lld with time filters; %lld rows by rules; %lld times an object was set aside\n",
            c.refused, c.followed, c.whole, c.below, c.all, c.filtered, rows_by_rule, aside);
    return 0;
}
