/* route_verbs: see verbs/route_verbs.h. */
#include "verbs/route_verbs.h"

#include "base/mem.h"
#include "device/patch.h"
#include "report/site_status.h"
#include "route/route.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUSPEND_AFTER = 64 }; /* archives that may wait for a node */

static const char *to_node, *now, *fold, *sign_key, *not_since;

static bool all;

static int load(int argc, char **argv)
{
    (void)argc;
    struct db *db = verb_open_router(argv[0]);
    return db ? verb_commit(db, route_load(db, argv[1], cli_warn)) : -1;
}

static void tell_run(const struct route_done *d)
{
    cli_say(
        "journal %lld to %lld: %lld rows moved, %lld changes in %lld archives, %lld rule statements, %lld "
        "thousand steps of SQL",
        (long long)d->after, (long long)d->upto, (long long)d->moved, (long long)d->changes,
        (long long)d->archives, (long long)d->statements, (long long)d->steps);
}

static int route(const char *path, const struct route *r)
{
    struct route_done done;
    struct db *db = db_open(path, DB_WRITE);
    int rc = db ? route_run(db, r, &done) : -1;
    if (rc == 0)
        tell_run(&done);
    db_close(db);
    return rc || done.aside == 0 ? rc : ERR_LOOK;
}

/* With /dev/null for a log, as from cron, the journal alone says what changed. */
static bool without_log(void)
{
    struct stat in, null;
    return fstat(STDIN_FILENO, &in) == 0 && stat("/dev/null", &null) == 0 && S_ISCHR(in.st_mode) &&
           in.st_rdev == null.st_rdev;
}

static int run(int argc, char **argv)
{
    const char *name;
    struct route r = {.docking = argc > 1 ? argv[1] : NULL,
                      .now = now,
                      .node = to_node,
                      .out = STDOUT_FILENO,
                      .sign = sign_key};
    if (to_node && cli_archive_to_stdout())
        return -1;
    r.suspend_after = SUSPEND_AFTER;
    if (fold && cli_number(fold, "--fold", &r.suspend_after))
        return -1;
    r.log = -1;
    r.tell = cli_warn;
    return !without_log() && (r.log = dx_open_input(NULL, &name)) < 0 ? -1 : route(argv[0], &r);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The active nodes that have had no session since then, by name. */
static int find_silent(const char *path, int64_t since, char ***name, size_t *n)
{
    struct site_status s = {0};
    struct db *db = db_open(path, DB_READ);
    int rc = db && db_begin_read(db) == 0 ? site_status_read(db, NULL, &s) : -1;
    *name = mem_zero(s.n, sizeof **name);
    for (size_t i = 0; rc == 0 && i < s.n; i++)
        if (s.node[i].node.active && (since == 0 || s.node[i].session < since))
            (*name)[(*n)++] = mem_text(s.node[i].node.name);
    if (*n)
        qsort(*name, *n, sizeof **name, by_name);
    site_status_free(&s);
    db_close(db);
    return rc;
}

/* Snapshots of many nodes, for media: into/NODE.dx. */
static int extract_all(const char *path, const char *into)
{
    char **name = NULL;
    size_t n = 0;
    int64_t since = 0;
    struct stat st;
    if (not_since && fields_date_get(not_since, &since) < 0)
        return fail(ERR_USAGE, "--not-since: '%s' is no date: 2026-12-31, or 2026-12-31T18:00:00Z",
                    not_since);
    if (stat(into, &st) || !S_ISDIR(st.st_mode))
        return fail(ERR_USAGE, "extract --all: %s is no directory", into);
    struct route r = {.now = now,
                      .log = -1,
                      .suspend_after = SUSPEND_AFTER,
                      .into = into,
                      .tell = cli_warn,
                      .sign = sign_key,
                      .out = -1};
    int rc = find_silent(path, since, &name, &n);
    r.copies = name;
    r.ncopies = n;
    if (rc == 0 && n)
        rc = route(path, &r);
    for (size_t i = 0; rc >= 0 && i < n; i++)
        printf("%s/%s.dx\n", into, name[i]);
    for (size_t i = 0; i < n; i++)
        free(name[i]);
    free(name);
    return rc;
}

static int extract(int argc, char **argv)
{
    if (not_since && !all)
        return fail(ERR_USAGE, "--not-since goes with --all");
    if (all)
        return argc == 2 ? extract_all(argv[0], argv[1]) : fail(ERR_USAGE, "extract --all: DB DIR");
    struct route r = {.docking = argc > 2 ? argv[2] : NULL,
                      .now = now,
                      .log = -1,
                      .suspend_after = SUSPEND_AFTER,
                      .extract = argv[1],
                      .tell = cli_warn,
                      .sign = sign_key,
                      .out = STDOUT_FILENO};
    return cli_archive_to_stdout() ? -1 : route(argv[0], &r);
}

static const struct cli_option run_options[] = {
    {.name = "--fold",
     .value = "N",
     .help = "set aside what is for a node with N archives waiting; default 64, 0: never",
     .text = &fold},
    {.name = "--node", .value = "NODE", .help = "its archives to stdout", .text = &to_node},
    {.name = "--now", .value = "TIME", .help = "the time that rules see; default: the clock's", .text = &now},
    {.name = "--sign",
     .value = "KEY",
     .help = "sign archives with this private key, as for ssh",
     .text = &sign_key},
    {0}};

static const struct cli_option extract_options[] = {
    {.name = "--all",
     .help = "of every active node, in one pass: to DIR/NODE.dx, whose names are printed",
     .flag = &all},
    {.name = "--not-since",
     .value = "DATE",
     .help = "with --all: only of nodes that have had no session since (UTC)",
     .text = &not_since},
    {.name = "--now", .value = "TIME", .help = "the time that rules see; default: the clock's", .text = &now},
    {.name = "--sign",
     .value = "KEY",
     .help = "sign archives with this private key, as for ssh",
     .text = &sign_key},
    {0}};

const struct cli_verb route_verb_load = {.name = "load",
                                         .operands = "DB DIR",
                                         .min = 2,
                                         .max = 2,
                                         .help = "load or replace the package in DIR",
                                         .run = load};

const struct cli_verb route_verb_run = {.name = "run",
                                        .operands = "DB [DOCKING]",
                                        .min = 1,
                                        .max = 2,
                                        .help =
                                            "route what changed; stdin: the log, as txnlog read writes it",
                                        .options = run_options,
                                        .run = run};

const struct cli_verb route_verb_extract = {
    .name = "extract",
    .operands = "DB NODE|DIR [DOCKING]",
    .min = 2,
    .max = 3,
    .help = "write all that the node may see, and begin its numbering again",
    .options = extract_options,
    .run = extract};
