/* rule_check: see rules/rule_check.h. */
#include "rules/rule_check.h"

#include "base/err.h"
#include "base/mem.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *sql;
    struct token *t;
    size_t n;
};

static struct text text_of(const char *sql)
{
    struct text x = {.sql = sql};
    x.t = tokens_of(sql, &x.n);
    return x;
}

static bool is(const struct text *x, size_t i, const char *word)
{
    return i < x->n && token_is(x->sql, &x->t[i], word);
}

static bool in(const struct text *x, size_t i, const char *const *words)
{
    return i < x->n && token_in(x->sql, &x->t[i], words);
}

static char *text_from(const struct text *x, size_t first, size_t behind)
{
    if (first >= behind)
        return mem_text("");
    size_t at = x->t[first].at, end = x->t[behind - 1].end;
    return mem_printf("%.*s", (int)(end - at), x->sql + at);
}

/* ---- arms ---- */

static const char *const unsplittable[] = {"EXCEPT", "INTERSECT", "WITH", "VALUES", NULL};

static bool splits(const struct text *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->t[i].depth == 0 && in(x, i, unsplittable))
            return false;
    return true;
}

/* SELECT DISTINCT ... says the same as SELECT ... where only the set counts. */
static char *without_distinct(const struct text *x, size_t first, size_t behind)
{
    if (!is(x, first, "SELECT") || !(is(x, first + 1, "DISTINCT") || is(x, first + 1, "ALL")))
        return text_from(x, first, behind);
    char *rest = text_from(x, first + 2, behind);
    char *arm = mem_printf("SELECT %s", rest);
    free(rest);
    return arm;
}

char **rule_arms(const char *sql, size_t *n)
{
    struct text x = text_of(sql);
    char **arm = NULL;
    size_t first = 0;
    bool split = splits(&x);
    *n = 0;
    for (size_t i = 0; i <= x.n; i++) {
        if (i < x.n && !(split && x.t[i].depth == 0 && is(&x, i, "UNION")))
            continue;
        arm = mem_grow(arm, *n + 1, sizeof *arm);
        arm[(*n)++] = split ? without_distinct(&x, first, i) : text_from(&x, first, i);
        i += is(&x, i + 1, "ALL");
        first = i + 1;
    }
    free(x.t);
    return arm;
}

/* ---- what no rule may say ---- */

static const char window_remedy[] =
    "a window depends on rows that are not told apart; use GROUP BY, or EXISTS";

/* Names are refused in quotes, too: "random"() is the same function. */
static const struct {
    const char *word, *next, *remedy;
    bool name;
} refused[] = {
    {"LIMIT", NULL, "which rows it would choose is left to chance; say by a condition which are meant",
     false},
    {"OVER", "(", window_remedy, false},
    {"RIGHT", NULL, "turn the join round into a LEFT JOIN", false},
    {"FULL", NULL, "write two arms joined by UNION", false},
    {"INDEXED", NULL, "leave the index to SQLite", false},
    {"ORDER", NULL, "a rule is a set; leave ORDER BY out", false},
    {"RANDOM", "(", "a rule gives the same rows each time it is asked", true},
    {"RANDOMBLOB", "(", "a rule gives the same rows each time it is asked", true},
    {"CHANGES", "(", "a rule gives the same rows each time it is asked", true},
    {"TOTAL_CHANGES", "(", "a rule gives the same rows each time it is asked", true},
    {"LAST_INSERT_ROWID", "(", "a rule gives the same rows each time it is asked", true},
    {"ROWID", NULL, "name the key column; rowids are not kept", true},
    {"OID", NULL, "name the key column; rowids are not kept", true},
    {"_ROWID_", NULL, "name the key column; rowids are not kept", true},
    {"?", NULL, "a rule has no parameters", false},
    {":", NULL, "a rule has no parameters", false},
    {"@", NULL, "a rule has no parameters", false},
    {";", NULL, "a rule is one SELECT", false},
    {"main", ".", "write the table's name alone", true},
    {"temp", ".", "write the table's name alone", true},
};

static bool is_name(const struct text *x, size_t i, const char *name)
{
    char *quoted = x->t[i].kind == TOKEN_QUOTED ? token_name(x->sql, &x->t[i]) : NULL;
    bool same = quoted && strcasecmp(quoted, name) == 0;
    free(quoted);
    return same;
}

static bool is_refused(const struct text *x, size_t i, size_t k)
{
    return (is(x, i, refused[k].word) || (refused[k].name && is_name(x, i, refused[k].word))) &&
           (refused[k].next == NULL || is(x, i + 1, refused[k].next));
}

static int words_allowed(const struct text *x, const char *where)
{
    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
            if (is_refused(x, i, k))
                return fail(ERR_REFUSED, "%s in %s: %s", refused[k].word, where, refused[k].remedy);
    return 0;
}

int rule_allowed(const char *sql)
{
    struct text x = text_of(sql);
    int rc = x.n ? 0 : fail(ERR_REFUSED, "the rule is empty");
    if (rc == 0 && !is(&x, 0, "SELECT") && !is(&x, 0, "WITH") && !is(&x, 0, "VALUES"))
        rc = fail(ERR_REFUSED, "a rule is a SELECT of (node, key); or `all`, or `none`");
    for (size_t i = 0; rc == 0 && i + 2 < x.n; i++)
        if (is(&x, i, "WINDOW") && is(&x, i + 2, "AS"))
            rc = fail(ERR_REFUSED, "WINDOW in a rule: %s", window_remedy);
    for (size_t i = 1; rc == 0 && i < x.n; i++)
        if (x.t[i].kind == TOKEN_STRING && (is(&x, i - 1, "FROM") || is(&x, i - 1, "JOIN")))
            rc = fail(ERR_REFUSED, "a table in '' quotes in a rule: write the table's name alone");
    rc = rc || words_allowed(&x, "a rule") ? -1 : 0;
    free(x.t);
    return rc;
}

int rule_keep_allowed(const char *keep)
{
    struct text x = text_of(keep);
    int rc = words_allowed(&x, "keep");
    for (size_t i = 0; rc == 0 && i < x.n; i++)
        if (is(&x, i, "SELECT"))
            rc = fail(ERR_REFUSED,
                      "SELECT in keep: a time filter is a condition on the row's own columns; say the "
                      "rest in the rule");
        else if (x.t[i].depth < 0)
            rc = fail(ERR_REFUSED, "keep closes a parenthesis that it does not open");
    free(x.t);
    return rc;
}

bool rule_joins_by_name(const char *sql)
{
    struct text x = text_of(sql);
    bool found = false;
    for (size_t i = 0; i < x.n; i++)
        found |= is(&x, i, "NATURAL") || (is(&x, i, "USING") && is(&x, i + 1, "("));
    free(x.t);
    return found;
}

/* ---- what makes it whole ---- */

static const char *const whole_words[] = {"LEFT",   "OUTER",     "NATURAL", "GROUP",  "HAVING", "FILTER",
                                          "EXCEPT", "INTERSECT", "WITH",    "VALUES", NULL};
static const char *const before_term[] = {"WHERE", "AND", "OR", "ON", NULL};
static const char *const behind_term[] = {"AND",   "OR", "ON",    "JOIN", "INNER", "CROSS",
                                          "UNION", ")",  "WHERE", ",",    NULL};
static const char *const in_operand[] = {"NOT",  "IS",  "=",     "==",     "<>",      "!=",      "<",
                                         ">",    "<=",  ">=",    "CASE",   "BETWEEN", "IN",      "LIKE",
                                         "GLOB", "END", "MATCH", "REGEXP", "ISNULL",  "NOTNULL", NULL};

/* The parenthesis that is open at i, or n when none is. */
static size_t enclosing(const struct text *x, size_t i)
{
    for (size_t k = i; k-- > 0;)
        if (x->t[k].depth == x->t[i].depth - 1 && is(x, k, "("))
            return k;
    return x->n;
}

/* Whether what stands before and behind tokens first to last makes them a whole condition, joined to others by AND
 * and OR only, all the way up: nothing turns its answer round. */
static bool positive(const struct text *x, size_t first, size_t last)
{
    bool begins = first > 0 && (in(x, first - 1, before_term) || is(x, first - 1, "("));
    if (!begins || (last + 1 < x->n && !in(x, last + 1, behind_term)))
        return false;
    if (in(x, first - 1, before_term) && x->t[first].depth == 0)
        return true;
    size_t open = enclosing(x, first);
    if (open == x->n)
        return true;
    /* A group of conditions, or the SELECT of a subquery, which is judged for itself. */
    if (is(x, open + 1, "SELECT"))
        return true;
    return positive(x, open, token_close(x->sql, x->t, x->n, open));
}

/* The first token of the operand before IN at i, or n when it is none that stands for itself. */
static size_t operand(const struct text *x, size_t i)
{
    size_t first = i;
    while (first > 0 && x->t[first - 1].depth >= x->t[i].depth && !in(x, first - 1, before_term) &&
           !(is(x, first - 1, "(") && x->t[first - 1].depth < x->t[i].depth)) {
        if (x->t[first - 1].depth == x->t[i].depth && in(x, first - 1, in_operand))
            return x->n;
        first--;
    }
    return first < i ? first : x->n;
}

/* How a NOT EXISTS at i (the word NOT) stands: a condition of the arm itself, with no OR beside it. */
static bool top_term(const struct text *x, size_t i)
{
    if (x->t[i].depth != 0 || !positive(x, i, token_close(x->sql, x->t, x->n, i + 2)))
        return false;
    for (size_t k = 0; k < x->n; k++)
        if (x->t[k].depth == 0 && is(x, k, "OR"))
            return false;
    return true;
}

/* Whether token i stands inside a NOT EXISTS (...). */
static bool inside_not(const struct text *x, size_t i)
{
    for (size_t open = enclosing(x, i); open < x->n; open = enclosing(x, open))
        if (open >= 2 && is(x, open - 1, "EXISTS") && is(x, open - 2, "NOT"))
            return true;
    return false;
}

/* Judges an IN at i, of which the set ends with token last: NULL when changes in it can be followed. */
static const char *judge_in(const struct text *x, size_t i, size_t last)
{
    if (i > 0 && is(x, i - 1, "NOT"))
        return "NOT IN (NOT EXISTS would do)";
    size_t first = operand(x, i);
    return first < x->n && positive(x, first, last) ? NULL : "IN that is no condition of its own";
}

/* The same for the subquery whose parenthesis is at i. */
static const char *judge(const struct text *x, size_t i)
{
    size_t close = token_close(x->sql, x->t, x->n, i);
    if (i == 0)
        return "a SELECT in parentheses";
    if (is(x, i - 1, "FROM") || is(x, i - 1, "JOIN"))
        return NULL;
    if (is(x, i - 1, "EXISTS") && i >= 2 && is(x, i - 2, "NOT"))
        return top_term(x, i - 2) && !inside_not(x, i - 2) ? NULL
                                                           : "NOT EXISTS that is no condition of its own";
    if (is(x, i - 1, "EXISTS"))
        return positive(x, i - 1, close) ? NULL : "EXISTS that is no condition of its own";
    if (is(x, i - 1, "IN"))
        return judge_in(x, i - 1, close);
    return "a subquery for a value";
}

char *rule_whole(const char *sql)
{
    struct text x = text_of(sql);
    const char *why = NULL;
    char *word = NULL;
    bool subquery = false;
    for (size_t i = 0; i < x.n && !why && !word; i++) {
        if (in(&x, i, whole_words))
            word = text_from(&x, i, i + 1);
        else if (is(&x, i, "UNION"))
            why = "UNION inside";
        else if (is(&x, i, "(") && is(&x, i + 1, "SELECT")) {
            why = judge(&x, i);
            subquery = true;
        } else if (is(&x, i, "IN") && !is(&x, i + 1, "(")) { /* x IN table */
            why = judge_in(&x, i, i + 1);
            subquery = true;
        }
    }
    for (size_t i = 0; i < x.n && subquery && !why && !word; i++)
        if (is(&x, i, "CASE") || is(&x, i, "BETWEEN"))
            why = "CASE or BETWEEN beside a subquery";
    free(x.t);
    return why ? mem_text(why) : word;
}
