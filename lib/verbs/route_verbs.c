/* route_verbs: see verbs/route_verbs.h. */
#include "verbs/route_verbs.h"

#include "device/patch.h"
#include "route/route.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUSPEND_AFTER = 64 }; /* archives that may wait for a node */

static const char *to_node, *now, *fold, *sign_key;

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

static int extract(int argc, char **argv)
{
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
    .operands = "DB NODE [DOCKING]",
    .min = 2,
    .max = 3,
    .help = "write all that the node may see, and begin its numbering again",
    .options = extract_options,
    .run = extract};
