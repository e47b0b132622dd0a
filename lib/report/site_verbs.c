/* site_verbs: see report/site_verbs.h. */
#include "report/site_verbs.h"

#include "base/file.h"
#include "nodes/site_conf.h"
#include "report/html_report.h"
#include "report/metrics.h"
#include "report/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool json, behind;
static const char *warning, *critical;

const struct cli_option site_status_options[] = {
    {.name = "--behind",
     .help = "only nodes that are behind, stuck or silent, the worst first (exit 1 if any)",
     .flag = &behind},
    {.name = "--json", .help = "as JSON", .flag = &json},
    {0}};

const struct cli_option site_check_options[] = {
    {.name = "-w",
     .value = "LIMITS",
     .help = "as a monitoring plugin: warn beyond age=1d,rows=10000,silent=7d,free=5G,...",
     .text = &warning},
    {.name = "-c", .value = "LIMITS", .help = "the same: critical beyond", .text = &critical},
    {0}};

static int print_and_free(struct buf *text)
{
    fputs(buf_text(text), stdout);
    buf_free(text);
    return 0;
}

int site_verb_status(int argc, char **argv)
{
    struct site_status s = {0};
    struct buf text = {0};
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db && db_begin_read(db) == 0 ? site_status_read(db, argc > 1 ? argv[1] : NULL, &s) : -1;
    int look = rc == 0 && behind && site_status_behind(&s) ? ERR_LOOK : 0;
    if (rc == 0 && json)
        rc = fields_print(site_status_json(&s));
    else if (rc == 0)
        site_status_text(&s, &text);
    print_and_free(&text);
    site_status_free(&s);
    db_close(db);
    return rc ? rc : look;
}

/* Opens the database of a site and reads its status; *db to close. */
static int read_site(const char *site, struct db **db, struct site_status *s)
{
    char *path = file_join(site, "hq.db"), *docking = file_join(site, "docking");
    *db = db_open(path, DB_READ);
    int rc =
        *db && db_begin_read(*db) == 0 ? site_status_read(*db, file_exists(docking) ? docking : NULL, s) : -1;
    free(path);
    free(docking);
    return rc;
}

/* ---- check ---- */

static void print_lines(const char *text)
{
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        cli_warn("%.*s", (int)(end - text), text);
}

/* What is wrong with a site's configuration: 3 where that is, 1 where something is not as it wants it. */
static int check_conf(const char *site)
{
    struct site_conf c;
    struct buf seen = {0}, all = {0};
    int rc = site_conf_read(site, &c) || site_conf_look(site, &c, &seen) ? -1 : seen.n ? ERR_LOOK : 0;
    if (rc >= 0) {
        site_conf_print(&c, &all);
        fputs(buf_text(&all), stdout);
        print_lines(buf_text(&seen));
    }
    buf_free(&seen);
    buf_free(&all);
    site_conf_free(&c);
    return rc;
}

/* A monitor reads the first line of stdout, and knows 3 as "unknown": so that is where trouble is told, too. */
static int monitor(const char *site)
{
    struct monitor_limits w, c;
    struct site_status s = {0};
    struct db *db = NULL;
    struct buf line = {0};
    int code = MONITOR_UNKNOWN;
    if (monitor_limits_read(warning, "-w", &w) || monitor_limits_read(critical, "-c", &c) ||
        read_site(site, &db, &s))
        buf_addf(&line, "DX UNKNOWN - %s\n", err_message());
    else
        code = (int)monitor_check(&s, &w, &c, &line);
    site_status_free(&s);
    db_close(db);
    print_and_free(&line);
    return code;
}

int site_verb_check(int argc, char **argv)
{
    (void)argc;
    return warning || critical ? monitor(argv[0]) : check_conf(argv[0]);
}

/* ---- metrics, report ---- */

int site_verb_metrics(int argc, char **argv)
{
    struct site_status s = {0};
    struct db *db;
    struct buf text = {0};
    (void)argc;
    int rc = read_site(argv[0], &db, &s);
    if (rc == 0)
        metrics_print(&s, &text);
    print_and_free(&text);
    site_status_free(&s);
    db_close(db);
    return rc;
}

int site_verb_report(int argc, char **argv)
{
    struct site_status s = {0};
    struct db *db;
    struct buf page = {0};
    (void)argc;
    int rc = read_site(argv[0], &db, &s) || html_report(db, argv[0], &s, &page) ? -1 : 0;
    print_and_free(&page);
    site_status_free(&s);
    db_close(db);
    return rc;
}
