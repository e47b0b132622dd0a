/* timestamp: see apply/timestamp.h. */
#define _GNU_SOURCE
#include "apply/timestamp.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool is_number(const struct val *v)
{
    return v->type == VAL_INT || v->type == VAL_REAL;
}

/* Seconds since 1970 that the text names, or -1. */
static double text_seconds(const struct val *v)
{
    char text[64];
    int zone_hours = 0, zone_minutes = 0, used = 0;
    double second = 0;
    char sign = 0;
    struct tm tm = {.tm_mday = 1};
    size_t n = v->n < sizeof text - 1 ? v->n : sizeof text - 1;
    memcpy(text, v->p, n);
    text[n] = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) != 3 || used != 10)
        return -1;
    const char *at = text + used;
    used = 0;
    if ((*at == ' ' || *at == 'T') && sscanf(at + 1, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &used) == 2) {
        at += 1 + used;
        used = 0;
        if (sscanf(at, ":%lf%n", &second, &used) == 1)
            at += used;
        if (sscanf(at, "%c%2d:%2d", &sign, &zone_hours, &zone_minutes) != 3 || (sign != '+' && sign != '-'))
            sign = 0;
    }
    tm.tm_year -= 1900;
    tm.tm_mon--;
    double zone = sign ? (zone_hours * 60 + zone_minutes) * 60.0 : 0;
    return (double)timegm(&tm) + second - (sign == '-' ? -zone : zone);
}

/* The same for a number. */
static double number_seconds(double n)
{
    enum { DAY = 86400 };
    const double epoch_day = 2440587.5;
    if (n >= 1e9 && n < 1e11)
        return n;
    if (n >= 1e12 && n < 1e14)
        return n / 1000;
    return n >= epoch_day && n < epoch_day + 1e6 ? (n - epoch_day) * DAY : -1;
}

/* The time that the value is, in seconds since 1970; negative when it is none. */
static double seconds(const struct val *v)
{
    if (v->type == VAL_TEXT)
        return text_seconds(v);
    return number_seconds(v->type == VAL_INT ? (double)v->i : v->r);
}

bool timestamp_later(const struct val *a, const struct val *b)
{
    bool alike = (is_number(a) && is_number(b)) || (a->type == VAL_TEXT && b->type == VAL_TEXT);
    if (!alike)
        return false;
    double one = seconds(a), other = seconds(b);
    if ((one < 0) != (other < 0))
        return false;
    return one == other ? val_compare(a, b) > 0 : one > other;
}

bool timestamp_past(const struct val *v, int64_t ahead)
{
    if (v->type != VAL_TEXT && !is_number(v))
        return false;
    if (v->type == VAL_REAL && !isfinite(v->r))
        return false;
    return seconds(v) <= (double)time(NULL) + (double)ahead;
}
