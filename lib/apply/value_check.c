/* value_check: see apply/value_check.h. */
#include "apply/value_check.h"

#include <math.h>
#include <string.h>

/* ---- affinity (datatype3.html, section 3) ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t digits(const char *p, size_t n, size_t *at)
{
    size_t from = *at;
    while (*at < n && p[*at] >= '0' && p[*at] <= '9')
        ++*at;
    return *at - from;
}

static void sign(const char *p, size_t n, size_t *at)
{
    if (*at < n && (p[*at] == '+' || p[*at] == '-'))
        ++*at;
}

/* Whether text is a well-formed number, with spaces around: what a numeric column stores as a number. */
static bool is_number(const char *p, size_t n)
{
    size_t at = 0, some;
    while (at < n && is_space(p[at]))
        at++;
    sign(p, n, &at);
    some = digits(p, n, &at);
    if (at < n && p[at] == '.') {
        at++;
        some += digits(p, n, &at);
    }
    if (some && at < n && (p[at] == 'e' || p[at] == 'E')) {
        at++;
        sign(p, n, &at);
        some = digits(p, n, &at);
    }
    while (at < n && is_space(p[at]))
        at++;
    return some && at == n;
}

/* Whether the REAL has no fraction and fits an INTEGER. */
static bool is_integer(double r)
{
    return r >= -9223372036854775808.0 && r < 9223372036854775808.0 && r == floor(r);
}

bool value_converted(const struct target *t, size_t column, const struct val *v)
{
    bool number = v->type == VAL_INT || v->type == VAL_REAL;
    switch (t->layout->column[column].affinity) {
    case AFFINITY_TEXT:
        return number;
    case AFFINITY_NUMERIC:
    case AFFINITY_INTEGER:
        return (v->type == VAL_TEXT && is_number(v->p, v->n)) || (v->type == VAL_REAL && is_integer(v->r));
    case AFFINITY_REAL:
        return v->type == VAL_INT || (v->type == VAL_TEXT && is_number(v->p, v->n));
    default:
        return false;
    }
}

/* ---- checks ---- */

static bool is_nan(const struct val *v)
{
    return v->type == VAL_REAL && isnan(v->r);
}

enum { KEY_MOST = 1 << 20 }; /* bytes of a key's value */

static const char *check_key(const struct target *t, const struct change *c)
{
    for (size_t i = 0; i < t->table->nkey; i++) {
        size_t at = t->table->key[i];
        const struct val *v = c->op == CHANGE_INSERT ? &c->new[at] : &c->old[at];
        if (v->type == VAL_NONE || v->type == VAL_NULL || is_nan(v))
            return "its key is NULL";
        if ((v->type == VAL_TEXT || v->type == VAL_BLOB) && v->n > KEY_MOST)
            return "its key is larger than the server takes";
        if ((t->layout->rowid_key && v->type != VAL_INT) || value_converted(t, at, v))
            return "its key is of another type than the key's column";
    }
    return NULL;
}

/* Where a row takes the highest keys of a table with AUTOINCREMENT, the table takes no more rows. */
static const char *check_room(const struct target *t, const struct change *c)
{
    const int64_t most = INT64_C(1) << 62;
    bool high = c->op == CHANGE_INSERT && t->layout->autoincrement && c->new[t->table->key[0]].i > most;
    return high ? "its key is so high that the table could run out of keys" : NULL;
}

bool value_key_sound(const struct target *t, const struct change *c)
{
    return check_key(t, c) == NULL;
}

static int64_t size_of(const struct val *v)
{
    return v->type == VAL_TEXT || v->type == VAL_BLOB ? (int64_t)v->n : 8;
}

/* The bytes of what the change writes, or -1 when one value is too large. */
static int64_t written(const struct target *t, const struct change *c, const struct value_limits *most)
{
    int64_t sum = 0;
    for (size_t i = 0; i < t->table->ncol; i++) {
        int64_t size = c->new[i].type == VAL_NONE ? 0 : size_of(&c->new[i]);
        if (size > most->value)
            return -1;
        sum += size;
    }
    return sum;
}

/* Whether the row is small enough with the change in it. Where each write is below the limit's share of one column, so
 * is the row below the limit, and need not be looked at. */
static int fits(struct target *t, const struct change *c, const struct value_limits *most, int64_t sum)
{
    if (c->op != CHANGE_UPDATE || sum <= most->row / (int64_t)t->table->ncol)
        return sum <= most->row;
    int here = target_row(t, c, NULL);
    for (size_t i = 0; here > 0 && i < t->table->ncol; i++)
        if (c->new[i].type == VAL_NONE)
            sum += size_of(&t->now[i]);
    return here < 0 ? -1 : sum <= most->row;
}

int value_check(struct target *t, const struct change *c, const struct value_limits *most, const char **why)
{
    *why = check_key(t, c);
    if (*why == NULL)
        *why = check_room(t, c);
    for (size_t i = 0; *why == NULL && i < t->table->ncol; i++)
        if (is_nan(&c->new[i]) || is_nan(&c->old[i]))
            *why = "a value is a REAL that is no number";
    if (*why || c->op == CHANGE_DELETE)
        return *why == NULL;
    int64_t sum = written(t, c, most);
    int small = sum < 0 ? 0 : fits(t, c, most, sum);
    if (small == 0)
        *why = sum < 0 ? "a value is larger than the server takes"
                       : "the row would be larger than the server takes";
    return small;
}
