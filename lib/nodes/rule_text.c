/* rule_text: see nodes/rule_text.h. */
#include "nodes/rule_text.h"

#include "base/mem.h"
#include "sql/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An arm of a rule: tokens [from, end) of the text; where its parts begin, `end` where there is none. */
struct arm {
    size_t begin, from, where, end;
    const char *as; /* what the table that is joined is called: no word of the text */
};

static const char *const unjoinable[] = {"WITH",   "GROUP",  "HAVING", "ORDER",     "LIMIT",
                                         "WINDOW", "VALUES", "EXCEPT", "INTERSECT", NULL};

static char *find_parts(const char *sql, const struct token *t, struct arm *a)
{
    a->from = a->where = a->end;
    if (a->begin == a->end || !token_is(sql, &t[a->begin], "SELECT"))
        return mem_text("a SELECT is wanted");
    for (size_t i = a->begin; i < a->end; i++) {
        if (t[i].depth)
            continue;
        if (token_in(sql, &t[i], unjoinable))
            return mem_printf("%.*s: a rule with it cannot be joined to another table; write the SELECT out",
                              (int)(t[i].end - t[i].at), sql + t[i].at);
        if (a->from == a->end && token_is(sql, &t[i], "FROM"))
            a->from = i;
        if (a->where == a->end && token_is(sql, &t[i], "WHERE"))
            a->where = i;
    }
    return a->from == a->end ? mem_text("a SELECT with FROM is wanted") : NULL;
}

/* The text of the tokens [from, to). */
static void put_text(struct buf *out, const char *sql, const struct token *t, size_t from, size_t to)
{
    if (from < to)
        buf_add(out, sql + t[from].at, t[to - 1].end - t[from].at);
}

/* The end of the expression at i: the next comma of depth 0, or `end`. */
static size_t expression_end(const char *sql, const struct token *t, size_t i, size_t end)
{
    while (i < end && (t[i].depth || !token_is(sql, &t[i], ",")))
        i++;
    return i;
}

static void put_keys(struct buf *out, const struct table *t, const char *as)
{
    for (size_t k = 0; k < t->nkey; k++) {
        buf_addf(out, ", %s.", as);
        buf_name(out, t->col[t->key[k]]);
    }
}

/* AND column IN (SELECT key FROM from WHERE keep): the row above is in nobody's view where its own filter fails. */
static void put_keep(struct buf *out, const char *as, char *const *column, size_t n, const struct table *from,
                     const char *keep)
{
    if (*keep == 0)
        return;
    buf_puts(out, n > 1 ? " AND (" : " AND ");
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%s.", i ? ", " : "", as);
        buf_name(out, column[i]);
    }
    buf_puts(out, n > 1 ? ") IN (SELECT " : " IN (SELECT ");
    for (size_t k = 0; k < from->nkey; k++) {
        buf_puts(out, k ? ", " : "");
        buf_name(out, from->col[from->key[k]]);
    }
    buf_puts(out, " FROM ");
    buf_name(out, from->name);
    buf_addf(out, " WHERE %s)", keep);
}

static char *join_arm(struct buf *out, const char *sql, const struct token *tok, const struct arm *a,
                      const struct table *t, char *const *column, size_t n, const struct table *from,
                      const char *keep)
{
    struct buf on = {0};
    size_t at = a->begin + 1;
    bool distinct = at < a->from && token_is(sql, &tok[at], "DISTINCT");
    at += distinct || (at < a->from && token_is(sql, &tok[at], "ALL"));
    size_t end = expression_end(sql, tok, at, a->from);
    buf_puts(out, distinct ? "SELECT DISTINCT " : "SELECT ");
    put_text(out, sql, tok, at, end);
    put_keys(out, t, a->as);
    buf_puts(out, " ");
    size_t values = 0;
    for (; end < a->from; values++) {
        at = end + 1;
        end = expression_end(sql, tok, at, a->from);
        size_t last = end; /* `value AS name`: the name is of no use here */
        for (size_t i = at; i < end; i++)
            if (tok[i].depth == 0 && token_is(sql, &tok[i], "AS"))
                last = i;
        buf_addf(&on, "%s%s.", values ? " AND " : "", a->as);
        if (values < n)
            buf_name(&on, column[values]);
        buf_puts(&on, " = ");
        put_text(&on, sql, tok, at, last);
    }
    put_text(out, sql, tok, a->from, a->where);
    buf_puts(out, " JOIN ");
    buf_name(out, t->name);
    buf_addf(out, " AS %s ON %s", a->as, buf_text(&on));
    if (from)
        put_keep(out, a->as, column, n, from, keep);
    buf_puts(out, a->where < a->end ? " " : "");
    put_text(out, sql, tok, a->where, a->end);
    buf_free(&on);
    return values == n
               ? NULL
               : mem_printf("it yields %zu values beside the node, but %zu columns are named", values, n);
}

char *rule_text_join(struct buf *out, size_t *n, const char *sql, const struct table *t, char *const *column,
                     size_t ncolumn, const struct table *from, const char *keep)
{
    size_t ntoken, at = 0;
    struct token *tok = tokens_of(sql, &ntoken);
    char *why = NULL, as[32] = "dx_of";
    for (int i = 2; strstr(sql, as); i++) /* a rule that was put together itself */
        snprintf(as, sizeof as, "dx_of_%d", i);
    while (ntoken && token_is(sql, &tok[ntoken - 1], ";"))
        ntoken--;
    while (why == NULL && at < ntoken) {
        struct arm a = {.begin = at, .end = at, .as = as};
        while (a.end < ntoken && (tok[a.end].depth || !token_is(sql, &tok[a.end], "UNION")))
            a.end++;
        at = a.end + 1;
        if (at < ntoken && token_is(sql, &tok[at], "ALL"))
            at++;
        if ((why = find_parts(sql, tok, &a)))
            break;
        buf_puts(out, (*n)++ ? "\nUNION ALL " : "");
        why = join_arm(out, sql, tok, &a, t, column, ncolumn, from, keep);
    }
    free(tok);
    return why;
}

void rule_text_add(struct buf *out, size_t *n, const char *sql)
{
    size_t end = strlen(sql);
    while (end && strchr(" \t\r\n;", sql[end - 1]))
        end--;
    buf_puts(out, (*n)++ ? "\nUNION ALL " : "");
    buf_add(out, sql, end);
}

char *rule_text_all(const struct table *t)
{
    struct buf b = {0};
    buf_puts(&b, "SELECT dx_n.name");
    for (size_t k = 0; k < t->nkey; k++) {
        buf_puts(&b, ", dx_up.");
        buf_name(&b, t->col[t->key[k]]);
    }
    buf_puts(&b, " FROM dx_node AS dx_n JOIN ");
    buf_name(&b, t->name);
    buf_puts(&b, " AS dx_up");
    return buf_take(&b);
}
