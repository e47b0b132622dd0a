/* txnroute: gives each node its share of what changed. */
#include "archive/dx.h"
#include "cli/cli.h"
#include "device/patch.h"
#include "journal/meta.h"
#include "nodes/approval.h"
#include "nodes/hold.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"
#include "nodes/responsibility.h"
#include "report/site_verbs.h"
#include "route/explain.h"
#include "route/propose.h"
#include "route/route.h"
#include "route/row_history.h"
#include "route/rules_view.h"
#include "route/what_if.h"
#include "session/site_files.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLD = 64 }; /* archives that may wait for a node */

static bool json;
static const char *package, *reason, *user, *to_node, *now, *fold, *sign_key;

/* Opens the database to change it, in one write transaction, with the router's tables there. */
static struct db *open_for_change(const char *path)
{
    struct db *db = db_open(path, DB_WRITE);
    if (db && (meta_require(db) || db_begin_write(db) || route_init(db))) {
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
    r.fold = FOLD;
    if (fold && cli_number(fold, "--fold", &r.fold))
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
                      .fold = FOLD,
                      .extract = argv[1],
                      .tell = cli_warn,
                      .sign = sign_key,
                      .out = STDOUT_FILENO};
    return cli_archive_to_stdout() ? -1 : route(argv[0], &r);
}

/* ---- nodes ---- */

static void print_node(const struct node *n)
{
    printf("%-16s %-16s %-15s %-6s %7lld %7lld %7lld\n", n->name, n->user, n->package,
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

/* The node, with the digest of its newest archive. */
static int add_node(struct db *db, const struct node *n, json_t *list)
{
    char *digest;
    if (membership_log_digest(db, n->id, n->archive, &digest))
        return -1;
    json_t *j = node_json(n);
    json_object_set_new(j, "digest", json_string(digest));
    json_array_append_new(list, j);
    free(digest);
    return 0;
}

static int list_nodes(const char *path, const char *name)
{
    struct db *db = db_open(path, DB_READ);
    struct node *n = NULL;
    size_t count = 0;
    int rc = db && meta_require(db) == 0 ? node_list(db, &n, &count) : -1;
    json_t *all = json_array();
    bool found = name == NULL;
    if (!json && count)
        printf("%-16s %-16s %-15s %-6s %7s %7s %7s\n", "NODE", "USER", "PACKAGE", "STATUS", "ARCHIVE",
               "APPLIED", "UPLOADS");
    for (size_t i = 0; i < count; i++) {
        if (name == NULL || strcmp(n[i].name, name) == 0) {
            found = true;
            if (!json)
                print_node(&n[i]);
            else if (add_node(db, &n[i], all))
                rc = -1;
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

static int release_node(struct db *db, const char *name)
{
    int held = hold_release(db, name);
    if (held == 0)
        cli_say("%s: node %s was not held", db_path(db), name);
    return held < 0 ? -1 : 0;
}

/* Registers the node, or changes it. The package that is not named is that of the user. */
static int put_node(struct db *db, const char *name, bool add)
{
    char *of_user = NULL;
    const char *as = package;
    int rc = 0;
    if (package == NULL && (add || responsibility_knows(db, user) > 0)) {
        rc = responsibility_package(db, user, &of_user);
        as = of_user;
    }
    if (rc == 0)
        rc = add ? node_add(db, name, user, as) : node_set(db, name, user, as);
    free(of_user);
    return rc;
}

static int decide(struct db *db, const char *name, enum approval_decision decision)
{
    int found = approval_decide(db, name, decision);
    if (found == 0)
        return fail(ERR_REFUSED,
                    "%s: no upload of node %s waits for approval; `txnroute status` lists those that do",
                    db_path(db), name);
    return found < 0 ? -1 : 0;
}

static int change_node(struct db *db, const char *verb, const char *name)
{
    if (strcmp(verb, "add") == 0 || strcmp(verb, "set") == 0)
        return put_node(db, name, strcmp(verb, "add") == 0);
    if (strcmp(verb, "hold") == 0)
        return hold_node(db, name, reason ? reason : "an operator said so");
    if (strcmp(verb, "release") == 0)
        return release_node(db, name);
    if (strcmp(verb, "approve") == 0)
        return decide(db, name, APPROVAL_APPROVED);
    if (strcmp(verb, "reject") == 0)
        return decide(db, name, APPROVAL_REJECTED);
    return node_end(db, name);
}

static int node(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "list") == 0)
        return list_nodes(argv[1], name);
    if (strcmp(verb, "key") == 0 && name)
        return site_node_key(argv[1], name);
    static const char *const known[] = {"add", "set", "end", "hold", "release", "approve", "reject"};
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(verb, known[i]) != 0)
        i++;
    if (i == sizeof known / sizeof *known)
        return fail(ERR_USAGE, "node %s: add, set, end, hold, release, approve, reject, key or list expected",
                    verb);
    bool add = strcmp(verb, "add") == 0, set = strcmp(verb, "set") == 0;
    if (name == NULL)
        return fail(ERR_USAGE, "node %s: which node?", verb);
    if (add && package == NULL && user == NULL)
        return fail(
            ERR_USAGE,
            "node add: which package does it get? --package P, or --user U whose responsibility says so");
    if (set && package == NULL && user == NULL)
        return fail(ERR_USAGE, "node set: nothing to change; --user U, --package P");
    struct db *db = open_for_change(argv[1]);
    if (db == NULL)
        return -1;
    return finish(db, change_node(db, verb, name));
}

/* ---- files that rows name ---- */

static bool only_missing;

static const struct cli_option files_options[] = {
    {.name = "--missing",
     .help = "print the digests that rows name and the store lacks",
     .flag = &only_missing},
    {0}};

static int print_missing(void *ctx, const char *table, const char *sha)
{
    bool *any = ctx;
    *any = true;
    printf("%s  %s\n", sha, table);
    return 0;
}

static int files(int argc, char **argv)
{
    (void)argc;
    struct site_files_done n = {0};
    bool any = false;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db == NULL || meta_require(db) ? -1
             : only_missing                 ? site_files_missing(db, print_missing, &any)
                                            : site_files_collect(db, &n);
    db_close(db);
    if (rc)
        return -1;
    cli_say("%lld files taken into the store (%lld bytes), %lld wait, %lld removed", (long long)n.taken,
            (long long)n.taken_bytes, (long long)n.waiting, (long long)n.removed);
    if (n.dropped)
        cli_warn("%s: %lld files of nodes were dropped: damaged, or no row named them for too long", argv[0],
                 (long long)n.dropped);
    return any || n.dropped ? ERR_LOOK : 0;
}

/* ---- users, responsibilities, packages ---- */

static const char *responsibility;

static void print_user(void *ctx, const struct responsibility_row *t)
{
    (void)ctx;
    printf("%-20s %-16s %s\n", t->name, t->of, t->active ? "active" : "ended");
}

static void print_responsibility(void *ctx, const struct responsibility_row *t)
{
    (void)ctx;
    printf("%-20s %s\n", t->name, t->of);
}

static void print_package(void *ctx, const struct responsibility_row *t)
{
    (void)ctx;
    printf("%-20s %-13s %s\n", t->name, t->published ? "published" : "not published",
           t->active ? "active" : "not active");
}

static int tell_all(const char *path, int (*each)(struct db *, responsibility_fn *, void *),
                    responsibility_fn *fn)
{
    struct db *db = db_open(path, DB_READ);
    int rc = db && meta_require(db) == 0 ? each(db, fn, NULL) : -1;
    db_close(db);
    return rc;
}

static int user_verb(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    bool add = strcmp(verb, "add") == 0;
    if (strcmp(verb, "list") == 0)
        return tell_all(argv[1], responsibility_each_user, print_user);
    if (!add && strcmp(verb, "end") != 0)
        return fail(ERR_USAGE, "user %s: add, end or list expected", verb);
    if (name == NULL || (add && responsibility == NULL))
        return fail(ERR_USAGE,
                    name ? "user add: what does the user do? --responsibility NAME" : "user: which user?");
    struct db *db = open_for_change(argv[1]);
    return db ? finish(db, add ? responsibility_set_user(db, name, responsibility)
                               : responsibility_end_user(db, name))
              : -1;
}

static int responsibility_verb(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "list") == 0)
        return tell_all(argv[1], responsibility_each, print_responsibility);
    if (strcmp(verb, "set") != 0)
        return fail(ERR_USAGE, "responsibility %s: set or list expected", verb);
    if (name == NULL || package == NULL)
        return fail(ERR_USAGE, "responsibility set: DB NAME --package P");
    struct db *db = open_for_change(argv[1]);
    return db ? finish(db, responsibility_set(db, name, package)) : -1;
}

static int package_verb(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    bool publish = strcmp(verb, "publish") == 0, withdrawn = strcmp(verb, "withdraw") == 0;
    bool activate = strcmp(verb, "activate") == 0;
    if (strcmp(verb, "list") == 0)
        return tell_all(argv[1], responsibility_each_package, print_package);
    if (!publish && !withdrawn && !activate && strcmp(verb, "deactivate") != 0)
        return fail(ERR_USAGE, "package %s: publish, withdraw, activate, deactivate or list expected", verb);
    if (name == NULL)
        return fail(ERR_USAGE, "package %s: which package?", verb);
    struct db *db = open_for_change(argv[1]);
    return db ? finish(db, publish || withdrawn ? responsibility_publish(db, name, publish)
                                                : responsibility_activate(db, name, activate))
              : -1;
}

static const struct cli_option user_options[] = {
    {.name = "--responsibility", .value = "NAME", .help = "what the user does", .text = &responsibility},
    {0}};
static const struct cli_option responsibility_options[] = {
    {.name = "--package", .value = "P", .help = "what users with it get", .text = &package}, {0}};

/* ---- asking ---- */

static bool history;

static const struct cli_option why_options[] = {
    {.name = "--history",
     .help = "of DB TABLE KEY...: what was done to the row, and when each node got or lost it",
     .flag = &history},
    {0}};

static int why(int argc, char **argv)
{
    struct buf out = {0};
    if (!history && argc < 4)
        return fail(ERR_USAGE, "why: DB NODE TABLE KEY... are needed, or --history DB TABLE KEY...");
    struct db *db = db_open(argv[0], DB_READ);
    int holds = db == NULL || db_begin_read(db) ? -1
                : history                       ? row_history(db, argv[1], argv + 2, (size_t)argc - 2, &out)
                          : explain_row(db, argv[1], argv[2], argv + 3, (size_t)argc - 3, &out);
    if (holds >= 0)
        fputs(buf_text(&out), stdout);
    buf_free(&out);
    db_close(db);
    return holds < 0 ? -1 : holds ? 0 : ERR_LOOK;
}

static bool dot;

static const struct cli_option rules_options[] = {
    {.name = "--dot", .help = "as a graph, for dot(1)", .flag = &dot}, {0}};

static int rules(int argc, char **argv)
{
    struct buf out = {0};
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db && db_begin_read(db) == 0 && meta_require(db) == 0 && rules_view(db, dot, &out) == 0 ? 0 : -1;
    if (rc == 0)
        fputs(buf_text(&out), stdout);
    buf_free(&out);
    db_close(db);
    return rc;
}

static json_t *line_json(const struct what_if_line *l)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "node", l->node, "object", l->object, "gained",
                     (json_int_t)l->gained, "gained_bytes", (json_int_t)l->gained_bytes, "lost",
                     (json_int_t)l->lost, "lost_bytes", (json_int_t)l->lost_bytes);
}

static json_t *effect_json(const struct schema_effect *e)
{
    return json_pack("{s:s, s:s, s:b, s:I, s:I}", "object", e->object, "schema", e->what, "new_copy",
                     (int)e->new_copy, "nodes", (json_int_t)e->nodes, "rows", (json_int_t)e->rows);
}

static int print_tried_json(const struct what_if *w)
{
    json_t *all = json_array();
    for (size_t i = 0; i < w->n; i++)
        json_array_append_new(all, line_json(&w->line[i]));
    for (size_t i = 0; i < w->neffect; i++)
        json_array_append_new(all, effect_json(&w->effect[i]));
    return print_json(all);
}

static void print_tried(const struct what_if *w)
{
    if (w->n)
        printf("%-16s %-19s %9s %11s %9s %11s\n", "NODE", "OBJECT", "GAINS", "BYTES", "LOSES", "BYTES");
    for (size_t i = 0; i < w->n; i++)
        printf("%-16s %-19s %9lld %11lld %9lld %11lld\n", w->line[i].node, w->line[i].object,
               (long long)w->line[i].gained, (long long)w->line[i].gained_bytes, (long long)w->line[i].lost,
               (long long)w->line[i].lost_bytes);
    for (size_t i = 0; i < w->neffect; i++) {
        struct buf text = {0};
        schema_effect_text(&w->effect[i], &text);
        printf("%s\n", buf_text(&text));
        buf_free(&text);
    }
}

static int try(int argc, char **argv)
{
    struct what_if tried = {0};
    (void)argc;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db && meta_require(db) == 0 ? what_if_package(db, argv[1], &tried) : -1;
    db_close(db);
    if (rc == 0 && json)
        rc = print_tried_json(&tried);
    else if (rc == 0)
        print_tried(&tried);
    bool any = tried.n + tried.neffect > 0;
    what_if_free(&tried);
    return rc ? -1 : any ? ERR_LOOK : 0;
}

static const char *people;

static int propose(int argc, char **argv)
{
    struct buf out = {0};
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db && db_begin_read(db) == 0 ? propose_package(db, people, &out) : -1;
    if (rc == 0)
        fputs(buf_text(&out), stdout);
    buf_free(&out);
    db_close(db);
    return rc;
}

static const struct cli_option propose_options[] = {
    {.name = "--user-table",
     .value = "TABLE",
     .help = "the table of people, by whom rows are given out",
     .text = &people},
    {0}};

static const struct cli_option node_options[] = {
    {.name = "--package", .value = "P", .help = "the package it gets", .text = &package},
    {.name = "--user", .value = "U", .help = "what rules know it by (dx_node.user)", .text = &user},
    {.name = "--reason", .value = "TEXT", .help = "why it is held", .text = &reason},
    {.name = "--json", .help = "list as JSON", .flag = &json},
    {0}};

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

static const struct cli_option json_options[] = {{.name = "--json", .help = "as JSON", .flag = &json}, {0}};

/* ---- patches ---- */

static const char *version, *target;
static bool withdraw;

static int stage_patch(int argc, char **argv)
{
    struct patch p = {0};
    bool change = argc == 2 || withdraw;
    if (target && strcmp(target, PATCH_HANDHELD) != 0)
        return fail(ERR_USAGE, "--for: " PATCH_HANDHELD " is all that there are patches for, not '%s'",
                    target);
    if (argc == 2 ? withdraw || !version || !target : version || target)
        return fail(ERR_USAGE, "FILE with --version V --for " PATCH_HANDHELD ", or --withdraw, or neither");
    struct db *db = change ? open_for_change(argv[0]) : db_open(argv[0], DB_READ);
    int rc = db && meta_require(db) == 0 ? 0 : -1;
    if (rc == 0 && withdraw)
        rc = patch_withdraw(db);
    else if (rc == 0 && change)
        rc = patch_stage(db, argv[1], version, sign_key, &p);
    else if (rc == 0 && (rc = patch_staged(db, &p)) >= 0)
        rc = 0;
    if (rc == 0 && *p.version && change)
        cli_say("version %s staged, %lld bytes", p.version, (long long)p.bytes);
    else if (rc == 0 && *p.version)
        printf("%s %s %lld bytes, sha256 %s\n", PATCH_HANDHELD, p.version, (long long)p.bytes, p.digest);
    if (change)
        return finish(db, rc);
    db_close(db);
    return rc;
}

static const struct cli_option patch_options[] = {
    {.name = "--version",
     .value = "V",
     .help = "the version that FILE, or the files in it, are",
     .text = &version},
    {.name = "--for", .value = "TARGET", .help = "handheld", .text = &target},
    {.name = "--withdraw", .help = "devices that have not installed it stay as they are", .flag = &withdraw},
    {.name = "--sign",
     .value = "KEY",
     .help = "sign it with this private key, as for ssh",
     .text = &sign_key},
    {0}};

static const struct cli_verb verbs[] = {
    {.name = "load",
     .operands = "DB DIR",
     .min = 2,
     .max = 2,
     .help = "load or replace the package in DIR",
     .run = load},
    {.name = "node",
     .operands = "add|set|end|hold|release|approve|reject|key|list DB|SITE [NODE]",
     .min = 2,
     .max = 3,
     .help = "register, change, end, hold, release or list nodes, approve or reject an upload; key: of SITE, "
             "id.pub on stdin, for "
             "authorized_keys",
     .options = node_options,
     .run = node},
    {.name = "user",
     .operands = "add|end|list DB [USER]",
     .min = 2,
     .max = 3,
     .help = "register users with a responsibility, end them, list them",
     .options = user_options,
     .run = user_verb},
    {.name = "responsibility",
     .operands = "set|list DB [NAME]",
     .min = 2,
     .max = 3,
     .help = "say which package users with a responsibility get",
     .options = responsibility_options,
     .run = responsibility_verb},
    {.name = "package",
     .operands = "publish|withdraw|activate|deactivate|list DB [PACKAGE]",
     .min = 2,
     .max = 3,
     .help = "whether new copies are made of a package, and whether its nodes are served",
     .run = package_verb},
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
     .help = "write all that the node may see, and begin its numbering again",
     .options = extract_options,
     .run = extract},
    {.name = "why",
     .operands = "DB NODE TABLE KEY...",
     .min = 3,
     .max = -1,
     .help = "say why the node has the row (exit 0) or has it not (exit 1)",
     .options = why_options,
     .run = why},
    {.name = "rules",
     .operands = "DB",
     .min = 1,
     .max = 1,
     .help = "show who sees what in the loaded packages, and which tables their rules read",
     .options = rules_options,
     .run = rules},
    {.name = "files",
     .operands = "DB",
     .min = 1,
     .max = 1,
     .help =
         "take the files that nodes sent for their rows into the site's store, and remove what no row names",
     .options = files_options,
     .run = files},
    {.name = "patch",
     .operands = "DB [FILE]",
     .min = 1,
     .max = 2,
     .help =
         "stage a new version of the software of devices, a file or a directory; alone: print what is staged",
     .options = patch_options,
     .run = stage_patch},
    {.name = "propose",
     .operands = "DB",
     .min = 1,
     .max = 1,
     .help = "write a package.conf for the database, guessed from its schema and rows",
     .options = propose_options,
     .run = propose},
    {.name = "try",
     .operands = "DB DIR",
     .min = 2,
     .max = 2,
     .help = "say what the package in DIR would give and take, node by node (exit 1 if anything)",
     .options = json_options,
     .run = try},
    {.name = "status",
     .operands = "DB [DOCKING]",
     .min = 1,
     .max = 2,
     .help = "how each node stands: what is not confirmed, last session, what needs a look",
     .options = site_status_options,
     .run = site_verb_status},
    {.name = "check",
     .operands = "SITE",
     .min = 1,
     .max = 1,
     .help = "check SITE/site.conf and print what holds (exit 1: something is not as it wants it)",
     .options = site_check_options,
     .run = site_verb_check},
    {.name = "init",
     .operands = "SITE",
     .min = 1,
     .max = 1,
     .help = "make the directories of a site and its site.conf, and say what comes next",
     .run = site_verb_init},
    {.name = "metrics",
     .operands = "SITE",
     .min = 1,
     .max = 1,
     .help = "print how the site stands as OpenMetrics text",
     .run = site_verb_metrics},
    {.name = "report",
     .operands = "SITE",
     .min = 1,
     .max = 1,
     .help = "print how the site stands as one HTML page",
     .run = site_verb_report},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "txnroute",
                                               .help = "give each node its share of what changed",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs};
    return cli_main(&command, argc, argv);
}
