/* rules: see rules.h. */
#include "rules.h"

#include "base/mem.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const letters[] = {"id", "a", "b", "c"};

const char *rules_column(void)
{
    return letters[below(4)];
}

const char *rules_value(void)
{
    if (chance(70)) /* most joins are to find something */
        return ANY("1", "2");
    return ANY("NULL", "0", "1", "2", "3", "'x'", "'X'", "'1'", "'01'", "2.0", "x'78'");
}

static const char *any_table(const struct history *h)
{
    return h->table[below(h->ntable)].name;
}

/* The day of the month: what 'now' comes to. */
static const char today[] = "CAST(strftime('%d', 'now') AS INTEGER)";

char *rules_keep(void)
{
    const char *c = rules_column();
    switch (below(3)) {
    case 0:
        return mem_printf("%s IS NULL OR %s <> %s %% 4", c, c, today);
    case 1: /* a time that each row has of its own */
        return mem_printf("CAST(strftime('%%d', 'now', CAST(coalesce(%s, 0) AS INTEGER) || ' days') AS "
                          "INTEGER) %% 3 <> 0",
                          c);
    default:
        return mem_printf("%s > 0", c);
    }
}

/* ---- rules that are followed ---- */

enum { PLACES = 5 };

/* The tables of an arm's FROM. */
struct from {
    const struct history *h;
    int n, node, own; /* own: the object's table, or -1 */
    struct place {
        const char *table;
        char alias[16];
        bool node, bare; /* bare: columns may go without their table's name */
    } place[PLACES];
};

static void swap_places(struct from *f, int i, int j)
{
    struct place p = f->place[i];
    f->place[i] = f->place[j];
    f->place[j] = p;
}

static bool alias_taken(const struct from *f, int n, const char *alias)
{
    for (int i = 0; i < n; i++)
        if (strcmp(f->place[i].alias, alias) == 0)
            return true;
    return strncmp(alias, "dx_", 3) == 0;
}

/* x0, x1, ..., or the table's own name, or another table's. */
static void name_places(struct from *f)
{
    for (int i = 0; i < f->n; i++) {
        char *alias = f->place[i].alias;
        snprintf(alias, sizeof f->place[i].alias, "%s",
                 chance(8)    ? any_table(f->h)
                 : chance(10) ? f->place[i].table
                              : "dx_");
        if (alias_taken(f, i, alias))
            snprintf(alias, sizeof f->place[i].alias, "x%d", i);
    }
}

static void choose_places(struct from *f, int t)
{
    const char *own = f->h->table[t].name;
    int want = 1 + below(3);
    if (chance(85))
        f->place[f->n++].table = own;
    while (f->n < want)
        f->place[f->n++].table = any_table(f->h);
    bool bare = f->n == 1 && chance(20);
    f->place[f->n++] = (struct place){.table = "dx_node", .node = true};
    f->own = -1;
    for (int i = 0; i < f->n; i++)
        swap_places(f, i, i + below(f->n - i));
    for (int i = 0; i < f->n; i++) {
        f->place[i].bare = bare && !f->place[i].node;
        if (f->place[i].node)
            f->node = i;
        else if (strcmp(f->place[i].table, own) == 0)
            f->own = i;
    }
    name_places(f);
}

/* A column of a place; of any place, when it is -1. */
static char *column_of(const struct from *f, int i, const char *column)
{
    const struct place *p = &f->place[i < 0 ? below(f->n) : i];
    if (column == NULL)
        column = p->node ? "user" : rules_column();
    return p->bare ? mem_text(column) : mem_printf("%s.%s", p->alias, column);
}

static void put_column(struct buf *b, const struct from *f, int i, const char *column)
{
    char *text = column_of(f, i, column);
    buf_puts(b, text);
    free(text);
}

static void put_place(struct buf *b, const struct place *p)
{
    if (!p->node && chance(7))
        buf_addf(b, "(SELECT %s FROM %s%s) AS %s", ANY("*", "id, a, b, c"), p->table,
                 ANY("", "", " WHERE c = 1", " s6 WHERE s6.a > 0"), p->alias);
    else if (strcmp(p->alias, p->table) == 0)
        buf_puts(b, p->table);
    else
        buf_addf(b, "%s %s%s", p->table, ANY("", "AS "), p->alias);
}

/* Joins the places; by USING where the columns of one name on the left are one. */
static void put_from(struct buf *b, const struct from *f)
{
    const char *merged = NULL;
    for (int i = 0, tables = 0; i < f->n; i++) {
        const struct place *p = &f->place[i];
        bool same = !p->node && (tables == 1 || (tables > 1 && merged)) && chance(15);
        if (i == 0)
            put_place(b, p);
        else if (!same && chance(12)) {
            buf_puts(b, ANY(", ", " CROSS JOIN "));
            put_place(b, p);
        } else {
            buf_puts(b, ANY(" JOIN ", " INNER JOIN "));
            put_place(b, p);
            if (same)
                buf_addf(b, " USING (%s)", merged = merged ? merged : rules_column());
            else {
                buf_puts(b, " ON ");
                put_column(b, f, below(i), NULL);
                buf_puts(b, " = ");
                put_column(b, f, i, NULL);
            }
        }
        merged = p->node || same ? merged : NULL;
        tables += !p->node;
    }
}

/* A condition on rows that are there. */
static char *plain_term(const struct from *f)
{
    char *x = column_of(f, -1, NULL), *y = column_of(f, -1, NULL), *term;
    switch (below(8)) {
    case 0:
        term = mem_printf("%s = %d", x, below(3));
        break;
    case 1:
        term = mem_printf("%s = %s", x, y);
        break;
    case 2:
        term = mem_printf("%s <> %d", x, below(2));
        break;
    case 3:
        term = mem_printf("(%s IS NULL OR %s > 0)", x, y);
        break;
    case 4:
        term = mem_printf("NOT (%s = 1 OR %s = 2)", x, y);
        break;
    case 5:
        term = mem_printf("CASE %s WHEN 1 THEN %s ELSE 1 END", x, y);
        break;
    case 6:
        term = mem_printf("%s BETWEEN 0 AND 2", x);
        break;
    default:
        term = mem_printf("coalesce(%s, 1) = 1", x);
    }
    free(x);
    free(y);
    return term;
}

/* One that asks other tables. CASE and BETWEEN may not stand beside it. */
static char *asking_term(const struct from *f)
{
    const struct history *h = f->h;
    struct from named = *f; /* in a subquery a bare name is another table's */
    for (int i = 0; i < named.n; i++)
        named.place[i].bare = false;
    char *x = column_of(&named, -1, NULL), *y = column_of(&named, -1, NULL), *term;
    const char *table = any_table(h), *column = rules_column();
    switch (below(h->list ? 9 : 7)) {
    case 0:
    case 1:
        term = mem_printf("EXISTS (SELECT 1 FROM %s s1 WHERE s1.%s = %s%s)", table, column, x,
                          chance(30) ? " AND s1.c > 0" : "");
        break;
    case 2:
        term = mem_printf("%s IN (SELECT %s FROM %s WHERE c = 1)", x, column, table);
        break;
    case 3:
        term = mem_printf("(%s = 1 OR EXISTS (SELECT 1 FROM %s s5 WHERE s5.b = %s))", x, table, y);
        break;
    case 4:
    case 5:
        term = mem_printf("NOT EXISTS (SELECT 1 FROM %s s2%s WHERE s2.%s = %s)", table,
                          chance(20) ? " JOIN t0 s3 ON s3.a = s2.b" : "", column, x);
        break;
    case 6:
        term = mem_printf("(%s, 1, %s, %s) IN %s", x, y, ANY("1", "2"), table);
        break;
    case 7:
        term = mem_printf("%s IN s0", x);
        break;
    default:
        term = mem_printf("(%s = 1 OR %s IN %s)", y, x, ANY("s0", "(SELECT * FROM s0)"));
    }
    free(x);
    free(y);
    return term;
}

static void put_key(struct buf *b, const struct from *f, int t)
{
    int own = f->own >= 0 && chance(92) ? f->own : -1;
    put_column(b, f, own, own < 0 ? NULL : "id");
    if (f->h->table[t].composite) {
        buf_puts(b, ", ");
        put_column(b, f, own, own < 0 ? NULL : "a");
    }
}

static bool term_has(const char *term, const char *word)
{
    return strstr(term, word) != NULL;
}

char *rules_followed(const struct history *h, int t)
{
    struct from f = {.h = h};
    struct buf b = {0};
    choose_places(&f, t);
    buf_addf(&b, "SELECT %s%s.name, ", chance(15) ? "DISTINCT " : "", f.place[f.node].alias);
    put_key(&b, &f, t);
    buf_puts(&b, " FROM ");
    put_from(&b, &f);
    const char *word = " WHERE ";
    int asking = chance(45) ? 1 + chance(30) : 0;
    for (int i = below(2) + asking; i > 0; i--) {
        char *term = i <= asking ? asking_term(&f) : plain_term(&f);
        if (asking == 0 || !(term_has(term, "CASE") || term_has(term, "BETWEEN"))) {
            buf_addf(&b, "%s%s", word, term);
            word = " AND ";
        }
        free(term);
    }
    if (chance(8)) {
        buf_puts(&b, word);
        put_column(&b, &f, -1, NULL);
        buf_addf(&b, " <> %s %% 4", today);
    }
    return buf_take(&b);
}

/* ---- rules that are evaluated whole ---- */

/* The words that differ from one such rule to another. */
struct words {
    const char *own, *other, *key, *col[4];
};

static char *with_rule(const struct words *w)
{
    switch (below(4)) {
    case 0:
        return mem_printf(
            "WITH w(u, k) AS (SELECT %s, id FROM %s) SELECT n.name, %s FROM w JOIN %s x ON x.id = w.k "
            "JOIN dx_node n ON n.user = w.u",
            w->col[0], w->other, w->key, w->own);
    case 1: { /* a name that is a table's */
        const char *name = strcmp(w->own, w->other) == 0 ? "w" : w->own;
        return mem_printf(
            "WITH %s AS (SELECT * FROM %s WHERE c IS NOT NULL) SELECT n.name, %s FROM %s x JOIN dx_node n "
            "ON n.user = x.%s",
            name, w->other, w->key, name, w->col[0]);
    }
    case 2:
        return mem_printf(
            "WITH RECURSIVE w(k) AS (SELECT id FROM %s WHERE %s = 1 UNION SELECT y.id FROM %s y JOIN w ON "
            "y.%s "
            "= w.k) SELECT n.name, %s FROM w JOIN %s x ON x.id = w.k JOIN dx_node n ON n.user = x.%s",
            w->own, w->col[0], w->own, w->col[1], w->key, w->own, w->col[2]);
    default:
        return mem_printf(
            "SELECT n.name, %s FROM %s x JOIN (WITH w AS (SELECT %s AS v FROM %s) SELECT v FROM w) y ON "
            "y.v = x.%s JOIN dx_node n ON n.user = x.%s",
            w->key, w->own, w->col[0], w->other, w->col[1], w->col[2]);
    }
}

static char *natural_rule(const struct history *h, const struct words *w)
{
    switch (below(h->list ? 3 : 2)) {
    case 0: /* the nodes themselves, joined by name */
        return mem_printf("SELECT name, %s FROM (SELECT id, a, %s AS user FROM %s) x NATURAL JOIN dx_node",
                          w->key, w->col[0], w->own);
    case 1:
        return mem_printf(
            "SELECT n.name, %s FROM %s x NATURAL JOIN (SELECT %s, %s AS d FROM %s) y JOIN dx_node n ON "
            "n.user = %s",
            w->key, w->own, w->col[1], w->col[2], w->other, ANY("y.d", "d"));
    default:
        return mem_printf("SELECT n.name, %s FROM %s x NATURAL %sJOIN s0 JOIN dx_node n ON n.user = x.%s",
                          w->key, w->own, ANY("", "LEFT "), w->col[0]);
    }
}

/* A condition that turns over what it asks for. */
static char *turned_term(const struct history *h, const struct words *w)
{
    switch (below(h->list ? 7 : 5)) {
    case 0:
        return mem_printf("x.%s NOT IN (SELECT %s FROM %s)", w->col[1], w->col[2], w->other);
    case 1:
        return mem_printf("x.%s = (SELECT max(%s) FROM %s)", w->col[1], w->col[2], w->other);
    case 2:
        return mem_printf("CASE WHEN EXISTS (SELECT 1 FROM %s s WHERE s.%s = x.%s) THEN x.a ELSE 1 END",
                          w->other, w->col[1], w->col[2]);
    case 3:
        return mem_printf("(x.%s = 1 OR NOT EXISTS (SELECT 1 FROM %s s WHERE s.%s = x.%s))", w->col[3],
                          w->other, w->col[1], w->col[2]);
    case 4:
        return mem_printf("NOT (x.%s IN (SELECT %s FROM %s))", w->col[1], w->col[2], w->other);
    case 5:
        return mem_printf("x.%s NOT IN s0", w->col[1]);
    default:
        return mem_printf("NOT (x.%s IN s0 AND x.%s > 0)", w->col[1], w->col[2]);
    }
}

char *rules_whole(const struct history *h, int t, bool *alone)
{
    bool composite = h->table[t].composite;
    struct words w = {h->table[t].name,
                      any_table(h),
                      composite ? "x.id, x.a" : "x.id",
                      {rules_column(), rules_column(), rules_column(), rules_column()}};
    int form = below(h->view ? 9 : 8);
    *alone = form == 2 || form == 3 || form == 5;
    switch (form) {
    case 0:
        return mem_printf(
            "SELECT n.name, %s FROM %s x JOIN dx_node n ON n.user = x.%s LEFT JOIN %s y ON y.%s = x.%s "
            "WHERE y.id IS NULL",
            w.key, w.own, w.col[0], w.other, w.col[1], w.col[2]);
    case 1:
        return mem_printf(
            "SELECT n.name, %s FROM %s x JOIN dx_node n ON n.user = x.%s JOIN %s y ON y.%s = x.%s "
            "GROUP BY n.name, %s HAVING count(*) > 1",
            w.key, w.own, w.col[0], w.other, w.col[1], w.col[2], w.key);
    case 2:
    case 3:
        return mem_printf(
            "SELECT n.name, %s FROM %s x JOIN dx_node n ON n.user = x.%s %s SELECT n.name, y.id%s FROM "
            "%s y JOIN dx_node n ON n.user = y.%s",
            w.key, w.own, w.col[0], ANY("EXCEPT", "INTERSECT"), composite ? ", y.a" : "", w.other, w.col[1]);
    case 4:
        return natural_rule(h, &w);
    case 5:
        return with_rule(&w);
    case 8:
        return mem_printf("SELECT n.name, v.k%s FROM v0 v JOIN dx_node n ON n.user = v.u",
                          composite ? ", v.u" : "");
    default: {
        char *term = turned_term(h, &w);
        char *rule = mem_printf("SELECT n.name, %s FROM %s x JOIN dx_node n ON n.user = x.%s WHERE %s", w.key,
                                w.own, w.col[0], term);
        free(term);
        return rule;
    }
    }
}

/* ---- rules that are refused ---- */

char *rules_refused(const struct history *h, int t)
{
    static const char head[] = "SELECT n.name, x.id FROM";
    const char *own = h->table[t].name, *column = rules_column(), *other = any_table(h);
    char *rule;
    switch (below(10)) {
    case 0:
        rule = mem_printf("%s %s x JOIN dx_node n ON n.user = x.%s %s 2", head, own, column,
                          ANY("LIMIT", "limit"));
        break;
    case 1:
        rule = mem_printf("%s %s x JOIN dx_node n WHERE x.%s IN (SELECT a FROM %s Limit 1)", head, own,
                          column, other);
        break;
    case 2:
        rule = mem_printf("SELECT n.name, %s(x.id) OVER (PARTITION BY x.%s) FROM %s x JOIN dx_node n",
                          ANY("max", "first_value", "MIN"), column, own);
        break;
    case 3:
        rule = mem_printf(
            "SELECT n.name, row_number() over w FROM %s x JOIN dx_node n window w as (PARTITION BY x.%s)",
            own, column);
        break;
    case 4:
        rule = mem_printf("%s %s x %s JOIN dx_node n ON n.user = x.%s", head, own,
                          ANY("FULL", "RIGHT OUTER", "right"), column);
        break;
    case 5:
        rule = mem_printf("SELECT n.name, x.%s FROM %s x JOIN dx_node n ON n.user = x.%s",
                          ANY("rowid", "oid", "_rowid_", "RowId", "\"rowid\""), own, column);
        break;
    case 6:
        rule = mem_printf("%s %s x JOIN dx_node n ON n.user = x.%s WHERE %s <> 0", head, own, column,
                          ANY("random()", "changes()", "total_changes ()", "\"random\"()"));
        break;
    case 7:
        rule = mem_printf("%s %s x JOIN dx_node n ON n.user = x.%s", head,
                          ANY("main.t0", "\"main\".t0", "main . t0"), column);
        break;
    case 8:
        rule = mem_printf("%s t0 x INDEXED BY t0_b, dx_node n WHERE x.b = 1", head);
        break;
    default:
        rule = mem_printf("%s %s x JOIN dx_node n ON n.user = x.%s ORDER BY 1, 2", head, own, column);
    }
    if (chance(40) && strstr(rule, "ORDER") == NULL) { /* behind an arm that is fine */
        char *arm = rules_followed(h, t), *both = mem_printf("%s UNION %s", arm, rule);
        free(arm);
        free(rule);
        return both;
    }
    return rule;
}
