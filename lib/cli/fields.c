/* fields: see cli/fields.h. */
#define _GNU_SOURCE /* timegm, strptime */
#include "cli/fields.h"

#include "base/clean.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void fields_time(int64_t t, char text[FIELDS_TIME])
{
    time_t at = (time_t)t;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, FIELDS_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int64_t fields_time_get(const char *text)
{
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%Y-%m-%d", &tm) : NULL;
    if (end == NULL || (*end != 'T' && *end != ' ') || strptime(end + 1, "%H:%M:%S", &tm) == NULL)
        return 0;
    return timegm(&tm);
}

/* Bytes that are no UTF-8, as in the name of a file, are not for JSON. */
static json_t *text_json(const char *text)
{
    json_t *j = json_string(text);
    struct buf clean = {0};
    if (j)
        return j;
    clean_text(&clean, text, strlen(text));
    j = json_string(buf_text(&clean));
    buf_free(&clean);
    return j;
}

int fields_date_get(const char *text, int64_t *at)
{
    enum { DATE = 10 };
    bool day = strlen(text) == DATE;
    char moment[FIELDS_TIME];
    int n = snprintf(moment, sizeof moment, "%s%s", text, day ? " 00:00:00" : "");
    *at = n < (int)sizeof moment ? fields_time_get(moment) : 0;
    return *at ? day : -1;
}

static json_t *field_json(const struct field *f, const void *record)
{
    const void *at = (const char *)record + f->at;
    char text[FIELDS_TIME];
    int64_t n;
    switch (f->type) {
    case FIELD_TEXT: {
        const char *const *s = at;
        return *s ? text_json(*s) : json_null();
    }
    case FIELD_FLAG:
        return json_boolean(*(const bool *)at);
    case FIELD_TIME:
        memcpy(&n, at, sizeof n);
        if (n == 0)
            return json_null();
        fields_time(n, text);
        return json_string(text);
    default:
        memcpy(&n, at, sizeof n);
        return f->type == FIELD_KNOWN && n < 0 ? json_null() : json_integer(n);
    }
}

json_t *fields_json(const struct field *f, const void *record)
{
    json_t *j = json_object();
    for (; f->name; f++)
        json_object_set_new(j, f->name, field_json(f, record));
    return j;
}

static int print(json_t *j, size_t flags)
{
    int rc = json_dumpf(j, stdout, flags | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(j);
    return rc ? fail(ERR_SYSTEM, "stdout: cannot write") : 0;
}

int fields_print(json_t *j)
{
    return print(j, JSON_INDENT(1));
}

int fields_print_line(json_t *j)
{
    return print(j, JSON_COMPACT);
}

/* Three digits and a unit. */
static const char *scaled(int64_t n, double step, const char *units, char text[FIELDS_SHORT])
{
    double value = (double)n;
    size_t unit = 0;
    if (n < 1000)
        snprintf(text, FIELDS_SHORT, "%lld", (long long)n);
    else {
        do {
            value /= step;
            unit++;
        } while (value >= 999.5 && units[unit]);
        snprintf(text, FIELDS_SHORT, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit - 1]);
    }
    return text;
}

const char *fields_count(int64_t n, char text[FIELDS_SHORT])
{
    return scaled(n, 1000, "kMGTP", text);
}

const char *fields_bytes(int64_t n, char text[FIELDS_SHORT])
{
    return scaled(n, 1024, "KMGTP", text);
}

const char *fields_age(int64_t seconds, char text[FIELDS_SHORT])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    snprintf(text, FIELDS_SHORT, "%lld %s", (long long)(seconds / units[i].seconds), units[i].name);
    return text;
}

void fields_column(struct buf *out, const char *text, int width)
{
    int have = 0, n = 0;
    for (const char *p = text; *p; p++)
        have += ((unsigned char)*p & 0xc0) != 0x80;
    for (const char *p = text; *p; p++) {
        bool first = ((unsigned char)*p & 0xc0) != 0x80;
        if (first && have > width && n == width - 1) {
            buf_byte(out, '~');
            n++;
            break;
        }
        n += first;
        buf_byte(out, (uint8_t)*p);
    }
    for (; n < width; n++)
        buf_byte(out, ' ');
}
