/* site_verbs: see verbs/site_verbs.h. */
#define _GNU_SOURCE /* realpath */
#include "verbs/site_verbs.h"

#include "base/clean.h"
#include "base/file.h"
#include "base/mem.h"
#include "nodes/site_conf.h"
#include "report/html_report.h"
#include "report/metrics.h"
#include "report/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool json, behind, missing;
static const char *warning, *critical, *wanted;

static const struct cli_option status_options[] = {
    {.name = "--behind",
     .help = "only nodes that are behind, stuck or silent, the worst first (exit 1 if any)",
     .flag = &behind},
    {.name = "--missing",
     .help = "only nodes of which archives are neither confirmed nor in the outbox, a line each with what to "
             "do (exit 1 if any)",
     .flag = &missing},
    {.name = "--json", .help = "as JSON", .flag = &json},
    {0}};

static const struct cli_option check_options[] = {
    {.name = "--get",
     .value = "NAME,...",
     .help = "only print what holds for these entries, a line each, sizes in bytes",
     .text = &wanted},
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

/* Lines for a terminal: what nodes have said may stand in them. */
static void print_clean(struct buf *text)
{
    struct buf line = {0};
    for (const char *at = buf_text(text), *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        buf_clear(&line);
        clean_text(&line, at, (size_t)(end - at));
        puts(buf_text(&line));
    }
    buf_free(&line);
    buf_free(text);
}

static int status(int argc, char **argv)
{
    struct site_status s = {0};
    struct buf text = {0};
    if (missing && (json || behind))
        return fail(ERR_USAGE, "--missing goes with neither --behind nor --json");
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db == NULL || db_begin_read(db) ? -1
             : missing                       ? site_status_read_missing(db, argc > 1 ? argv[1] : NULL, &s)
                                             : site_status_read(db, argc > 1 ? argv[1] : NULL, &s);
    int look = rc == 0 && (s.docking_missing || (behind && site_status_behind(&s))) ? ERR_LOOK : 0;
    if (rc == 0 && missing)
        look = site_status_missing(&s, &text) ? ERR_LOOK : 0;
    else if (rc == 0 && json)
        rc = fields_print(site_status_json(&s));
    else if (rc == 0)
        site_status_text(&s, &text);
    print_clean(&text);
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

/* The values of the entries in `wanted`, a line each; all of them, or none. */
static int get_conf(const char *site)
{
    struct site_conf c;
    struct buf out = {0};
    char *names = mem_text(wanted), *save = NULL;
    int rc = site_conf_read(site, &c);
    for (char *name = strtok_r(names, ",", &save); rc == 0 && name; name = strtok_r(NULL, ",", &save)) {
        rc = site_conf_get(&c, name, &out);
        buf_byte(&out, '\n');
    }
    if (rc == 0)
        fputs(buf_text(&out), stdout);
    free(names);
    buf_free(&out);
    site_conf_free(&c);
    return rc;
}

/* A monitor reads the first line of stdout, and knows 3 as "unknown": so that is where trouble is reported, too. */
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

static int check(int argc, char **argv)
{
    (void)argc;
    if (wanted && (warning || critical))
        return fail(ERR_USAGE, "--get goes with neither -w nor -c");
    return wanted ? get_conf(argv[0]) : warning || critical ? monitor(argv[0]) : check_conf(argv[0]);
}

/* ---- metrics, report ---- */

static int metrics(int argc, char **argv)
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

static int report(int argc, char **argv)
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

/* ---- init ---- */

static int make_directory(const char *site, const char *name, const struct site_conf *c)
{
    char *path = file_join(site, name);
    int rc = file_make_directory(path) || chmod(path, c->group ? 02770 : 0700)
                 ? fail_errno("%s: cannot make it", path)
                 : 0;
    free(path);
    return rc;
}

/* A database that was put there before it was a site may be open to others. */
static int tighten(const char *site, const struct site_conf *c)
{
    static const char *const files[] = {"hq.db", "hq.db-wal", "hq.db-shm"};
    mode_t others = c->group ? S_IRWXO : S_IRWXG | S_IRWXO;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++) {
        char *path = file_join(site, files[i]);
        struct stat st;
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & others)) {
            mode_t mode = st.st_mode & 0777 & ~others;
            rc = chmod(path, mode) ? fail_errno("%s: cannot change its mode", path) : 0;
            if (rc == 0)
                cli_warn("%s had mode %03o and has %03o now: others on this machine reached it", path,
                         (unsigned)st.st_mode & 0777, (unsigned)mode);
        }
        free(path);
    }
    return rc;
}

/* A site.conf with every entry as it holds without it, all of them comments. */
static int write_conf(const char *site, const struct site_conf *c)
{
    struct buf text = {0}, out = {0};
    char *path = file_join(site, "site.conf");
    int rc = 0;
    if (!file_exists(path)) {
        site_conf_print(c, &text);
        buf_puts(&out,
                 "# The configuration of this site, dx-site.conf(5). What is commented out holds anyway.\n");
        for (const char *p = buf_text(&text), *end; (end = strchr(p, '\n')) != NULL; p = end + 1)
            buf_addf(&out, "%s%.*s\n", p == end ? "" : "# ", (int)(end - p), p);
        struct file_new *f = file_new_open(path);
        rc = f == NULL || file_write(file_new_fd(f), out.p, out.n, path) ? -1 : 0;
        if (rc == 0)
            rc = file_new_commit(f);
        else
            file_new_abort(f);
    }
    buf_free(&text);
    buf_free(&out);
    free(path);
    return rc;
}

static int make_site(const char *site)
{
    static const char *const directories[] = {"", "docking", "files"};
    struct site_conf c;
    int rc = site_conf_read(site, &c);
    site_conf_umask(&c);
    for (size_t i = 0; rc == 0 && i < sizeof directories / sizeof *directories; i++)
        rc = make_directory(site, directories[i], &c);
    if (rc == 0)
        rc = write_conf(site, &c) || tighten(site, &c) ? -1 : 0;
    site_conf_free(&c);
    return rc;
}

static int init(int argc, char **argv)
{
    const char *site = argv[0];
    (void)argc;
    if (make_site(site))
        return -1;
    char *db = file_join(site, "hq.db");
    printf("%s is ready. Next:\n", site);
    if (!file_exists(db))
        printf("  put the server database there:  %s\n", db);
    printf("  capture its changes:            txnlog attach %s\n"
           "  load a package:                 txnroute load %s DIRECTORY\n"
           "  register a node:                txnroute node add %s NODE --package PACKAGE\n"
           "  let it in over ssh:             txnroute node key %s NODE < id.pub >> ~/.ssh/authorized_keys\n"
           "  run dxcron every five minutes:  see dxcron(1), for systemd and for cron\n",
           db, db, db, site);
    free(db);
    return 0;
}

/* ---- node key ---- */

/* TYPE BASE64 [COMMENT], as ssh-keygen writes it: no options before it. */
static bool is_public_key(const char *line)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789@.-";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    size_t type = strspn(line, name), body = line[type] == ' ' ? strspn(line + type + 1, digits) : 0;
    bool known =
        strncmp(line, "ssh-", 4) == 0 || strncmp(line, "ecdsa-", 6) == 0 || strncmp(line, "sk-", 3) == 0;
    if (!known || body < 40)
        return false;
    const char *rest = line + type + 1 + body;
    for (const char *p = rest; *p; p++)
        if ((unsigned char)*p < ' ')
            return false;
    return *rest == 0 || *rest == ' ';
}

static int check_node(const char *site, const char *name)
{
    char *path = file_join(site, "hq.db");
    struct db *db = db_open(path, DB_READ);
    struct node n = {0};
    int rc = db && db_begin_read(db) == 0 ? node_require(db, name, &n) : -1;
    if (rc == 0)
        node_free(&n);
    db_close(db);
    free(path);
    return rc;
}

int site_node_key(const char *site, const char *node)
{
    char *path = realpath(site, NULL), *line = NULL;
    size_t room = 0;
    int rc = path ? check_node(site, node) : fail_errno("%s: cannot open", site);
    if (rc == 0 && strpbrk(path, "\"\\'`$ \t\n"))
        rc = fail(ERR_REFUSED, "%s: a path with quotes, spaces, $ or backslashes is not for authorized_keys",
                  path);
    ssize_t n = rc == 0 ? getline(&line, &room, stdin) : -1;
    if (n > 0 && line[n - 1] == '\n')
        line[--n] = 0;
    if (rc == 0 && (n <= 0 || strlen(line) != (size_t)n || !is_public_key(line)))
        rc = fail(ERR_REFUSED, "stdin: not a public key as ssh-keygen writes it to id_ed25519.pub");
    if (rc == 0)
        printf("restrict,command=\"dxserve --site %s --node %s\" %s\n", path, node, line);
    free(line);
    free(path);
    return rc;
}

const struct cli_verb site_verb_status = {
    .name = "status",
    .operands = "DB [DOCKING]",
    .min = 1,
    .max = 2,
    .help = "how each node stands: what is not confirmed, last session, what needs a look",
    .options = status_options,
    .run = status};

const struct cli_verb site_verb_check = {
    .name = "check",
    .operands = "SITE",
    .min = 1,
    .max = 1,
    .help = "check SITE/site.conf and print what holds (exit 1: something is not as it wants it)",
    .options = check_options,
    .run = check};

const struct cli_verb site_verb_init = {
    .name = "init",
    .operands = "SITE",
    .min = 1,
    .max = 1,
    .help = "make the directories of a site and its site.conf, and say what comes next",
    .run = init};

const struct cli_verb site_verb_metrics = {.name = "metrics",
                                           .operands = "SITE",
                                           .min = 1,
                                           .max = 1,
                                           .help = "print how the site stands as OpenMetrics text",
                                           .run = metrics};

const struct cli_verb site_verb_report = {.name = "report",
                                          .operands = "SITE",
                                          .min = 1,
                                          .max = 1,
                                          .help = "print how the site stands as one HTML page",
                                          .run = report};
