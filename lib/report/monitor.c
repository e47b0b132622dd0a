/* monitor: see report/monitor.h. */
#include "report/monitor.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is measured: the greatest of all active nodes, or of the site. `free` is too little when it is below. */
enum what { AGE, ROWS, BYTES, SILENT, CONFLICTS, QUARANTINED, RUN, FREE };
enum unit { NUMBER, SECONDS, SIZE };

static const struct {
    const char *name;
    enum unit unit;
    const char *perf; /* the unit in performance data */
    const char *text;
} measured[MONITOR_LIMITS] = {
    [AGE] = {"age", SECONDS, "s", "oldest archive not confirmed"},
    [ROWS] = {"rows", NUMBER, "", "rows not confirmed"},
    [BYTES] = {"bytes", SIZE, "B", "not confirmed"},
    [SILENT] = {"silent", SECONDS, "s", "since the last session"},
    [CONFLICTS] = {"conflicts", NUMBER, "", "open conflicts"},
    [QUARANTINED] = {"quarantined", NUMBER, "", "rows in quarantine"},
    [RUN] = {"run", SECONDS, "s", "since the last run of dxcron"},
    [FREE] = {"free", SIZE, "B", "free on disk"},
};

static int64_t factor(enum unit unit, const char *suffix)
{
    static const char seconds[] = "smhd", sizes[] = "KMGT";
    static const int64_t step[] = {1, 60, 3600, 86400};
    if (*suffix == 0)
        return 1;
    const char *at = suffix[1]         ? NULL
                     : unit == SECONDS ? strchr(seconds, *suffix)
                     : unit == SIZE    ? strchr(sizes, *suffix)
                                       : NULL;
    if (at == NULL)
        return 0;
    return unit == SECONDS ? step[at - seconds] : (int64_t)1 << 10 * (at - sizes + 1);
}

static int read_limit(const char *word, const char *what, struct monitor_limits *out)
{
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : 0;
    for (size_t i = 0; i < MONITOR_LIMITS; i++)
        if (n && strlen(measured[i].name) == n && strncmp(measured[i].name, word, n) == 0) {
            char *end;
            long long value = strtoll(equals + 1, &end, 10);
            int64_t by = end == equals + 1 ? 0 : factor(measured[i].unit, end);
            if (value >= 0 && by > 0 && value <= INT64_MAX / by) {
                out->limit[i] = value * by;
                return 0;
            }
        }
    return fail(
        ERR_USAGE,
        "%s: '%s' is not NAME=LIMIT; NAME is age, silent or run (seconds, or with s, m, h, d), bytes or free "
        "(with K, M, G, T), rows, conflicts or quarantined",
        what, word);
}

int monitor_limits_read(const char *text, const char *what, struct monitor_limits *out)
{
    for (size_t i = 0; i < MONITOR_LIMITS; i++)
        out->limit[i] = -1;
    while (text && *text) {
        char word[64];
        size_t n = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        if (read_limit(word, what, out))
            return -1;
        text += n + (text[n] == ',');
    }
    return 0;
}

static void note(struct buf *out, const char *text)
{
    buf_puts(out, out->n ? "; " : "");
    buf_puts(out, text);
}

/* The greatest values over all active nodes, and of which. -1: not known (no session yet, no run). */
static void measure(const struct site_status *s, int64_t value[MONITOR_LIMITS],
                    const char *node[MONITOR_LIMITS])
{
    for (size_t i = 0; i < MONITOR_LIMITS; i++) {
        value[i] = i == SILENT ? -1 : 0;
        node[i] = NULL;
    }
    value[RUN] = s->run ? s->time - s->run : -1;
    value[FREE] = s->free;
    for (size_t k = 0; k < s->n; k++) {
        const struct node_status *n = &s->node[k];
        const int64_t of[] = {[AGE] = n->age,
                              [ROWS] = n->waiting.changes,
                              [BYTES] = n->waiting.bytes,
                              [SILENT] = n->session ? s->time - n->session : -1,
                              [CONFLICTS] = n->conflicts,
                              [QUARANTINED] = n->quarantined};
        for (size_t i = 0; n->node.active && i < sizeof of / sizeof *of; i++)
            if (of[i] > value[i]) {
                value[i] = of[i];
                node[i] = n->node.name;
            }
    }
}

static bool beyond(size_t i, int64_t value, const struct monitor_limits *l)
{
    if (l->limit[i] < 0)
        return false;
    return i == FREE ? value < l->limit[i] : value > l->limit[i];
}

static void describe(struct buf *out, size_t i, int64_t value, const char *node)
{
    char text[160], number[FIELDS_SHORT];
    const char *shown = measured[i].unit == SECONDS ? fields_age(value, number)
                        : measured[i].unit == SIZE  ? fields_bytes(value, number)
                                                    : fields_count(value, number);
    snprintf(text, sizeof text, "%s%s%s %s", node ? node : "", node ? ": " : "", shown, measured[i].text);
    note(out, text);
}

static bool note_stuck(const struct site_status *s, struct buf *out)
{
    bool any = false;
    for (size_t k = 0; k < s->n; k++)
        if (s->node[k].stuck) {
            struct buf remarks = {0};
            site_status_remarks(s, &s->node[k], &remarks);
            note(out, s->node[k].node.name);
            buf_addf(out, ": %s", buf_text(&remarks));
            buf_free(&remarks);
            any = true;
        }
    return any;
}

enum monitor_code monitor_check(const struct site_status *s, const struct monitor_limits *warning,
                                const struct monitor_limits *critical, struct buf *out)
{
    static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    int64_t value[MONITOR_LIMITS];
    const char *node[MONITOR_LIMITS];
    struct buf what = {0};
    measure(s, value, node);
    enum monitor_code code = note_stuck(s, &what) ? MONITOR_CRITICAL : MONITOR_OK;
    for (size_t i = 0; i < MONITOR_LIMITS; i++) {
        enum monitor_code c = beyond(i, value[i], critical)  ? MONITOR_CRITICAL
                              : beyond(i, value[i], warning) ? MONITOR_WARNING
                                                             : MONITOR_OK;
        if (c != MONITOR_OK)
            describe(&what, i, value[i], node[i]);
        code = c > code ? c : code;
    }
    if (what.n == 0)
        buf_addf(&what, "%zu nodes", s->n);
    for (size_t i = 0; i < what.n; i++) /* what stands behind a bar is performance data */
        if (what.p[i] == '|' || what.p[i] == '\n')
            what.p[i] = ' ';
    buf_addf(out, "DX %s - %s |", names[code], buf_text(&what));
    for (size_t i = 0; i < MONITOR_LIMITS; i++) {
        if (value[i] < 0)
            continue;
        buf_addf(out, " %s=%lld%s;", measured[i].name, (long long)value[i], measured[i].perf);
        const char *below = i == FREE ? ":" : ""; /* a range whose lower end is the limit */
        if (warning->limit[i] >= 0)
            buf_addf(out, "%lld%s", (long long)warning->limit[i], below);
        buf_byte(out, ';');
        if (critical->limit[i] >= 0)
            buf_addf(out, "%lld%s", (long long)critical->limit[i], below);
    }
    buf_byte(out, '\n');
    buf_free(&what);
    return code;
}
