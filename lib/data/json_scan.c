/* json_scan: see data/json_scan.h. */
#include "data/json_scan.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void problem(struct json_scan *s, const char *what)
{
    if (s->problem == NULL)
        s->problem = what;
    s->at = s->end;
}

static char next(const struct json_scan *s)
{
    return s->at < s->end ? *s->at : 0;
}

bool scan_is(struct json_scan *s, char c)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
    return s->at < s->end && *s->at == c;
}

bool scan_took(struct json_scan *s, char c)
{
    bool here = scan_is(s, c);
    s->at += here;
    return here;
}

void scan_need(struct json_scan *s, char c)
{
    static const char *const missing[] = {
        ['{'] = "no {", ['}'] = "no , or }", [':'] = "no : behind a name", ['"'] = "no string"};
    if (!scan_took(s, c))
        problem(s, s->at == s->end ? "it ends in the middle" : missing[(int)c]);
}

/* ---- strings ---- */

/* Four hex digits at s->at, or -1. */
static long hex4(struct json_scan *s)
{
    long unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = next(s);
        if (!isxdigit((unsigned char)c))
            return -1;
        unit = unit * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        s->at++;
    }
    return unit;
}

/* The character of \uXXXX, of two of them where it needs a pair; -1 when they make none. */
static long escaped_character(struct json_scan *s)
{
    long unit = hex4(s);
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    if (unit > 0xdbff || s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
        return -1;
    s->at += 2;
    long low = hex4(s);
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static char *put_utf8(char *to, long c)
{
    if (c < 0x80)
        *to++ = (char)c;
    else if (c < 0x800)
        *to++ = (char)(0xc0 | c >> 6);
    else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

/* Decodes the escape behind a backslash. What it stands for is never longer than it is. */
static char *unescape(struct json_scan *s, char *to)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = next(s);
    const char *found = c ? strchr(escapes, c) : NULL;
    if (found) {
        s->at++;
        *to++ = meanings[found - escapes];
        return to;
    }
    long character = -1;
    if (c == 'u') {
        s->at++;
        character = escaped_character(s);
    }
    if (character < 0)
        problem(s, "a backslash with nothing that it escapes");
    return character < 0 ? to : put_utf8(to, character);
}

char *scan_text(struct json_scan *s, size_t *n)
{
    scan_need(s, '"');
    char *text = s->at, *to = s->at, *from = s->at;
    unsigned char seen = 0;
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at;
        if (c >= 0x20 && c != '"' && c != '\\') {
            seen |= c;
            s->at++;
            continue;
        }
        if (to != from)
            memmove(to, from, (size_t)(s->at - from));
        to += s->at - from;
        if (c != '\\')
            break;
        s->at++;
        to = unescape(s, to);
        from = s->at;
    }
    if (next(s) != '"')
        problem(s, s->at < s->end ? "a control character in a string" : "a string without end");
    else if (seen >= 0x80 && !utf8_sound(text, (size_t)(to - text)))
        problem(s, "a string is not UTF-8");
    if (s->problem)
        return NULL;
    s->at++;
    *to = 0;
    *n = (size_t)(to - text);
    return text;
}

char *scan_name(struct json_scan *s)
{
    size_t n;
    char *name = scan_text(s, &n);
    if (name && strlen(name) != n)
        problem(s, "a NUL in a name");
    return s->problem ? NULL : name;
}

/* ---- the rest ---- */

static size_t digits(struct json_scan *s)
{
    const char *from = s->at;
    while (s->at < s->end && isdigit((unsigned char)*s->at))
        s->at++;
    return (size_t)(s->at - from);
}

static struct val integer(struct json_scan *s, const char *from)
{
    bool minus = *from == '-';
    uint64_t most = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX, i = 0;
    for (from += minus; from < s->at; from++) {
        uint64_t digit = (uint64_t)(*from - '0');
        if (i > (most - digit) / 10)
            problem(s, "an integer that is too big");
        i = i * 10 + digit;
    }
    return val_int(minus ? (int64_t)(0 - i) : (int64_t)i);
}

/* At least one digit. */
static size_t need_digits(struct json_scan *s)
{
    size_t n = digits(s);
    if (n == 0)
        problem(s, "a number without digits");
    return n;
}

/* The cursor is behind a number that is no integer. A character that is no part of it follows, or the text is cut off. */
static struct val real(struct json_scan *s, const char *from)
{
    struct val v = {.type = VAL_REAL};
    if (s->at < s->end)
        v.r = strtod(from, NULL);
    else
        problem(s, "it ends in a number");
    if (isinf(v.r))
        problem(s, "a number that is too big");
    return v;
}

struct val scan_number(struct json_scan *s)
{
    scan_is(s, '-'); /* leaves the cursor behind white space */
    const char *from = s->at;
    s->at += next(s) == '-';
    bool zero = next(s) == '0', point, exponent;
    if (need_digits(s) > 1 && zero)
        problem(s, "a number that begins with 0");
    point = next(s) == '.';
    s->at += point;
    if (point)
        need_digits(s);
    exponent = next(s) == 'e' || next(s) == 'E';
    s->at += exponent;
    if (exponent) {
        s->at += next(s) == '+' || next(s) == '-';
        need_digits(s);
    }
    if (s->problem)
        return (struct val){.type = VAL_NULL};
    return point || exponent ? real(s, from) : integer(s, from);
}

void scan_null(struct json_scan *s)
{
    scan_is(s, 'n');
    if (s->end - s->at >= 4 && memcmp(s->at, "null", 4) == 0)
        s->at += 4;
    else
        problem(s, "no value");
}

void scan_end(struct json_scan *s)
{
    scan_is(s, 0);
    if (s->at < s->end)
        problem(s, "more behind its end");
}
