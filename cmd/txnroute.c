/* txnroute: gives each node its share of what changed. */
#include "cli.h"
#include "dx.h"
#include "member.h"
#include "route.h"
#include "store.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool json;
static const char *package, *user, *to_node, *now;

/* Opens the database to change it, in one write transaction, with the router's tables there. */
static struct db *open_for_change(const char *path)
{
    struct db *db = db_open(path, DB_WRITE);
    if (db && (store_require(db) || db_begin_write(db) || route_init(db))) {
        db_close(db);
        return NULL;
    }
    return db;
}

static int finish(struct db *db, int rc)
{
    if (rc == 0)
        rc = db_commit(db);
    db_close(db);
    return rc ? -1 : 0;
}

static int load(int argc, char **argv)
{
    (void)argc;
    struct db *db = open_for_change(argv[0]);
    return db ? finish(db, route_load(db, argv[1], cli_warn)) : -1;
}

/* ---- routing ---- */

static void tell_run(const struct route_done *d)
{
    cli_say("journal %lld to %lld: %lld rows moved, %lld changes in %lld archives, %lld rule statements",
            (long long)d->after, (long long)d->upto, (long long)d->moved, (long long)d->changes,
            (long long)d->archives, (long long)d->statements);
}

static int route(const char *path, const struct route *r)
{
    struct route_done done;
    struct db *db = db_open(path, DB_WRITE);
    int rc = db ? route_run(db, r, &done) : -1;
    if (rc == 0)
        tell_run(&done);
    db_close(db);
    return rc;
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
    struct route r = {
        .docking = argc > 1 ? argv[1] : NULL, .now = now, .node = to_node, .out = STDOUT_FILENO};
    if (argc < 2 && to_node == NULL)
        return fail(ERR_USAGE, "run: where to? a docking directory, or --node NODE for stdout");
    if (to_node && cli_archive_to_stdout())
        return -1;
    r.log = -1;
    return !without_log() && (r.log = dx_open_input(NULL, &name)) < 0 ? -1 : route(argv[0], &r);
}

static int extract(int argc, char **argv)
{
    struct route r = {.docking = argc > 2 ? argv[2] : NULL,
                      .now = now,
                      .log = -1,
                      .extract = argv[1],
                      .out = STDOUT_FILENO};
    return cli_archive_to_stdout() ? -1 : route(argv[0], &r);
}

/* ---- nodes ---- */

static void print_node(const struct node *n)
{
    printf("%-20s %-16s %-16s %s  archive %lld, applied %lld, uploads %lld\n", n->name, n->user, n->package,
           n->active ? "active" : "ended", (long long)n->archive, (long long)n->applied,
           (long long)n->merged);
}

static json_t *node_json(const struct node *n)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", n->name, "user", n->user,
                     "package", n->package, "status", n->active ? "active" : "ended", "epoch", n->epoch,
                     "archive", (json_int_t)n->archive, "position", (json_int_t)n->position, "applied",
                     (json_int_t)n->applied, "merged", (json_int_t)n->merged);
}

static int print_json(json_t *j)
{
    int rc = json_dumpf(j, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(j);
    return rc ? fail(ERR_SYSTEM, "stdout: cannot write") : 0;
}

static int list_nodes(const char *path, const char *name)
{
    struct db *db = db_open(path, DB_READ);
    struct node *n = NULL;
    size_t count = 0;
    int rc = db ? node_list(db, &n, &count) : -1;
    json_t *all = json_array();
    bool found = name == NULL;
    for (size_t i = 0; i < count; i++) {
        if (name == NULL || strcmp(n[i].name, name) == 0) {
            found = true;
            if (json)
                json_array_append_new(all, node_json(&n[i]));
            else
                print_node(&n[i]);
        }
        node_free(&n[i]);
    }
    free(n);
    db_close(db);
    if (rc == 0 && !found)
        rc = fail(ERR_REFUSED, "%s: no node %s", path, name);
    if (json && rc == 0)
        return print_json(all);
    json_decref(all);
    return rc;
}

static int node(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "list") == 0)
        return list_nodes(argv[1], name);
    bool add = strcmp(verb, "add") == 0, set = strcmp(verb, "set") == 0;
    if (!add && !set && strcmp(verb, "end") != 0)
        return fail(ERR_USAGE, "node %s: add, set, end or list is meant", verb);
    if (name == NULL)
        return fail(ERR_USAGE, "node %s: which node?", verb);
    if (add && package == NULL)
        return fail(ERR_USAGE, "node add: which package does it get? --package P");
    if (set && package == NULL && user == NULL)
        return fail(ERR_USAGE, "node set: nothing to change; --user U, --package P");
    struct db *db = open_for_change(argv[1]);
    if (db == NULL)
        return -1;
    return finish(db, add   ? node_add(db, name, user, package)
                      : set ? node_set(db, name, user, package)
                            : node_end(db, name));
}

static const struct cli_option node_options[] = {
    {.name = "--package", .value = "P", .help = "the package it gets", .text = &package},
    {.name = "--user", .value = "U", .help = "what rules know it by (dx_node.user)", .text = &user},
    {.name = "--json", .help = "list as JSON", .flag = &json},
    {0}};

static const struct cli_option run_options[] = {
    {.name = "--node", .value = "NODE", .help = "its archives to stdout", .text = &to_node},
    {.name = "--now", .value = "TIME", .help = "the time that rules see; default: the clock's", .text = &now},
    {0}};
static const struct cli_option extract_options[] = {
    {.name = "--now", .value = "TIME", .help = "the time that rules see; default: the clock's", .text = &now},
    {0}};

static const struct cli_verb verbs[] = {
    {.name = "load",
     .operands = "DB DIR",
     .min = 2,
     .max = 2,
     .help = "load or replace the package in DIR",
     .run = load},
    {.name = "node",
     .operands = "add|set|end|list DB [NODE]",
     .min = 2,
     .max = 3,
     .help = "register, change, end or list nodes",
     .options = node_options,
     .run = node},
    {.name = "run",
     .operands = "DB [DOCKING]",
     .min = 1,
     .max = 2,
     .help = "route what changed; stdin: the log, as txnlog read writes it",
     .options = run_options,
     .run = run},
    {.name = "extract",
     .operands = "DB NODE [DOCKING]",
     .min = 2,
     .max = 3,
     .help = "write all that the node may see, and begin its numbering anew",
     .options = extract_options,
     .run = extract},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "txnroute",
                                               .help = "give each node its share of what changed",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs};
    return cli_main(&command, argc, argv);
}
