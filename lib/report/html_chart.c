/* html_chart: see report/html_chart.h. */
#include "report/html_chart.h"

#include "cli/fields.h"

/* The drawing's own units; the page scales it. Values stand left of the plot, days below it. */
enum { WIDTH = 360, HEIGHT = 150, LEFT = 44, TOP = 10, BOTTOM = 24, RIGHT = 8, DAY = 86400 };

static double x_of(const struct html_chart *c, double i)
{
    return LEFT + i * (WIDTH - LEFT - RIGHT) / c->n;
}

static double y_of(int64_t value, int64_t most)
{
    return HEIGHT - BOTTOM - (double)value / (double)most * (HEIGHT - TOP - BOTTOM);
}

static void day_text(int64_t day, char text[FIELDS_TIME])
{
    fields_time(day * DAY, text);
    text[10] = 0; /* 2026-01-31 */
}

static void grid(struct buf *out, const struct html_chart *c, int64_t most)
{
    char text[FIELDS_SHORT], day[FIELDS_TIME];
    for (int i = 0; i <= 2; i++) {
        double y = y_of(most * i / 2, most);
        buf_addf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                 WIDTH - RIGHT, y, y);
        if (i == 0 || most * i / 2 > 0)
            buf_addf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 6, y + 4,
                     c->show(most * i / 2, text));
    }
    day_text(c->last_day - c->n + 1, day);
    buf_addf(out, "<text x=\"%d\" y=\"%d\">%s</text>", LEFT, HEIGHT - 6, day);
    day_text(c->last_day, day);
    buf_addf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", WIDTH - RIGHT, HEIGHT - 6, day);
}

static void bars(struct buf *out, const struct html_chart *c, int64_t most)
{
    char text[FIELDS_SHORT], day[FIELDS_TIME];
    for (int i = 0; i < c->n; i++) {
        double y = y_of(c->value[i], most), width = x_of(c, 1) - x_of(c, 0);
        if (c->value[i] == 0)
            continue;
        day_text(c->last_day - c->n + 1 + i, day);
        buf_addf(out,
                 "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s: "
                 "%s</title></rect>\n",
                 x_of(c, i) + width * 0.1, y, width * 0.8, HEIGHT - BOTTOM - y, day,
                 c->show(c->value[i], text));
    }
}

static void line(struct buf *out, const struct html_chart *c, int64_t most)
{
    buf_puts(out, "<polyline class=\"line\" points=\"");
    for (int i = 0; i < c->n; i++)
        buf_addf(out, "%s%.1f,%.1f", i ? " " : "", x_of(c, i + 0.5), y_of(c->value[i], most));
    buf_puts(out, "\"/>\n");
}

void html_chart_put(struct buf *out, const struct html_chart *c)
{
    int64_t most = 1;
    for (int i = 0; i < c->n; i++)
        most = c->value[i] > most ? c->value[i] : most;
    buf_addf(
        out,
        "<figure><figcaption>%s</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">",
        c->title, WIDTH, HEIGHT, c->title);
    grid(out, c, most);
    (c->line ? line : bars)(out, c, most);
    buf_puts(out, "</svg></figure>\n");
}
