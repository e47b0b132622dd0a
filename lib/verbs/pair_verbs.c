/* pair_verbs: see verbs/pair_verbs.h. */
#include "verbs/pair_verbs.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/spool.h"
#include "device/device_package.h"
#include "device/extract_report.h"
#include "device/handheld.h"
#include "device/patch.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "route/route.h"
#include "session/pairing.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *device, *conf, *user, *limit, *out_file;

static bool adopt, anew, full, as_json;

/* Of what the device may hold, and what it gets. */
struct limits {
    struct db *pc;
    const struct node *node;
    char *package;
    bool checked;
    int64_t most; /* of every object; -1: what handheld.conf says */
    struct extract_report report;
};

static void limits_free(struct limits *l)
{
    extract_report_free(&l->report);
    free(l->package);
}

static int need_device(void)
{
    return device ? 0 : fail(ERR_USAGE, "which device? --device NAME");
}

/* Opens the companion's database to change it, in one write transaction, with the router's tables there. */
static struct db *open_companion(const char *path)
{
    struct db *db = db_open(path, DB_WRITE);
    if (db && (meta_require(db) || db_begin_write(db) || route_init(db))) {
        db_close(db);
        return NULL;
    }
    return db;
}

/* Commits, and opens it again: after a package was loaded, a run of the router wants a connection without what is temporary
 * of that. */
static int commit_and_reopen(struct db **db, const char *path)
{
    if (db_commit(*db))
        return -1;
    struct db *again = db_open(path, DB_WRITE);
    db_close(*db);
    *db = again;
    return again ? 0 : -1;
}

/* Refuses to make a second database for a device that has one, unless that is said. */
static int check_lost(struct db *pc, const struct node *n, const char *id)
{
    char *path = NULL;
    enum handheld_state state = HANDHELD_NONE;
    if (!n->active)
        return fail(ERR_REFUSED, "device %s has ended here; pair it under another name", device);
    if (anew || adopt)
        return 0;
    if (handheld_path(pc, device, &path))
        return -1;
    int rc = path ? handheld_state(path, device, id, &state) : 0;
    /* A pairing that was interrupted has left no database, and nothing was ever sent by it. */
    if (rc == 0 && (state == HANDHELD_OURS || n->applied > 0))
        rc = fail(ERR_REFUSED,
                  "device %s is paired here; its database was %s. If that is lost, with what was not yet "
                  "sent from it: "
                  "--anew",
                  device, path ? path : "elsewhere");
    free(path);
    return rc;
}

static int register_device(struct db *pc, const char *package, const char *id)
{
    struct node n;
    char *own = NULL;
    int found = node_find(pc, device, &n);
    if (found < 0 || meta_get_text(pc, "node", &own))
        return -1;
    const char *as = user ? user : own ? own : device;
    int rc = found ? check_lost(pc, &n, id) : 0;
    if (rc == 0)
        rc = found ? node_set(pc, device, user, package) : node_add(pc, device, as, package);
    if (found)
        node_free(&n);
    free(own);
    return rc;
}

static bool wants_report(void)
{
    return cli_verbose || as_json;
}

/* Rows are counted only where a limit, or who reads the report, asks: a difference costs what it has, not what the
 * companion has. */
static int over_limit(void *ctx, const struct device_object *d)
{
    struct limits *l = ctx;
    int64_t most = l->most < 0 ? d->limit : l->most, rows = 0;
    const char *name = d->object->name;
    if ((wants_report() || most >= 0) &&
        membership_count(l->pc, l->node, d->object, wants_report() ? -1 : most, &rows))
        return -1;
    extract_report_object(&l->report, d->object, d->filter, rows);
    if (most < 0 || rows <= most)
        return 0;
    if (membership_count(l->pc, l->node, d->object, -1, &rows))
        return -1;
    return fail(ERR_REFUSED,
                "object %s: %lld rows, more than the limit of %lld; the device stays as it is. Narrow its "
                "filter (%s), or raise the limit",
                name, (long long)rows, (long long)most, d->filter);
}

/* Whether the device would hold no more rows of each object than it may. */
static int check_limits(struct db *pc, void *ctx)
{
    struct limits *l = ctx;
    struct node n;
    if (node_require(pc, device, &n))
        return -1;
    l->checked = true;
    l->pc = pc;
    l->node = &n;
    free(l->package);
    l->package = mem_text(n.package);
    int rc = device_package_each(pc, &n, over_limit, l);
    node_free(&n);
    return rc;
}

static void took(void *ctx, const char *package, const struct object *o, double seconds)
{
    struct limits *l = ctx;
    if (l->package && strcmp(package, l->package) == 0)
        extract_report_took(&l->report, o, seconds);
}

static void print_report(const struct extract_report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct extract_cost *c = &r->cost[i];
        if (as_json)
            json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f}", "object", c->object,
                                                 "table", c->table, "filter", c->filter, "rows",
                                                 (json_int_t)c->rows, "changes", (json_int_t)c->changes,
                                                 "bytes", (json_int_t)c->bytes, "seconds", c->seconds));
        else
            cli_say("%s: %s: %lld rows; here %lld changes, %lld bytes, %.3f s", c->object, c->filter,
                    (long long)c->rows, (long long)c->changes, (long long)c->bytes, c->seconds);
    }
    if (as_json) {
        json_dumpf(all, stderr, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        fputc('\n', stderr);
    }
    json_decref(all);
}

/* What each object is and costs, on stderr: stdout is for the archive. */
static int say_report(struct limits *l, int fd)
{
    if (!wants_report())
        return 0;
    if (extract_report_read(&l->report, fd))
        return -1;
    print_report(&l->report);
    return 0;
}

/* Makes the device's database from an extract, or lays the extract over the one that is adopted. */
static int make_device(struct db *pc, const char *path, const char *id, char **saved)
{
    struct limits l = {.most = -1};
    int fd = spool_new();
    if (fd < 0)
        return -1;
    const struct route r = {.log = -1,
                            .extract = device,
                            .renumber = true,
                            .out = fd,
                            .accept = check_limits,
                            .ctx = &l,
                            .took = took,
                            .tell = cli_warn};
    struct route_done done;
    int rc = route_run(pc, &r, &done) ? -1
             : adopt                  ? handheld_adopt(path, device, fd, id, saved)
                                      : handheld_make(path, fd, id);
    if (rc == 0)
        rc = say_report(&l, fd);
    limits_free(&l);
    close(fd);
    return rc ? -1 : handheld_clear_spool(path);
}

/* The package of the device: that of --conf; else the one that it has; else one of all tables. *name to free. */
static int find_package(struct db *pc, char **name)
{
    struct node n;
    int found = conf ? 0 : node_find(pc, device, &n);
    if (found <= 0)
        return found < 0 ? -1 : device_package_load(pc, conf, cli_say, name);
    *name = mem_text(n.package);
    node_free(&n);
    return 0;
}

/* What a companion has of the device before; *make: its database is to be made, or adopted. */
static int look_at_device(struct db *pc, const char *path, const char *id, bool *make)
{
    enum handheld_state state;
    if (handheld_state(path, device, adopt ? NULL : id, &state))
        return -1;
    if (adopt && state == HANDHELD_NONE)
        return fail(ERR_REFUSED, "%s: there is no device to adopt; pair a new one without --adopt", path);
    *make = adopt || state == HANDHELD_NONE;
    return *make ? handheld_check_spool(pc, path, device) : 0;
}

static int pair(int argc, char **argv)
{
    char *id = NULL, *package = NULL, *saved = NULL;
    bool make = false;
    (void)argc;
    if (need_device())
        return -1;
    if (!meta_node_name(device))
        return fail(ERR_USAGE, "--device: '%s': letters, digits, . _ - only", device);
    if (adopt && anew)
        return fail(ERR_USAGE, "--adopt for a device that is there, --anew for one that is lost; not both");
    struct db *pc = open_companion(argv[0]);
    int rc = pc && handheld_workstation(pc, &id) == 0 ? look_at_device(pc, argv[1], id, &make) : -1;
    if (rc == 0 && make)
        rc = find_package(pc, &package) || register_device(pc, package, id) ? -1 : 0;
    if (rc == 0)
        rc = handheld_set_path(pc, device, argv[1]);
    if (rc == 0)
        rc = commit_and_reopen(&pc, argv[0]);
    if (rc == 0 && make)
        rc = make_device(pc, argv[1], id, &saved);
    if (rc == 0)
        cli_say("%s: device %s, %s", argv[1], device, make ? "paired" : "paired already");
    if (saved)
        cli_warn("%s: rows of it that its companion does not have so were replaced; as they were they are "
                 "saved in %s "
                 "(dxpack cat; dxapply --log puts them back)",
                 argv[1], saved);
    if (rc == 0 && saved)
        rc = ERR_LOOK;
    free(saved);
    free(package);
    free(id);
    db_close(pc);
    return rc;
}

/* Opens the device given, which is looked at as `check` does, or the one that is where it was when it was paired; *db NULL
 * when that is not at hand. *name, to free, is that of the device given. */
static int open_device(struct db *pc, const char *given, struct db **db, char **name)
{
    char *path = NULL;
    *db = NULL;
    *name = NULL;
    if (given) {
        *db = pairing_open(given);
        if (*db == NULL || pairing_check(pc, *db, name))
            return -1;
        device = *name;
        return 0;
    }
    if (handheld_path(pc, device, &path))
        return -1;
    int rc = 0;
    if (path && file_exists(path))
        rc = (*db = db_open(path, DB_READ)) ? 0 : -1;
    else
        cli_say("device %s: its database %s is not at hand", device, path ? path : "");
    free(path);
    return rc;
}

/* Whether the device stands in the way, and how far it is. */
static int ask_device(struct db *pc, struct db *db, const struct node *n)
{
    struct handheld_progress p;
    enum handheld_state state;
    const char *path = db_path(db);
    char *id = NULL;
    int rc = handheld_workstation(pc, &id) || handheld_state_of(db, n->name, id, &state) ||
                     handheld_progress(db, n, &p)
                 ? -1
                 : 0;
    if (rc == 0 && p.pending)
        rc = fail(ERR_REFUSED,
                  "%s: %lld changes of device %s are not processed here yet; run: companionsync %s %s", path,
                  (long long)p.pending, n->name, db_path(pc), path);
    if (rc == 0 && p.applied < n->applied && !full)
        rc = pairing_stale(pc, path, n->name);
    if (rc == 0 && p.applied > n->applied)
        rc = node_note_applied(pc, n->id, p.applied);
    free(id);
    return rc;
}

/* Whether the device's software is of the release that handheld.conf asks for. */
static int check_release(struct db *pc, const char *path, const struct node *n)
{
    char *least = NULL, *version = NULL;
    int rc = device_package_release(pc, n->package, &least);
    if (rc == 0 && least)
        rc = patch_software(path, &version);
    if (rc == 0 && least && version && patch_compare(version, least) < 0)
        rc = fail(ERR_REFUSED,
                  "device %s: its software is %s, and handheld.conf asks for %s at least; have a patch "
                  "staged at the "
                  "server and run integratedsync",
                  n->name, version, least);
    else if (rc == 0 && least && version == NULL)
        rc = fail(ERR_REFUSED,
                  "device %s: the version of its software is not known, and handheld.conf asks for %s at "
                  "least; note "
                  "it: hhextract ready %s --software VERSION; or have a patch staged at the server",
                  n->name, least, path);
    free(least);
    free(version);
    return rc;
}

static int copy_to(int out, const char *name, int fd)
{
    char piece[1 << 16];
    ssize_t got;
    if (spool_seek(fd, 0, "extract"))
        return -1;
    while ((got = file_read(fd, piece, sizeof piece, "extract")) > 0)
        if (file_write(out, piece, (size_t)got, name))
            return -1;
    return got < 0 ? -1 : 0;
}

/* To stdout, or into a file, whole. Of a difference that is none no file is made: the device that was looked at, if it was,
 * is synchronized with that. */
static int hand_over(const struct route_done *done, struct db *db, int fd)
{
    if (out_file == NULL)
        return copy_to(STDOUT_FILENO, "stdout", fd);
    if (!full && done->handed == 0) {
        int held = db ? patch_holds(db) : 0;
        return held > 0 ? patch_settle(db_path(db)) : held;
    }
    struct file_new *f = file_new_open(out_file);
    if (f == NULL)
        return -1;
    if (copy_to(file_new_fd(f), out_file, fd) == 0)
        return file_new_commit(f);
    file_new_abort(f);
    return -1;
}

/* Routes, and writes what the device has not applied, or with --full all that it gets. */
static int extract(struct db *pc, struct db *db, int64_t most)
{
    struct limits l = {.most = most};
    int fd = spool_new();
    if (fd < 0)
        return -1;
    const struct route r = {.log = -1,
                            .node = full ? NULL : device,
                            .extract = full ? device : NULL,
                            .renumber = full,
                            .out = fd,
                            .accept = check_limits,
                            .ctx = &l,
                            .took = took,
                            .tell = cli_warn};
    struct route_done done;
    int rc = route_run(pc, &r, &done);
    if (rc == 0 && !l.checked) /* nothing was routed; the limits may be lower than before */
        rc = check_limits(pc, &l);
    if (rc == 0)
        rc = say_report(&l, fd) || hand_over(&done, db, fd) ? -1 : 0;
    limits_free(&l);
    close(fd);
    return rc ? -1 : 0;
}

/* What the companion and the device say before anything is routed; in the companion's write transaction. */
static int prepare_run(struct db *pc, struct db *db)
{
    struct node n = {0};
    char *package = NULL;
    int rc = node_require(pc, device, &n);
    if (rc == 0 && db)
        rc = ask_device(pc, db, &n);
    if (rc == 0 && conf)
        rc = device_package_load(pc, conf, cli_say, &package);
    if (rc == 0 && package && strcmp(package, n.package) != 0) {
        full = true; /* another package begins another numbering */
        rc = node_set(pc, device, NULL, package);
    }
    if (rc == 0 && db)
        rc = check_release(pc, db_path(db), &n);
    node_free(&n);
    free(package);
    return rc;
}

static int run(int argc, char **argv)
{
    const char *given = argc > 1 ? argv[1] : NULL;
    char *name = NULL;
    int64_t most = -1;
    if (given && device)
        return fail(ERR_USAGE, "DEVICE.db or --device NAME, not both");
    if ((!given && need_device()) || (!out_file && cli_archive_to_stdout()) ||
        (limit && cli_number(limit, "--limit", &most)))
        return -1;
    struct db *pc = open_companion(argv[0]), *db = NULL;
    int rc = pc ? open_device(pc, given, &db, &name) : -1;
    if (rc == 0)
        rc = prepare_run(pc, db) || (conf ? commit_and_reopen(&pc, argv[0]) : db_commit(pc)) ||
                     extract(pc, db, most)
                 ? -1
                 : 0;
    free(name);
    db_close(db);
    db_close(pc);
    return verb_tell_steps(rc);
}

#define DEVICE                                                                      \
    {                                                                               \
        "--device", "NAME", "the device, as a node of the companion", NULL, &device \
    }

#define CONF                                                                                 \
    {                                                                                        \
        "--conf", "FILE", "what the device gets: a handheld.conf, or a package", NULL, &conf \
    }

static const struct cli_option pair_options[] = {
    DEVICE,
    CONF,
    {"--user", "USER", "what rules know it by (default: the companion's own node name)", NULL, &user},
    {"--anew", NULL, "its database is lost: make it once more", &anew, NULL},
    {"--adopt", NULL,
     "it was another companion's, or is not the newest: make it right, keep what it has not sent", &adopt,
     NULL},
    {0}};

static const struct cli_option run_options[] = {
    DEVICE,
    CONF,
    {"--limit", "N", "refuse more than N rows of an object", NULL, &limit},
    {"--out", "FILE", "into FILE, whole, instead of stdout; no file when there is nothing new", NULL,
     &out_file},
    {"--full", NULL, "all that the device gets, over what it has: its numbering begins again", &full, NULL},
    {"--json", NULL, "what each object is and costs, as JSON on stderr", &as_json, NULL},
    {0}};

const struct cli_verb pair_verb_pair = {
    "pair", "PC.db DEVICE.db", 2, 2, "bind a device to its companion, and make its database", pair_options,
    pair};

const struct cli_verb pair_verb_run = {
    "run", "PC.db [DEVICE.db]", 1, 2, "write the device's next archive", run_options, run};
