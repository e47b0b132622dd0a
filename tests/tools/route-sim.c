/* route-sim: random schemas, rules and histories for txnroute, each copy compared with a from-scratch evaluation.
 *
 *   route-sim FROM TO [DIR]     seeds FROM to TO-1; works in DIR (default: .)
 *
 * A history is a schema, a package, nodes, and steps: SQL, node commands, runs of the router, in some of which nodes
 * are away. After each run
 * the archives are applied here, by simple means, and each node's copy is compared with what the rules say now,
 * evaluated one by one. The first history that fails is shrunk and printed with its seed; exit 1. */
#include "buf.h"
#include "db.h"
#include "dx.h"
#include "err.h"
#include "mem.h"
#include "route.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLES = 6, NODES = 4, STEPS = 400 };

/* ---- chance ---- */

static uint64_t seed_state;

static uint64_t next_random(void)
{
    seed_state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = seed_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int n)
{
    return (int)(next_random() % (uint64_t)n);
}

static bool chance(int percent)
{
    return below(100) < percent;
}

static const char *any(const char *const *list, int n)
{
    return list[below(n)];
}
#define ANY(...)                            \
    any((const char *const[]){__VA_ARGS__}, \
        (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* ---- a history ---- */

enum visible { ALL, NONE, RULE, VIA };

struct sim_table {
    char name[16];
    const char *type[4]; /* of id, a, b, c */
    bool composite;      /* key (id, a) */
    bool object;         /* routed at all */
    enum visible visible;
    char *arm[3]; /* RULE: arms of a UNION, or one rule evaluated whole */
    int narm;
    const char *glue; /* UNION or UNION ALL */
    int parent;       /* VIA */
    const char *column;
};

struct sim_step {
    enum { STEP_SQL, STEP_USER, STEP_ADD, STEP_ROUTE } kind;
    char *text; /* SQL, or the arguments of txnroute node */
    bool off;   /* taken out while shrinking */
};

struct history {
    uint64_t seed;
    int ntable;
    struct sim_table table[TABLES];
    char *view; /* CREATE VIEW, or NULL */
    int nnode, nstep;
    struct sim_step step[STEPS];
};

static const char *const letters[] = {"id", "a", "b", "c"};

static const char *any_column(void)
{
    return letters[below(4)];
}

static char *any_value(void)
{
    return mem_text(ANY("NULL", "0", "1", "2", "3", "'x'", "'X'", "'1'", "'01'", "2.0", "x'78'", "1", "2"));
}

static char *any_key(void)
{
    return chance(80) ? mem_printf("%d", below(7)) : mem_text(ANY("'x'", "'X'", "'1'"));
}

/* One arm of a rule for table t: 1 to 3 occurrences of tables and of dx_node, joins, terms. */
static char *make_arm(struct history *h, int t)
{
    struct buf b = {0};
    const char *name[4], *alias[4] = {"x0", "x1", "x2", "x3"};
    bool is_node[4] = {0};
    int n = 0, want = 1 + below(3);
    if (chance(85))
        name[n++] = h->table[t].name;
    while (n < want)
        name[n++] = h->table[below(h->ntable)].name;
    name[n] = "dx_node";
    is_node[n++] = true;
    int own = -1;
    for (int i = 0; i < n; i++) { /* a random order */
        int j = i + below(n - i);
        const char *other = name[i];
        bool node = is_node[i];
        name[i] = name[j];
        is_node[i] = is_node[j];
        name[j] = other;
        is_node[j] = node;
    }
    int node = 0;
    for (int i = 0; i < n; i++) {
        if (is_node[i])
            node = i;
        else if (strcmp(name[i], h->table[t].name) == 0)
            own = i;
    }
    char *anycol[8];
    for (int i = 0; i < 8; i++) {
        int o = below(n);
        anycol[i] = mem_printf("%s.%s", alias[o], is_node[o] ? "user" : any_column());
    }
    char *key = own >= 0 && chance(92) ? mem_printf("%s.id", alias[own]) : mem_text(anycol[0]);
    buf_addf(&b, "SELECT %s%s.name, %s FROM ", chance(15) ? "DISTINCT " : "", alias[node], key);
    for (int i = 0; i < n; i++) {
        if (i == 0)
            buf_addf(&b, "%s %s", name[i], alias[i]);
        else if (chance(12))
            buf_addf(&b, ", %s AS %s", name[i], alias[i]);
        else {
            int j = below(i);
            buf_addf(&b, " JOIN %s %s ON %s.%s = %s.%s", name[i], alias[i], alias[j],
                     is_node[j] ? "user" : any_column(), alias[i], is_node[i] ? "user" : any_column());
        }
    }
    const char *word = " WHERE ";
    for (int i = below(3); i > 0; i--, word = " AND ") {
        switch (below(6)) {
        case 0:
            buf_addf(&b, "%s%s = %d", word, anycol[1], below(3));
            break;
        case 1:
            buf_addf(&b, "%s%s = %s", word, anycol[2], anycol[3]);
            break;
        case 2:
            buf_addf(&b, "%s%s <> %d", word, anycol[4], below(2));
            break;
        case 3:
            buf_addf(&b, "%s(%s IS NULL OR %s > 0)", word, anycol[5], anycol[6]);
            break;
        case 4:
            buf_addf(&b, "%sNOT (%s = 1 OR %s = 2)", word, anycol[1], anycol[4]);
            break;
        default:
            buf_addf(&b, "%scoalesce(%s, 1) = 1", word, anycol[7]);
        }
    }
    if (chance(30)) {
        buf_addf(&b, "%sEXISTS (SELECT 1 FROM %s s1 WHERE s1.%s = %s%s)", word,
                 h->table[below(h->ntable)].name, any_column(), anycol[below(8)],
                 chance(30) ? " AND s1.c > 0" : "");
        word = " AND ";
    }
    if (chance(15)) {
        buf_addf(&b, "%s%s IN (SELECT %s FROM %s WHERE c = 1)", word, anycol[below(8)], any_column(),
                 h->table[below(h->ntable)].name);
        word = " AND ";
    }
    if (chance(10)) {
        buf_addf(&b, "%s(%s = 1 OR EXISTS (SELECT 1 FROM %s s5 WHERE s5.b = %s))", word, anycol[below(8)],
                 h->table[below(h->ntable)].name, anycol[below(8)]);
        word = " AND ";
    }
    if (chance(25))
        buf_addf(&b, "%sNOT EXISTS (SELECT 1 FROM %s s2 WHERE s2.%s = %s)", word,
                 h->table[below(h->ntable)].name, any_column(), anycol[below(8)]);
    for (int i = 0; i < 8; i++)
        free(anycol[i]);
    free(key);
    return buf_take(&b);
}

/* A rule that must be evaluated whole. */
static char *make_full(struct history *h, int t)
{
    const char *own = h->table[t].name, *other = h->table[below(h->ntable)].name;
    switch (below(5)) {
    case 0:
        return mem_printf(
            "SELECT n.name, x.id FROM %s x JOIN dx_node n ON n.user = x.%s LEFT JOIN %s y ON y.%s = x.%s "
            "WHERE y.id IS NULL",
            own, any_column(), other, any_column(), any_column());
    case 1:
        return mem_printf(
            "SELECT n.name, x.id FROM %s x JOIN dx_node n ON n.user = x.%s WHERE x.%s NOT IN (SELECT %s "
            "FROM %s)",
            own, any_column(), any_column(), any_column(), other);
    case 2:
        return mem_printf(
            "SELECT n.name, x.id FROM %s x JOIN dx_node n ON n.user = x.%s JOIN %s y ON y.%s = x.%s "
            "GROUP BY n.name, x.id HAVING count(*) > 1",
            own, any_column(), other, any_column(), any_column());
    case 3:
        return mem_printf(
            "SELECT n.name, x.id FROM %s x JOIN dx_node n ON n.user = x.%s EXCEPT SELECT n.name, y.id FROM "
            "%s y JOIN dx_node n ON n.user = y.%s",
            own, any_column(), other, any_column());
    default:
        return h->view
                   ? mem_printf("SELECT n.name, v.k FROM v0 v JOIN dx_node n ON n.user = v.u")
                   : mem_printf("SELECT n.name, x.id FROM %s x JOIN dx_node n ON n.user = x.%s WHERE x.%s = "
                                "(SELECT max(%s) FROM %s)",
                                own, any_column(), any_column(), any_column(), other);
    }
}

static const char *key_type(const struct sim_table *t)
{
    return t->type[0];
}

static void make_object(struct history *h, int t)
{
    struct sim_table *x = &h->table[t];
    int q = below(100);
    x->object = t == 0 || chance(92);
    x->visible = q < 8 ? ALL : q < 14 ? NONE : RULE;
    for (int tries = 0; t > 0 && chance(50) && tries < 8;
         tries++) { /* below a parent with a key of the same type */
        int p = below(t), column = 1 + below(3);
        if (h->table[p].object && !h->table[p].composite &&
            strcmp(x->type[column], key_type(&h->table[p])) == 0) {
            x->visible = VIA;
            x->parent = p;
            x->column = letters[column];
            return;
        }
    }
    if (x->composite && x->visible == RULE)
        x->visible = ALL;
    if (x->visible != RULE)
        return;
    x->glue = chance(50) ? "UNION" : "UNION ALL";
    if (chance(15)) {
        x->arm[x->narm++] = make_full(h, t);
        return;
    }
    for (int n = chance(60) ? 1 : 2 + below(2); x->narm < n;)
        x->arm[x->narm++] = make_arm(h, t);
}

static void make_tables(struct history *h)
{
    const char *same = chance(60) ? ANY("", "INTEGER", "TEXT") : NULL;
    h->ntable = 3 + below(TABLES - 2);
    for (int t = 0; t < h->ntable; t++) {
        struct sim_table *x = &h->table[t];
        snprintf(x->name, sizeof x->name, "t%d", t);
        for (int c = 0; c < 4; c++)
            x->type[c] = same ? same : ANY("", "INTEGER", "TEXT", "NUMERIC");
        if (chance(15))
            x->type[3] = "TEXT COLLATE NOCASE";
        x->composite = t > 0 && chance(20);
    }
    if (chance(20))
        h->view = mem_printf("CREATE VIEW v0 AS SELECT x.id AS k, x.%s AS u FROM %s x WHERE x.c IS NOT NULL",
                             any_column(), h->table[0].name);
    for (int t = 0; t < h->ntable; t++)
        make_object(h, t);
}

static void add_step(struct history *h, int kind, char *text)
{
    if (h->nstep < STEPS)
        h->step[h->nstep++] = (struct sim_step){.kind = kind, .text = text};
    else
        free(text);
}

static char *make_statement(const struct history *h)
{
    const struct sim_table *t = &h->table[below(h->ntable)];
    char *v[4] = {any_key(), any_value(), any_value(), any_value()};
    char *sql;
    int q = below(100);
    if (t->composite && strcmp(v[1], "NULL") == 0)
        memcpy(v[1], "1", 2);
    if (q < 45)
        sql = mem_printf("INSERT OR IGNORE INTO %s VALUES (%s, %s, %s, %s)", t->name, v[0], v[1], v[2], v[3]);
    else if (q < 52)
        sql =
            mem_printf("INSERT OR REPLACE INTO %s VALUES (%s, %s, %s, %s)", t->name, v[0], v[1], v[2], v[3]);
    else if (q < 80)
        sql = mem_printf("UPDATE %s SET %s = %s WHERE id = %s", t->name,
                         t->composite ? ANY("b", "c") : ANY("a", "b", "c"), v[1], v[0]);
    else if (q < 86)
        sql = mem_printf(
            "UPDATE OR IGNORE %s SET id = %s WHERE id = (SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)",
            t->name, v[0], t->name, below(4));
    else
        sql = mem_printf("DELETE FROM %s WHERE id = %s", t->name, v[0]);
    for (int i = 0; i < 4; i++)
        free(v[i]);
    return sql;
}

static char *make_user(void)
{
    return mem_text(ANY("1", "2", "3", "x", "0"));
}

/* The nodes that are away in a run, as digits. */
static char *make_away(const struct history *h)
{
    struct buf b = {0};
    for (int n = 0; n < h->nnode; n++)
        if (chance(45))
            buf_addf(&b, "%d", n);
    return buf_take(&b);
}

static void make_steps(struct history *h)
{
    for (int i = 5 + below(25); i > 0; i--)
        add_step(h, STEP_SQL, make_statement(h));
    h->nnode = 2 + below(2);
    for (int n = 0; n < h->nnode; n++) {
        char *user = make_user();
        add_step(h, STEP_ADD, mem_printf("n%d --user %s", n, user));
        free(user);
    }
    for (int run = 2 + below(5); run > 0; run--) {
        for (int i = below(14); i > 0; i--)
            add_step(h, STEP_SQL, make_statement(h));
        char *user = make_user();
        if (chance(20))
            add_step(h, STEP_USER, mem_printf("n%d --user %s", below(h->nnode), user));
        if (chance(10) && h->nnode < NODES)
            add_step(h, STEP_ADD, mem_printf("n%d --user %s", h->nnode++, user));
        free(user);
        add_step(h, STEP_ROUTE, make_away(h));
    }
    add_step(h, STEP_ROUTE, mem_text(""));
}

static struct history *make_history(uint64_t seed)
{
    struct history *h = mem_zero(1, sizeof *h);
    h->seed = seed_state = seed;
    next_random();
    make_tables(h);
    make_steps(h);
    return h;
}

static void free_history(struct history *h)
{
    for (int t = 0; t < h->ntable; t++)
        for (int a = 0; a < h->table[t].narm; a++)
            free(h->table[t].arm[a]);
    for (int s = 0; s < h->nstep; s++)
        free(h->step[s].text);
    free(h->view);
    free(h);
}

/* ---- what it says, as files ---- */

static void put_schema(const struct history *h, struct buf *b)
{
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        buf_addf(b, "CREATE TABLE %s (id %s NOT NULL, a %s%s, b %s, c %s, PRIMARY KEY (%s))%s;\n", x->name,
                 x->type[0], x->type[1], x->composite ? " NOT NULL" : "", x->type[2], x->type[3],
                 x->composite ? "id, a" : "id", t % 3 == 2 ? " WITHOUT ROWID" : "");
        if (t % 2 == 0)
            buf_addf(b, "CREATE INDEX %s_b ON %s (b);\n", x->name, x->name);
    }
    if (h->view)
        buf_addf(b, "%s;\n", h->view);
}

static void put_package(const struct history *h, struct buf *b)
{
    buf_puts(b, "[package]\nname = p\nversion = 1\n");
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        if (!x->object)
            continue;
        buf_addf(b, "\n[object %s]\n", x->name);
        if (x->visible == ALL || x->visible == NONE)
            buf_addf(b, "visible = %s\n", x->visible == ALL ? "all" : "none");
        else if (x->visible == VIA)
            buf_addf(b, "via = %s -> %s\n", x->column, h->table[x->parent].name);
        else
            for (int a = 0; a < x->narm; a++)
                buf_addf(b, "%s%s%s%s\n", a ? "  " : "visible = ", a ? x->glue : "", a ? " " : "", x->arm[a]);
    }
}

/* Appends the rows of table t that the node should have, as SQL: SELECT x.* FROM t x WHERE ... */
static void put_view(const struct history *h, int t, const char *node, struct buf *b)
{
    const struct sim_table *x = &h->table[t];
    buf_addf(b, "SELECT x.* FROM main.%s x WHERE ", x->name);
    if (x->visible == ALL)
        buf_puts(b, "1");
    else if (x->visible == NONE)
        buf_puts(b, "0");
    else if (x->visible == VIA) {
        buf_addf(b, "EXISTS (SELECT 1 FROM (");
        put_view(h, x->parent, node, b);
        buf_addf(b, ") p WHERE p.id = x.%s)", x->column);
    }
    for (int a = 0; a < x->narm; a++)
        buf_addf(b,
                 "%sEXISTS (WITH r(node, key) AS (%s) SELECT 1 FROM r JOIN dx_node y ON y.name = r.node "
                 "WHERE y.name = '%s' AND x.id = r.key)",
                 a ? " OR " : "", x->arm[a], node);
}

/* ---- running it ---- */

static char *directory;

static char trouble[4096];

static int broke(const char *what)
{
    snprintf(trouble, sizeof trouble, "%s", what);
    return -1;
}

static int __attribute__((format(printf, 1, 2))) command(const char *fmt, ...)
{
    struct buf b = {0};
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_addf(&b, "cd %s && ( %s ) 2>err", directory, line);
    int rc = system(buf_text(&b));
    buf_clear(&b);
    if (rc) {
        struct buf why = {0};
        buf_addf(&b, "%s/err", directory);
        FILE *f = fopen(buf_text(&b), "r");
        char text[1024];
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        text[n] = 0;
        if (f)
            fclose(f);
        buf_addf(&why, "%s\n  -> %s", line, text);
        broke(buf_text(&why));
        buf_free(&why);
    }
    buf_free(&b);
    return rc ? -1 : 0;
}

static int write_file(const char *name, struct buf *b)
{
    char *path = mem_printf("%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    free(path);
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
    char *path = mem_printf("%s/n%d.db", directory, node);
    struct buf b = {0};
    struct db *copy = db_open(path, DB_CREATE);
    put_schema(h, &b);
    if (copy && db_exec(copy, buf_text(&b)) == 0)
        db_exec(copy, "PRAGMA synchronous = OFF");
    buf_free(&b);
    free(path);
    return copy;
}

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
        for (int i = 0; i < 4; i++) {
            struct val v = stmt_val(s, i);
            val_put(b, &v);
        }
    }
    stmt_free(s);
    if (out->n)
        qsort(out->row, out->n, sizeof *out->row, by_bytes);
    return step == STEP_DONE ? 0 : broke(err_message());
}

static void show_row(struct buf *b, const struct buf *row)
{
    struct wire w = wire_over(row->p, row->n);
    for (int i = 0; i < 4; i++) {
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
        buf_addf(&b, "n%d, %s: should hold %zu rows, holds %zu; first difference: ", node, table, want->n,
                 have->n);
        buf_puts(&b, "should be (");
        if (w)
            show_row(&b, &want->row[i]);
        buf_puts(&b, "), is (");
        if (v)
            show_row(&b, &have->row[i]);
        buf_puts(&b, ")");
        broke(buf_text(&b));
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

static int check_copy(const struct history *h, struct db *hq, struct db *copy, int node)
{
    int rc = 0;
    char name[16];
    snprintf(name, sizeof name, "n%d", node);
    for (int t = 0; rc == 0 && t < h->ntable; t++) {
        struct buf b = {0};
        struct rows want = {0}, have = {0};
        char *mine = mem_printf("SELECT * FROM %s", h->table[t].name);
        if (h->table[t].object)
            put_view(h, t, name, &b);
        else
            buf_addf(&b, "SELECT * FROM %s WHERE 0", h->table[t].name);
        rc = load_rows(hq, buf_text(&b), &want) || load_rows(copy, mine, &have) ||
             compare_rows(&want, &have, h->table[t].name, node);
        free(mine);
        buf_free(&b);
        free_rows(&want);
        free_rows(&have);
    }
    return rc ? -1 : 0;
}

struct run {
    struct db *hq, *copy[NODES];
    int number[NODES]; /* newest archive seen */
};

/* Takes what the last run put into the node's outbox. */
static int fetch(struct run *r, int node)
{
    for (;;) {
        char *path = mem_printf("%s/docking/n%d/outbox/%08d.dx", directory, node, r->number[node] + 1);
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

static int add_node(const struct history *h, struct run *r, const char *text)
{
    int node = text[1] - '0';
    struct buf path = {0};
    if (command("txnroute node add hq.db %s --package p && txnroute extract hq.db n%d > n%d.dx", text, node,
                node))
        return -1;
    r->copy[node] = new_copy(h, node);
    buf_addf(&path, "%s/n%d.dx", directory, node);
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
static int run_router(void)
{
    struct route_done done;
    char *path = mem_printf("%s/hq.db", directory), *docking = mem_printf("%s/docking", directory);
    struct route route = {.docking = docking, .log = -1, .fold = 1};
    struct db *db = db_open(path, DB_WRITE);
    int rc = db && db_exec(db, "PRAGMA synchronous = OFF") == 0 ? route_run(db, &route, &done) : -1;
    if (rc)
        broke(err_message());
    db_close(db);
    free(path);
    free(docking);
    return rc;
}

static int fetch_present(struct run *r, const char *away)
{
    for (int n = 0; n < NODES; n++)
        if (r->copy[n] && strchr(away, '0' + n) == NULL && fetch(r, n))
            return -1;
    return 0;
}

static int route(const struct history *h, struct run *r, const char *away)
{
    /* Who was away gets what was set aside with the run after it has fetched. */
    if (run_router() || fetch_present(r, away) || run_router() || fetch_present(r, away))
        return -1;
    for (int n = 0; n < NODES; n++)
        if (r->copy[n] && strchr(away, '0' + n) == NULL && check_copy(h, r->hq, r->copy[n], n))
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
        return add_node(h, r, s->text);
    default:
        return route(h, r, s->text);
    }
}

/* 0 when every copy was right, -1 with `trouble` when not, 1 when the package is refused. */
static int run_history(const struct history *h)
{
    struct run r = {0};
    struct buf schema = {0}, package = {0};
    trouble[0] = 0;
    put_schema(h, &schema);
    put_package(h, &package);
    if (command("rm -rf docking *.db* *.dx p; mkdir -p p docking") || write_file("p/package.conf", &package))
        return -1;
    char *path = mem_printf("%s/hq.db", directory);
    r.hq = db_open(path, DB_CREATE);
    free(path);
    int rc = r.hq && db_exec(r.hq, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF") == 0 &&
                     db_exec(r.hq, buf_text(&schema)) == 0
                 ? 0
                 : broke(err_message());
    rc = rc || command("txnlog attach hq.db && txnroute load hq.db p");
    for (int s = 0; rc == 0 && s < h->nstep; s++)
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
                                        [STEP_ROUTE] = "txnroute run hq.db docking",
                                        [STEP_SQL] = "sqlite3 hq.db \""};
    struct buf b = {0};
    put_schema(h, &b);
    put_package(h, &b);
    buf_puts(&b, "\n");
    for (int s = 0; s < h->nstep; s++)
        if (!h->step[s].off)
            buf_addf(&b, "%s%s%s\n", words[h->step[s].kind], h->step[s].text,
                     h->step[s].kind == STEP_SQL ? "\"" : "");
    printf("seed %llu: %s\n\n%s", (unsigned long long)h->seed, trouble, buf_text(&b));
    buf_free(&b);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: route-sim FROM TO [DIR]\n");
        return 2;
    }
    uint64_t from = strtoull(argv[1], NULL, 10), to = strtoull(argv[2], NULL, 10);
    directory = mem_text(argc > 3 ? argv[3] : ".");
    for (uint64_t seed = from; seed < to; seed++) {
        struct history *h = make_history(seed);
        if (run_history(h)) {
            shrink(h);
            tell(h);
            free_history(h);
            return 1;
        }
        free_history(h);
    }
    printf("%llu histories, every copy as its rules say\n", (unsigned long long)(to - from));
    return 0;
}
