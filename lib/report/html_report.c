/* html_report: see report/html_report.h. */
#include "report/html_report.h"

#include "base/clean.h"
#include "base/err.h"
#include "journal/journal_status.h"
#include "nodes/site_conf.h"
#include "report/html_chart.h"

#include <stdlib.h>
#include <string.h>

enum { DAYS = 30, DAY = 86400 };

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--page:#fff;--card:#f5f7f9;--rule:#d9dfe5;"
    "--bar:#2f6db3;--bad:#b3261e;--bad-page:#fdecea}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e8ed;--soft:#9aa6b2;--page:#14181d;--card:#1d232a;"
    "--rule:#323b45;--bar:#6aa6e8;--bad:#ff8a80;--bad-page:#3a1f1d}}\n"
    "body{font:16px/1.5 "
    "system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:72rem;margin:0 auto;"
    "padding:1rem 1.5rem}\n"
    "h1{font-size:1.5rem;margin:.5rem 0 0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2rem 0 .5rem}\n"
    "p{margin:.25rem 0}.soft{color:var(--soft)}\n"
    ".need{list-style:none;margin:0;padding:0}.need li{background:var(--bad-page);border-left:4px solid "
    "var(--bad);"
    "padding:.5rem .75rem;margin:.5rem 0;overflow-wrap:anywhere}.need b{color:var(--bad)}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:right;padding:.35rem .6rem;border-bottom:1px solid var(--rule);vertical-align:top}\n"
    "td:first-child{min-width:8rem}th,th.text{white-space:nowrap}th{font-weight:600;color:var(--soft);font-"
    "size:.85rem;white-space:nowrap}"
    "\n"
    "td{white-space:nowrap}th:first-child,td:first-child,.text{text-align:left}td:first-child,td.text{white-"
    "space:normal;overflow-"
    "wrap:anywhere}td:first-child{font-weight:"
    "600}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:1rem}\n"
    "figure{margin:0;background:var(--card);border-radius:.5rem;padding:.75rem}figcaption{font-weight:600}\n"
    "svg{width:100%;height:auto;display:block}svg "
    "text{font-size:13px;fill:var(--soft)}.grid{stroke:var(--rule)}\n"
    ".bar{fill:var(--bar)}.line{fill:none;stroke:var(--bar);stroke-width:2.5}\n"
    "@media screen and "
    "(max-width:64rem){body{padding:.75rem}thead{display:none}tr{display:block;border-bottom:1px solid "
    "var(--rule);"
    "padding:.5rem 0}td{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.1rem "
    "0;text-align:right;white-space:normal}.text{text-align:right}\n"
    "td:first-child{font-size:1.05rem}td[data-is]::before{content:attr(data-is);color:var(--soft);flex:none}"
    "td:empty{display:none}}\n"
    "@media "
    "print{:root{--ink:#000;--soft:#444;--page:#fff;--card:#fff;--rule:#bbb;--bar:#444;--bad:#000;--bad-page:"
    "#fff}"
    "body{max-width:none;padding:0;font-size:11pt}figure,tr,li{break-inside:avoid}h2{break-after:avoid}"
    "table{font-size:8pt}th,td{padding:.2rem .3rem}th,th.text{font-size:7pt;white-space:normal}"
    "td:first-child{min-width:4rem}}\n";

/* Text in HTML, of a site's own words and of those that nodes sent: nothing in it is markup, and all of it is UTF-8. */
static void put_text(struct buf *out, const char *text)
{
    struct buf clean = {0};
    clean_text(&clean, text, strlen(text));
    for (const char *p = buf_text(&clean); *p; p++)
        switch (*p) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        default:
            buf_byte(out, (uint8_t)*p);
        }
    buf_free(&clean);
}

static void put_time(struct buf *out, int64_t t)
{
    char text[FIELDS_TIME];
    fields_time(t, text);
    buf_addf(out, "<time datetime=\"%s\">%.10s %.5s UTC</time>", text, text, text + 11);
}

enum align { NUMBER, TEXT };
static void cell(struct buf *out, const char *head, enum align align, const char *text)
{
    buf_addf(out, "<td data-is=\"%s\"%s>", head, align == TEXT ? " class=\"text\"" : "");
    put_text(out, text);
    buf_puts(out, "</td>");
}

/* ---- what needs a person ---- */

static void need(struct buf *out, const char *who, const char *what)
{
    buf_puts(out, "<li><b>");
    put_text(out, who);
    buf_puts(out, "</b>: ");
    put_text(out, what);
    buf_puts(out, "</li>\n");
}

static void need_nodes(const struct site_status *s, struct buf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct node_status *n = &s->node[i];
        struct buf remarks = {0};
        if (!n->stuck && !n->silent && n->conflicts + n->quarantined == 0)
            continue;
        site_status_remarks(s, n, &remarks);
        need(out, n->node.name, buf_text(&remarks));
        buf_free(&remarks);
    }
}

/* Tables that are not captured as they should be: what is written to them does not reach the nodes. */
static void need_tables(const json_t *journal, struct buf *out)
{
    size_t i;
    json_t *t;
    json_array_foreach (json_object_get(journal, "tables"), i, t) {
        const char *amiss = json_string_value(json_object_get(t, "amiss"));
        if (amiss && *amiss && json_is_true(json_object_get(t, "captured"))) {
            struct buf who = {0};
            buf_addf(&who, "table %s", json_string_value(json_object_get(t, "table")));
            need(out, buf_text(&who), amiss);
            buf_free(&who);
        }
    }
}

static void need_item(void *ctx, const char *who, const char *what, const char *why)
{
    struct buf text = {0};
    buf_addf(&text, "%s%s%s", what, *what && *why ? ": " : "", why);
    need(ctx, who, buf_text(&text));
    buf_free(&text);
}

static int need_site(const char *site, struct buf *out)
{
    struct site_conf conf;
    struct buf seen = {0};
    int rc = site_conf_read(site, &conf) || site_conf_look(site, &conf, &seen) ? -1 : 0;
    char *text = seen.n ? (char *)seen.p : NULL;
    for (size_t n = 0; rc == 0 && text && n < seen.n;) {
        char *end = memchr(text + n, '\n', seen.n - n);
        if (end == NULL)
            break;
        *end = 0;
        need(out, "site", text + n);
        n = (size_t)(end - text) + 1;
    }
    buf_free(&seen);
    site_conf_free(&conf);
    return rc;
}

static int put_needs(const char *site, const struct site_status *s, const json_t *journal, struct buf *out)
{
    struct buf items = {0};
    need_nodes(s, &items);
    site_status_needs(s, need_item, &items);
    need_tables(journal, &items);
    int rc = need_site(site, &items);
    buf_puts(out, "<h2>Needs a person</h2>\n");
    if (items.n)
        buf_addf(out, "<ul class=\"need\">\n%s</ul>\n", buf_text(&items));
    else
        buf_puts(out, "<p>Nothing.</p>\n");
    buf_free(&items);
    return rc;
}

/* ---- nodes ---- */

static void put_node(const struct site_status *s, const struct node_status *n, struct buf *out)
{
    char text[FIELDS_SHORT];
    struct buf remarks = {0};
    site_status_remarks(s, n, &remarks);
    buf_puts(out, "<tr><td>");
    put_text(out, n->node.name);
    buf_puts(out, "</td>");
    cell(out, "Package", TEXT, n->node.package);
    cell(out, "Last session", NUMBER,
         n->session ? fields_age(s->time > n->session ? s->time - n->session : 0, text) : "never");
    cell(out, "Archives not confirmed", NUMBER, fields_count(n->waiting.archives, text));
    cell(out, "Rows", NUMBER, fields_count(n->waiting.changes, text));
    cell(out, "Bytes", NUMBER, fields_bytes(n->waiting.bytes, text));
    cell(out, "Age", NUMBER, n->waiting.archives ? fields_age(n->age, text) : "");
    cell(out, "Proven", NUMBER,
         n->proof && !n->differs ? fields_age(s->time > n->proof ? s->time - n->proof : 0, text)
         : n->differs            ? "differs"
                                 : "");
    cell(out, "Disk", NUMBER, fields_bytes(n->disk, text));
    cell(out, "Free", NUMBER, n->free >= 0 ? fields_bytes(n->free, text) : "");
    cell(out, "Release", TEXT, n->release ? n->release : "");
    cell(out, "Remarks", TEXT, buf_text(&remarks));
    buf_puts(out, "</tr>\n");
    buf_free(&remarks);
}

static void put_nodes(const struct site_status *s, struct buf *out)
{
    buf_puts(out, "<h2>Nodes</h2>\n");
    if (s->n == 0) {
        buf_puts(out, "<p>None.</p>\n");
        return;
    }
    buf_puts(out,
             "<table><thead><tr><th>Node</th><th class=\"text\">Package</th><th>Last session</th><th>Not "
             "confirmed</th><th>Rows</th>"
             "<th>Bytes</th><th>Age</th><th>Proven</th><th>Disk</th><th>Free</th><th "
             "class=\"text\">Release</th><th "
             "class=\"text\">Remarks</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < s->n; i++)
        put_node(s, &s->node[i], out);
    buf_puts(out, "</tbody></table>\n");
}

/* ---- over time ---- */

/* Fills in a value for each of the last DAYS days from a query that yields (day, value). A table that is not there, or of
 * an earlier release, has none. */
static int read_days(struct db *db, const char *table, const char *sql, int64_t last, int64_t value[DAYS])
{
    int64_t there;
    memset(value, 0, DAYS * sizeof *value);
    if (db_get_int(db, &there, "SELECT count(*) FROM pragma_table_info(%Q) WHERE name = 'made'", table))
        return -1;
    struct stmt *q = there ? db_prepare(db, sql) : NULL;
    if (q == NULL)
        return there ? -1 : 0;
    enum step step;
    stmt_bind_int(q, 1, last - DAYS);
    while ((step = stmt_step(q)) == STEP_ROW) {
        int64_t i = stmt_int(q, 0) - last + DAYS - 1;
        if (i >= 0 && i < DAYS)
            value[i] += stmt_int(q, 1);
    }
    stmt_free(q);
    return step == STEP_DONE ? 0 : -1;
}

static int put_charts(struct db *db, const struct site_status *s, struct buf *out)
{
    static const struct {
        const char *title, *table, *sql;
        bool line;
        const char *(*show)(int64_t, char *);
    } charts[] = {
        {"Bytes made for nodes, a day", "dx_archive",
         "SELECT strftime('%s', made) / 86400 AS day, sum(bytes) FROM dx_archive WHERE day > ?1 GROUP BY day",
         false, fields_bytes},
        {"Rows made for nodes, a day", "dx_archive",
         "SELECT strftime('%s', made) / 86400 AS day, sum(changes) FROM dx_archive WHERE day > ?1 GROUP BY "
         "day",
         false, fields_count},
        {"Conflicts, a day", "dx_conflict",
         "SELECT strftime('%s', made) / 86400 AS day, count(*) FROM dx_conflict WHERE day > ?1 GROUP BY day",
         true, fields_count},
    };
    int64_t value[DAYS], last = s->time / DAY;
    buf_addf(out, "<h2>The last %d days</h2>\n<div class=\"charts\">\n", DAYS);
    for (size_t i = 0; i < sizeof charts / sizeof *charts; i++) {
        if (read_days(db, charts[i].table, charts[i].sql, last, value))
            return -1;
        html_chart_put(
            out, &(struct html_chart){charts[i].title, charts[i].line, last, charts[i].show, value, DAYS});
    }
    buf_puts(out, "</div>\n");
    return 0;
}

/* ---- conflicts ---- */

static int put_conflicts(struct db *db, struct buf *out)
{
    int64_t there;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'"))
        return -1;
    struct stmt *q =
        there ? db_prepare(db, "SELECT coalesce(origin, ''), tbl, kind, count(*) FROM dx_conflict WHERE "
                               "resolved IS NULL GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT 100")
              : NULL;
    enum step step = there ? STEP_ERROR : STEP_DONE;
    bool any = false;
    while (q && (step = stmt_step(q)) == STEP_ROW) {
        char text[FIELDS_SHORT];
        if (!any)
            buf_puts(out, "<h2>Open conflicts</h2>\n<table><thead><tr><th>Node</th><th "
                          "class=\"text\">Table</th><th class=\"text\">Kind</th>"
                          "<th>Number</th></tr></thead><tbody>\n");
        any = true;
        buf_puts(out, "<tr><td>");
        put_text(out, stmt_text(q, 0));
        buf_puts(out, "</td>");
        cell(out, "Table", TEXT, stmt_text(q, 1));
        cell(out, "Kind", TEXT, stmt_text(q, 2));
        cell(out, "Number", NUMBER, fields_count(stmt_int(q, 3), text));
        buf_puts(out, "</tr>\n");
    }
    stmt_free(q);
    if (any)
        buf_puts(out, "</tbody></table>\n");
    return step == STEP_DONE ? 0 : -1;
}

/* ---- the page ---- */

static void put_head(const char *site, const struct site_status *s, struct buf *out)
{
    char used[FIELDS_SHORT], unused[FIELDS_SHORT], entries[FIELDS_SHORT];
    buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>dx: ");
    put_text(out, site);
    buf_puts(out,
             "</title>\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>\n");
    buf_puts(out, style);
    buf_puts(out, "</style></head>\n<body>\n<h1>");
    put_text(out, site);
    buf_puts(out, "</h1>\n<p class=\"soft\">");
    put_time(out, s->time);
    if (s->run) {
        buf_puts(out, "; dxcron ran last ");
        put_time(out, s->run);
    }
    buf_addf(out,
             "</p>\n<p class=\"soft\">Journal routed up to %lld of %lld, %s entries kept; %s on disk, %s "
             "free</p>\n",
             (long long)s->routed, (long long)s->end, fields_count(s->journal, entries),
             fields_bytes(s->database, used), fields_bytes(s->free, unused));
    if (s->attachments > 0)
        buf_addf(out, "<p class=\"soft\">%s attachments named by rows and not here yet</p>\n",
                 fields_count(s->attachments, entries));
}

int html_report(struct db *db, const char *site, struct site_status *s, struct buf *out)
{
    json_t *journal = journal_status_read(db);
    site_status_sort(s);
    put_head(site, s, out);
    int rc = journal == NULL || put_needs(site, s, journal, out) ? -1 : 0;
    if (rc == 0) {
        put_nodes(s, out);
        rc = put_charts(db, s, out) || put_conflicts(db, out) ? -1 : 0;
    }
    buf_puts(out, "</body></html>\n");
    json_decref(journal);
    return rc;
}
