/* node_verbs: see verbs/node_verbs.h. */
#include "verbs/node_verbs.h"

#include "base/mem.h"
#include "cli/fields.h"
#include "journal/meta.h"
#include "nodes/approval.h"
#include "nodes/departure.h"
#include "nodes/hold.h"
#include "nodes/membership_log.h"
#include "nodes/responsibility.h"
#include "verbs/site_verbs.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool json;

static const char *package, *reason, *user, *expire;

/* What is noted of the node's end: d->site is "" and the time 0 where nothing is. 0, -1. */
static int read_departure(struct db *db, const struct node *n, struct departure *d)
{
    int found = departure_find(db, n->id, d);
    if (found == 0)
        *d = (struct departure){.site = mem_text("")};
    return found < 0 ? -1 : 0;
}

static int print_node(struct db *db, const struct node *n)
{
    struct departure d;
    char at[FIELDS_TIME];
    if (read_departure(db, n, &d))
        return -1;
    printf("%-16s %-16s %-15s %-6s %7lld %7lld %7lld", n->name, n->user, n->package,
           n->active ? "active" : "ended", (long long)n->archive, (long long)n->applied,
           (long long)n->merged);
    if (d.time)
        fields_time(d.time, at);
    if (*d.site)
        printf("  moved to %s", d.site);
    else if (d.time)
        printf("  %s at %s", departure_due(&d) ? "ended" : "ends", at);
    putchar('\n');
    departure_free(&d);
    return 0;
}

static json_t *node_json(const struct node *n)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", n->name, "user", n->user,
                     "package", n->package, "status", n->active ? "active" : "ended", "epoch", n->epoch,
                     "archive", (json_int_t)n->archive, "position", (json_int_t)n->position, "applied",
                     (json_int_t)n->applied, "merged", (json_int_t)n->merged);
}

/* The node, with the digest of its newest archive. */
static int add_node(struct db *db, const struct node *n, json_t *list)
{
    char *digest, at[FIELDS_TIME];
    struct departure d;
    if (membership_log_digest(db, n->id, n->archive, &digest))
        return -1;
    if (read_departure(db, n, &d)) {
        free(digest);
        return -1;
    }
    json_t *j = node_json(n);
    if (d.time)
        fields_time(d.time, at);
    json_object_set_new(j, "ends", d.time ? json_string(at) : json_null());
    json_object_set_new(j, "moved", *d.site ? json_string(d.site) : json_null());
    departure_free(&d);
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
    int rc = db && db_begin_read(db) == 0 && meta_require(db) == 0 ? node_list(db, &n, &count) : -1;
    json_t *all = json_array();
    bool found = name == NULL;
    if (!json && count)
        printf("%-16s %-16s %-15s %-6s %7s %7s %7s\n", "NODE", "USER", "PACKAGE", "STATUS", "ARCHIVE",
               "APPLIED", "UPLOADS");
    for (size_t i = 0; i < count; i++) {
        if (name == NULL || strcmp(n[i].name, name) == 0) {
            found = true;
            if (json ? add_node(db, &n[i], all) : print_node(db, &n[i]))
                rc = -1;
        }
        node_free(&n[i]);
    }
    free(n);
    db_close(db);
    if (rc == 0 && !found)
        rc = fail(ERR_REFUSED, "%s: no node %s", path, name);
    if (json && rc == 0)
        return fields_print(all);
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

/* A day, to its end, or a moment; "never": 0. In UTC. */
static int read_expiry(const char *text, int64_t *at)
{
    enum { DAY = 86400 };
    *at = 0;
    if (strcmp(text, "never") == 0)
        return 0;
    int day = fields_date_get(text, at);
    if (day < 0)
        return fail(ERR_USAGE, "--expire: '%s' is no date: 2026-12-31, 2026-12-31T18:00:00Z, or never", text);
    *at += day ? DAY : 0;
    return 0;
}

/* Where uploads wait here that were not merged, they stay pending in the copy, which sends them to its new server. */
static int move_node(struct db *db, const char *name, const char *there)
{
    if (*there == 0)
        return fail(ERR_USAGE, "node move: which server has it then? [user@]host:directory, or a directory");
    return node_end_at(db, name, (int64_t)time(NULL), there);
}

static int end_node(struct db *db, const char *name)
{
    int64_t at;
    if (expire == NULL)
        return node_end(db, name);
    return read_expiry(expire, &at) ? -1 : node_end_at(db, name, at, "");
}

static int change_node(struct db *db, const char *verb, const char *name, const char *there)
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
    return strcmp(verb, "move") == 0 ? move_node(db, name, there) : end_node(db, name);
}

static int node(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "list") == 0)
        return list_nodes(argv[1], name);
    if (strcmp(verb, "key") == 0 && name)
        return site_node_key(argv[1], name);
    static const char *const known[] = {"add", "set", "end", "move", "hold", "release", "approve", "reject"};
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(verb, known[i]) != 0)
        i++;
    if (i == sizeof known / sizeof *known)
        return fail(ERR_USAGE,
                    "node %s: add, set, end, move, hold, release, approve, reject, key or list expected",
                    verb);
    const char *there = argc > 3 ? argv[3] : NULL;
    if ((there != NULL) != (strcmp(verb, "move") == 0))
        return fail(ERR_USAGE, there ? "node %s: '%s' is too much" : "node %s: DB NODE SITE", verb, there);
    bool add = strcmp(verb, "add") == 0, set = strcmp(verb, "set") == 0;
    if (name == NULL)
        return fail(ERR_USAGE, "node %s: which node?", verb);
    if (add && package == NULL && user == NULL)
        return fail(
            ERR_USAGE,
            "node add: which package does it get? --package P, or --user U whose responsibility says so");
    if (set && package == NULL && user == NULL)
        return fail(ERR_USAGE, "node set: nothing to change; --user U, --package P");
    struct db *db = verb_open_router(argv[1]);
    if (db == NULL)
        return -1;
    return verb_commit(db, change_node(db, verb, name, there));
}

static const struct cli_option node_options[] = {
    {.name = "--package", .value = "P", .help = "the package it gets", .text = &package},
    {.name = "--user", .value = "U", .help = "what rules know it by (dx_node.user)", .text = &user},
    {.name = "--reason", .value = "TEXT", .help = "why it is held", .text = &reason},
    {.name = "--expire",
     .value = "DATE",
     .help = "end: not now, but with that day (UTC) or at that moment; never",
     .text = &expire},
    {.name = "--json", .help = "list as JSON", .flag = &json},
    {0}};

const struct cli_verb node_verb_node = {
    .name = "node",
    .operands = "add|set|end|move|hold|release|approve|reject|key|list DB|SITE [NODE [SITE]]",
    .min = 2,
    .max = 4,
    .help = "register, change, end, move to another server, hold, release or list nodes, approve or reject "
            "an upload; key: of SITE, "
            "id.pub on stdin, for "
            "authorized_keys",
    .options = node_options,
    .run = node};
