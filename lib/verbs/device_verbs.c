/* device_verbs: see verbs/device_verbs.h. */
#include "verbs/device_verbs.h"

#include "base/file.h"
#include "base/mem.h"
#include "device/device_package.h"
#include "device/handheld.h"
#include "device/patch.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "session/pairing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *hold;

static const char *software;

static bool release, synced, as_json;

static int check_pair(const char *companion, const char *path, char **name)
{
    struct db *pc = db_open(companion, DB_READ), *db = pc ? pairing_open(path) : NULL;
    int rc = db ? pairing_check(pc, db, name) : -1;
    db_close(db);
    db_close(pc);
    return rc;
}

static int check(int argc, char **argv)
{
    char *name = NULL;
    (void)argc;
    int rc = check_pair(argv[0], argv[1], &name);
    if (rc == 0)
        puts(name);
    free(name);
    return rc;
}

static const char *signers_file, *revoked_file;

static bool rollback;

static int install_patch(int argc, char **argv)
{
    struct patch p;
    char *name = NULL, version[PATCH_VERSION];
    struct signers signers = {signers_file, revoked_file};
    if (revoked_file && signers_file == NULL)
        return fail(ERR_USAGE, "--revoked goes with --signers");
    int checked = check_pair(argv[0], argv[1], &name);
    free(name);
    if (checked)
        return -1;
    if (rollback) {
        if (patch_rollback(argv[1], version))
            return -1;
        cli_warn("%s: version %s is in use again; synchronize before you use the device", argv[1], version);
        return ERR_AGAIN;
    }
    char *file = argc > 2 ? mem_text(argv[2]) : mem_printf("%s-dx/patch", argv[0]);
    int rc = patch_install(file, argv[1], signers_file ? &signers : NULL, &p);
    free(file);
    if (rc <= 0)
        return rc;
    cli_warn("%s: version %s was installed; synchronize once more before you use the device", argv[1],
             p.version);
    return ERR_AGAIN;
}

static int ready(int argc, char **argv)
{
    char *why = NULL;
    (void)argc;
    if ((hold != NULL) + release + synced + (software != NULL) > 1)
        return fail(ERR_USAGE, "one of --hold, --release, --synced and --software");
    if (synced)
        return patch_settle(argv[0]);
    if (software)
        return patch_set_software(argv[0], software);
    if (hold || release)
        return handheld_set_hold(argv[0], hold);
    int rc = handheld_hold(argv[0], &why);
    if (rc == 0 && why) {
        cli_warn("%s: not ready: %s; synchronize again", argv[0], why);
        rc = ERR_AGAIN;
    }
    free(why);
    return rc;
}

static bool look; /* a device needs somebody's attention */

struct device_objects {
    struct db *pc;
    const struct node *node;
    json_t *list;
};

static int add_object(void *ctx, const struct device_object *d)
{
    const struct device_objects *all = ctx;
    int64_t rows;
    if (membership_count(all->pc, all->node, d->object, -1, &rows))
        return -1;
    if (as_json)
        json_array_append_new(all->list,
                              json_pack("{s:s, s:s, s:s, s:I}", "object", d->object->name, "table",
                                        d->object->table, "filter", d->filter, "rows", (json_int_t)rows));
    else
        printf("  %-20s %10lld rows  %s\n", d->object->name, (long long)rows, d->filter);
    return 0;
}

#define NOT_CAPTURED "tables were changed without capture; companionsync finds what was"

static int read_progress(const char *path, const struct node *n, struct handheld_progress *out)
{
    struct db *db = db_open(path, DB_READ);
    int rc = db ? handheld_progress(db, n, out) : -1;
    db_close(db);
    return rc;
}

/* One device; the path says whether it is one, and not another node. */
static int add_device(struct db *pc, const struct node *n, const char *path, json_t *all)
{
    struct handheld_progress p = {0};
    bool here = file_exists(path);
    if (here && read_progress(path, n, &p))
        return -1;
    look |= p.amiss;
    json_t *objects = json_array();
    if (!as_json) {
        printf("%s: %s, package %s, user %s: archive %lld, %lld uploads processed; ", n->name,
               n->active ? "active" : "ended", n->package, n->user, (long long)n->archive,
               (long long)n->merged);
        if (here)
            printf("%s: archive %lld applied, %lld changes to process%s\n", path, (long long)p.applied,
                   (long long)p.pending, p.amiss ? "; NOT CAPTURED: " NOT_CAPTURED : "");
        else
            printf("%s is not at hand\n", path);
    }
    struct device_objects list = {pc, n, objects};
    int rc = device_package_each(pc, n, add_object, &list);
    if (!as_json) {
        json_decref(objects);
        return rc;
    }
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:b, s:o}", "device", n->name, "status",
                  n->active ? "active" : "ended", "package", n->package, "user", n->user, "path", path,
                  "archive", (json_int_t)n->archive, "merged", (json_int_t)n->merged, "applied",
                  here ? json_integer(p.applied) : json_null(), "pending",
                  here ? json_integer(p.pending) : json_null(), "captured", !p.amiss, "objects", objects);
    json_array_append_new(all, j);
    return rc;
}

static int add_devices(struct db *pc, json_t *all)
{
    struct node *n = NULL;
    size_t count = 0;
    int rc = node_list(pc, &n, &count);
    for (size_t i = 0; i < count; i++) {
        char *path = NULL;
        if (rc == 0)
            rc = handheld_path(pc, n[i].name, &path);
        if (rc == 0 && path)
            rc = add_device(pc, &n[i], path, all);
        free(path);
        node_free(&n[i]);
    }
    free(n);
    return rc;
}

static int status(int argc, char **argv)
{
    int64_t nodes;
    (void)argc;
    json_t *all = json_array();
    struct db *pc = db_open(argv[0], DB_READ);
    int rc = pc && meta_require(pc) == 0 && db_begin_read(pc) == 0 ? 0 : -1;
    if (rc == 0)
        rc = db_get_int(pc, &nodes, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_nodes'");
    if (rc == 0 && nodes)
        rc = add_devices(pc, all);
    if (rc == 0 && as_json) {
        json_dumpf(all, stdout, JSON_INDENT(1));
        putchar('\n');
    }
    json_decref(all);
    db_close(pc);
    return rc == 0 && look ? ERR_LOOK : rc;
}

static const struct cli_option ready_options[] = {
    {"--hold", "WHY", "from now on say no, until --release", NULL, &hold},
    {"--release", NULL, "say yes again", &release, NULL},
    {"--synced", NULL, "a synchronization is complete: say yes again after a patch", &synced, NULL},
    {"--software", "VERSION", "note that this version of the device's software is in use", NULL, &software},
    {0}};

static const struct cli_option patch_options[] = {
    {"--signers", "FILE", "install it only when the server has signed it with a key in FILE", NULL,
     &signers_file},
    {"--revoked", "FILE", "keys that sign no more", NULL, &revoked_file},
    {"--rollback", NULL, "go back to the version before; the one in use is not installed again", &rollback,
     NULL},
    {0}};

static const struct cli_option status_options[] = {{"--json", NULL, "as JSON", &as_json, NULL}, {0}};

const struct cli_verb device_verb_check = {
    "check",
    "PC.db DEVICE.db",
    2,
    2,
    "whether the two belong together and may synchronize; prints the device's name",
    NULL,
    check};

const struct cli_verb device_verb_ready = {
    "ready",
    "DEVICE.db",
    1,
    1,
    "whether the device may start: exit 0, or 7 when it must synchronize again",
    ready_options,
    ready};

const struct cli_verb device_verb_patch = {
    "patch",
    "PC.db DEVICE.db [FILE]",
    2,
    3,
    "install a newer version of the device's software, from PC.db-dx/patch: exit 7 when that was done",
    patch_options,
    install_patch};

const struct cli_verb device_verb_status = {
    "status", "PC.db", 1, 1, "the devices, and per object its filter and rows", status_options, status};
