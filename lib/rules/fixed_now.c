/* fixed_now: see rules/fixed_now.h. */
#include "rules/fixed_now.h"

#include "base/mem.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const functions[] = {"date",      "time",     "datetime", "julianday",
                                        "unixepoch", "strftime", NULL};
static const char *const words[] = {"current_date", "current_time", "current_timestamp", NULL};

void fixed_now_now(char *text)
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, MOMENT_ROOM, "%Y-%m-%d %H:%M:%S", &tm);
}

bool fixed_now_valid(struct db *db, const char *text)
{
    int64_t sound;
    return text[strspn(text, "0123456789-: TZ.")] == 0 &&
           db_get_int(db, &sound, "SELECT datetime(%Q) IS NOT NULL", text) == 0 && sound;
}

struct fixing {
    const char *sql, *now;
    struct token *t;
    size_t n;
    struct buf out, *terms;
};

static bool is_now(const struct fixing *f, size_t i)
{
    const struct token *t = &f->t[i];
    return t->kind == TOKEN_STRING && t->end - t->at == 5 && strncasecmp(f->sql + t->at, "'now'", 5) == 0;
}

/* Arguments that are literals, signs and blanks only. */
static bool is_literal(const struct fixing *f, size_t open, size_t close)
{
    for (size_t i = open + 1; i < close; i++)
        if (f->t[i].kind == TOKEN_NAME || f->t[i].kind == TOKEN_QUOTED)
            return false;
    return true;
}

/* Copies a call of a date function with 'now' in it fixed. Whether there was any. */
static bool copy_call(const struct fixing *f, size_t name, size_t close, struct buf *out)
{
    const char *sql = f->sql;
    bool found = false, strf = token_is(sql, &f->t[name], "strftime");
    size_t args = 0, from = f->t[name].at;
    for (size_t i = name + 2; i < close; i++) {
        args += args == 0 || (f->t[i].depth == f->t[name].depth + 1 && sql[f->t[i].at] == ',');
        if (!is_now(f, i))
            continue;
        buf_add(out, sql + from, f->t[i].at - from);
        buf_addf(out, "'%s'", f->now);
        from = f->t[i].end;
        found = true;
    }
    buf_add(out, sql + from, f->t[close].at - from);
    if (args == (strf ? 1 : 0)) { /* no time value: that is now */
        buf_addf(out, "%s'%s'", args ? ", " : "", f->now);
        found = true;
    }
    buf_puts(out, ")");
    return found;
}

/* Deals with the token at i; the number of the next one. */
static size_t fix(struct fixing *f, size_t i)
{
    size_t close =
        i + 1 < f->n && f->sql[f->t[i + 1].at] == '(' ? token_close(f->sql, f->t, f->n, i + 1) : f->n;
    if (token_in(f->sql, &f->t[i], words)) {
        static const char *const form[] = {"date", "time", "datetime"};
        size_t k = 0;
        while (!token_is(f->sql, &f->t[i], words[k]))
            k++;
        buf_addf(&f->out, "%s('%s')", form[k], f->now);
        buf_addf(f->terms, "SELECT %s('%s')\n", form[k], f->now);
        return i + 1;
    }
    if (close < f->n && token_in(f->sql, &f->t[i], functions)) {
        struct buf call = {0};
        bool found = copy_call(f, i, close, &call);
        if (found && is_literal(f, i + 1, close))
            buf_addf(f->terms, "SELECT %s\n", buf_text(&call));
        else if (found)
            buf_addf(f->terms, "SELECT '%s'\n", f->now);
        buf_add(&f->out, call.p, call.n);
        buf_free(&call);
        return close + 1;
    }
    buf_add(&f->out, f->sql + f->t[i].at, f->t[i].end - f->t[i].at);
    return i + 1;
}

char *fixed_now_set(const char *sql, const char *now, struct buf *terms)
{
    struct fixing f = {.sql = sql, .now = now, .terms = terms};
    size_t end = 0;
    f.t = tokens_of(sql, &f.n);
    for (size_t i = 0; i < f.n;) {
        if (end < f.t[i].at) /* what stands between tokens, comments apart */
            buf_puts(&f.out, " ");
        i = fix(&f, i);
        end = f.t[i - 1].end;
    }
    free(f.t);
    return buf_take(&f.out);
}

char *fixed_now_bound(struct db *db, const char *terms)
{
    struct buf b = {0};
    while (*terms) {
        size_t n = strcspn(terms, "\n");
        char *value;
        if (db_get_text(db, &value, "%.*s", (int)n, terms)) {
            buf_free(&b);
            return NULL;
        }
        buf_addf(&b, "%s\n", value ? value : "");
        free(value);
        terms += n + (terms[n] != 0);
    }
    return buf_take(&b);
}
