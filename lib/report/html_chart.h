/* html_chart: bars or a line over days, as an SVG inside a page. */
#ifndef HTML_CHART_H
#define HTML_CHART_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct html_chart {
    const char *title; /* for who cannot see it, and as its caption */
    bool line;         /* a line; otherwise bars */
    int64_t last_day;  /* of the last value, in days since 1970 */
    const char *(*show)(int64_t value,
                        char *text); /* a value in a few characters: fields_count, fields_bytes */
    const int64_t *value;
    int n; /* a value a day */
};

/* Appends a figure. */
void html_chart_put(struct buf *out, const struct html_chart *c);

#endif
