/* plot: see plot.h. */
#include "plot.h"

#include "base/mem.h"
#include "random.h"
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the package ---- */

static void add_arm(struct sim_table *x, char *arm, bool whole)
{
    x->arm[x->narm++] = arm;
    x->whole |= whole;
}

static void make_rule(struct history *h, int t)
{
    struct sim_table *x = &h->table[t];
    bool alone = false;
    x->visible = RULE;
    x->glue = chance(50) ? "UNION" : "UNION ALL";
    if (chance(25))
        add_arm(x, rules_whole(h, t, &alone), true);
    if (!alone)
        for (int n = x->narm && chance(60) ? 0 : chance(60) ? 1 : 2 + below(2); n > 0; n--)
            add_arm(x, rules_followed(h, t), false);
}

/* Below a parent whose key has the types of some columns. */
static bool make_child(struct history *h, int t)
{
    struct sim_table *x = &h->table[t];
    int p = below(t), c = 1 + below(3), d = 1 + below(3);
    const struct sim_table *parent = &h->table[p];
    if (!parent->object || strcmp(x->type[c], parent->type[0]) != 0)
        return false;
    if (parent->composite && (c == d || strcmp(x->type[d], parent->type[1]) != 0))
        return false;
    static const char *const letters[] = {"id", "a", "b", "c"};
    x->visible = VIA;
    x->parent = p;
    x->column = letters[c];
    x->column2 = parent->composite ? letters[d] : NULL;
    return true;
}

static void make_object(struct history *h, int t)
{
    struct sim_table *x = &h->table[t];
    int q = below(100);
    bool child = false;
    x->object = t == 0 || chance(92);
    x->visible = q < 8 ? ALL : NONE;
    for (int tries = 0; t > 0 && !child && chance(50) && tries < 8; tries++)
        child = make_child(h, t);
    if (!child && q >= 14)
        make_rule(h, t);
    if (x->visible != NONE && chance(15))
        x->keep = rules_keep();
    x->brittle = x->visible != NONE && !x->keep && chance(15);
    if (x->brittle)
        x->keep = mem_text("abs(iif(b = " PLOT_POISON ", -9223372036854775807 - 1, 1)) > 0");
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
        h->view = mem_printf("CREATE VIEW v0 AS SELECT x.id AS k, x.%s AS u FROM t0 x WHERE x.c IS NOT NULL",
                             rules_column());
    if (chance(40)) {
        h->list = ANY("a", "b", "c");
        h->list_type = same ? same : ANY("", "INTEGER", "TEXT", "TEXT COLLATE NOCASE");
    }
    for (int t = 0; t < h->ntable; t++)
        make_object(h, t);
    h->refused = chance(6);
    if (h->refused) {
        struct sim_table *x = &h->table[0];
        while (x->narm)
            free(x->arm[--x->narm]);
        x->visible = RULE;
        add_arm(x, rules_refused(h, 0), false);
    }
}

/* ---- steps ---- */

static void add_step(struct history *h, int kind, char *text, int day)
{
    if (h->nstep < STEPS)
        h->step[h->nstep++] = (struct sim_step){.kind = kind, .text = text, .day = day};
    else
        free(text);
}

static char *any_key(void)
{
    return chance(80) ? mem_printf("%d", below(7)) : mem_text(ANY("'x'", "'X'", "'1'"));
}

static char *list_statement(void)
{
    if (chance(65))
        return mem_printf("INSERT OR IGNORE INTO s0 VALUES (%s)", rules_value());
    return mem_printf("DELETE FROM s0 WHERE rowid IN (SELECT rowid FROM s0 LIMIT 1 OFFSET %d)", below(3));
}

static char *make_statement(const struct history *h)
{
    const struct sim_table *t = &h->table[below(h->ntable)];
    if (h->list && chance(8))
        return list_statement();
    char *id = any_key(), *sql;
    const char *v[3] = {rules_value(), rules_value(), rules_value()};
    int q = below(100);
    if (t->composite && strcmp(v[0], "NULL") == 0)
        v[0] = "1";
    if (q < 52)
        sql = mem_printf("INSERT OR %s INTO %s VALUES (%s, %s, %s, %s)", q < 45 ? "IGNORE" : "REPLACE",
                         t->name, id, v[0], v[1], v[2]);
    else if (q < 58) /* many rows at once */
        sql = chance(70) ? mem_printf("UPDATE OR IGNORE %s SET %s = %s WHERE %s IS %s", t->name,
                                      ANY("a", "b", "c"), v[0], ANY("a", "b", "c"), v[1])
                         : mem_printf("DELETE FROM %s WHERE %s IS %s", t->name, ANY("a", "b", "c"), v[1]);
    else if (q < 80)
        sql = mem_printf("UPDATE OR IGNORE %s SET %s = %s WHERE id = %s", t->name, ANY("a", "b", "c"), v[0],
                         id);
    else if (q < 86)
        sql = mem_printf(
            "UPDATE OR IGNORE %s SET id = %s WHERE id = (SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)",
            t->name, id, t->name, below(4));
    else
        sql = mem_printf("DELETE FROM %s WHERE id = %s", t->name, id);
    free(id);
    return sql;
}

static const char *any_user(void)
{
    return ANY("1", "2", "1", "2", "3", "x", "0");
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

/* All that a rule joins changes at once: values change places in several tables, and users with them. */
static void add_upheaval(struct history *h, int day)
{
    for (int t = 0; t < h->ntable; t++) {
        const char *column = ANY("a", "b", "c");
        if (chance(70))
            add_step(
                h, STEP_SQL,
                mem_printf("UPDATE OR IGNORE %s SET %s = CASE %s WHEN 1 THEN 2 WHEN 2 THEN %s ELSE %s END",
                           h->table[t].name, column, column, ANY("1", "1", "3"), column),
                day);
    }
    for (int n = 0; n < h->nnode; n++)
        if (chance(50))
            add_step(h, STEP_USER, mem_printf("n%d --user %s", n, any_user()), day);
}

/* A value on which a rule fails comes, or goes again. */
static void add_poison(struct history *h, bool come, int day)
{
    for (int t = 0; t < h->ntable; t++)
        if (h->table[t].brittle && (!come || chance(50)))
            add_step(h, STEP_SQL,
                     come ? mem_printf("UPDATE %s SET b = " PLOT_POISON
                                       " WHERE id = (SELECT id FROM %s ORDER BY id LIMIT 1 "
                                       "OFFSET %d)",
                                       h->table[t].name, h->table[t].name, below(3))
                          : mem_printf("UPDATE %s SET b = 1 WHERE b = " PLOT_POISON, h->table[t].name),
                     day);
}

static void make_steps(struct history *h)
{
    int day = 1;
    for (int i = 20 + below(25); i > 0; i--)
        add_step(h, STEP_SQL, make_statement(h), day);
    h->nnode = 2 + below(2);
    for (int n = 0; n < h->nnode; n++)
        add_step(h, STEP_ADD, mem_printf("n%d --user %s", n, any_user()), day);
    for (int run = 2 + below(5); run > 0; run--) {
        for (int i = below(14); i > 0; i--)
            add_step(h, STEP_SQL, make_statement(h), day);
        if (chance(20))
            add_step(h, STEP_USER, mem_printf("n%d --user %s", below(h->nnode), any_user()), day);
        if (chance(30))
            add_upheaval(h, day);
        if (chance(60))
            add_poison(h, chance(50), day);
        day += chance(40) ? 1 + below(3) : 0;
        if (chance(10) && h->nnode < NODES)
            add_step(h, STEP_ADD, mem_printf("n%d --user %s", h->nnode++, any_user()), day);
        add_step(h, STEP_ROUTE, make_away(h), day);
    }
    add_poison(h, false, day);
    add_step(h, STEP_ROUTE, mem_text(""), day);
}

struct history *plot_make(uint64_t seed)
{
    struct history *h = mem_zero(1, sizeof *h);
    h->seed = seed;
    random_seed(seed);
    make_tables(h);
    make_steps(h);
    return h;
}

void plot_free(struct history *h)
{
    for (int t = 0; t < h->ntable; t++) {
        for (int a = 0; a < h->table[t].narm; a++)
            free(h->table[t].arm[a]);
        free(h->table[t].keep);
    }
    for (int s = 0; s < h->nstep; s++)
        free(h->step[s].text);
    free(h->view);
    free(h);
}

/* ---- what it says ---- */

void plot_schema(const struct history *h, struct buf *b)
{
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        buf_addf(b, "CREATE TABLE %s (id %s NOT NULL, a %s%s, b %s, c %s, PRIMARY KEY (%s))%s;\n", x->name,
                 x->type[0], x->type[1], x->composite ? " NOT NULL" : "", x->type[2], x->type[3],
                 x->composite ? "id, a" : "id", t % 3 == 2 ? " WITHOUT ROWID" : "");
        if (t % 2 == 0)
            buf_addf(b, "CREATE INDEX %s_b ON %s (b);\n", x->name, x->name);
    }
    if (h->list)
        buf_addf(b, "CREATE TABLE s0 (%s %s NOT NULL PRIMARY KEY);\n", h->list, h->list_type);
    if (h->view)
        buf_addf(b, "%s;\n", h->view);
}

void plot_package(const struct history *h, struct buf *b)
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
            buf_addf(b, "via = %s%s%s -> %s\n", x->column, x->column2 ? ", " : "",
                     x->column2 ? x->column2 : "", h->table[x->parent].name);
        else
            for (int a = 0; a < x->narm; a++)
                buf_addf(b, "%s%s%s%s\n", a ? "  " : "visible = ", a ? x->glue : "", a ? " " : "", x->arm[a]);
        if (x->keep)
            buf_addf(b, "keep = %s\n", x->keep);
    }
}

/* Appends the SQL with 'now' as that day. */
static void put_dated(struct buf *b, const char *sql, int day)
{
    for (const char *now; (now = strstr(sql, "'now'")); sql = now + strlen("'now'")) {
        buf_add(b, sql, (size_t)(now - sql));
        buf_addf(b, "'2025-01-%02d'", day);
    }
    buf_puts(b, sql);
}

void plot_view(const struct history *h, int t, const char *node, int day, struct buf *b)
{
    const struct sim_table *x = &h->table[t];
    buf_addf(b, "SELECT x.* FROM main.%s x WHERE (", x->name);
    if (x->visible == ALL || x->visible == NONE)
        buf_puts(b, x->visible == ALL ? "1" : "0");
    else if (x->visible == VIA) {
        buf_addf(b, "EXISTS (SELECT 1 FROM (");
        plot_view(h, x->parent, node, day, b);
        buf_addf(b, ") p WHERE p.id = x.%s", x->column);
        if (x->column2)
            buf_addf(b, " AND p.a = x.%s", x->column2);
        buf_puts(b, ")");
    }
    for (int a = 0; a < x->narm; a++) {
        buf_addf(b, "%sEXISTS (WITH r(node, k0%s) AS (", a ? " OR " : "", x->composite ? ", k1" : "");
        put_dated(b, x->arm[a], day);
        buf_addf(b,
                 ") SELECT 1 FROM r JOIN dx_node y ON y.name = r.node WHERE y.name = '%s' AND x.id = r.k0%s)",
                 node, x->composite ? " AND x.a = r.k1" : "");
    }
    buf_puts(b, ")");
    if (x->keep) {
        buf_puts(b, " AND (");
        put_dated(b, x->keep, day);
        buf_puts(b, ")");
    }
}
