/* device_package: see device/device_package.h. */
#include "device/device_package.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "device/handheld_conf.h"
#include "journal/client_tables.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "route/lookalike.h"
#include "route/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char conf_name[] = "package.conf";

/* ---- a package given ---- */

/* The directory of a package.conf or of its own name; to free. */
static char *directory_of(const char *conf)
{
    struct stat st;
    if (stat(conf, &st)) {
        fail_errno("%s: cannot read", conf);
        return NULL;
    }
    if (S_ISDIR(st.st_mode))
        return mem_text(conf);
    const char *slash = strrchr(conf, '/'), *name = slash ? slash + 1 : conf;
    if (strcmp(name, conf_name) != 0) {
        fail(ERR_REFUSED, "%s: a package is a directory with a %s and what it names; give one of the two",
             conf, conf_name);
        return NULL;
    }
    return slash ? mem_printf("%.*s", (int)(slash - conf + 1), conf) : mem_text(".");
}

/* Loads it, unless it is loaded already, to the byte. */
static int load(struct db *pc, const char *directory, void (*tell)(const char *fmt, ...), char **name)
{
    struct package *p = package_read(pc, directory);
    char *hash = NULL;
    if (p == NULL)
        return -1;
    int rc = db_get_text(pc, &hash, "SELECT hash FROM dx_package WHERE name = %Q", p->name);
    if (rc == 0 && (hash == NULL || strcmp(hash, p->hash) != 0))
        rc = route_load(pc, directory, tell);
    if (rc == 0)
        *name = mem_text(p->name);
    free(hash);
    package_free(p);
    return rc;
}

/* ---- a package made here ---- */

static int write_conf(const char *path, const struct buf *conf)
{
    FILE *f = fopen(path, "w");
    bool written = f && fwrite(conf->p, 1, conf->n, f) == conf->n;
    if ((f && fclose(f)) || !written)
        return fail_errno("%s: cannot write", path);
    return 0;
}

/* Does something with a directory that holds the text as package.conf. */
typedef int in_directory_fn(struct db *pc, const char *directory, void *ctx);

static int in_directory(struct db *pc, const struct buf *conf, in_directory_fn *fn, void *ctx)
{
    const char *tmp = getenv("TMPDIR");
    char *directory = mem_printf("%s/dx-handheld.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int rc = mkdtemp(directory) ? 0 : fail_errno("%s: cannot make it", directory);
    if (rc == 0) {
        char *path = file_join(directory, conf_name);
        rc = write_conf(path, conf) ? -1 : fn(pc, directory, ctx);
        unlink(path);
        rmdir(directory);
        free(path);
    }
    free(directory);
    return rc;
}

struct loading {
    void (*tell)(const char *fmt, ...);
    char **name;
};

static int load_directory(struct db *pc, const char *directory, void *ctx)
{
    struct loading *l = ctx;
    return load(pc, directory, l->tell, l->name);
}

/* Loads the text of a package.conf, through a directory like any other, so that there is one way in. */
static int load_text(struct db *pc, const struct buf *conf, void (*tell)(const char *fmt, ...), char **name)
{
    struct loading l = {tell, name};
    return in_directory(pc, conf, load_directory, &l);
}

static int add_tables(struct db *pc, struct buf *conf)
{
    struct table **copy;
    struct journal_table *captured;
    size_t ncopy, ncaptured = 0;
    if (client_tables_load(pc, &copy, &ncopy))
        return -1;
    if (ncopy == 0 && journal_tables(pc, &captured, &ncaptured))
        return -1;
    for (size_t i = 0; i < ncopy; i++)
        buf_addf(conf, "[object %s]\nvisible = all\n", copy[i]->name);
    for (size_t i = 0; i < ncaptured; i++)
        if (captured[i].current)
            buf_addf(conf, "[object %s]\nvisible = all\n", captured[i].table->name);
    client_tables_free(copy, ncopy);
    if (ncopy == 0)
        journal_tables_free(captured, ncaptured);
    return 0;
}

/* Adds what the rows say of references that the schema does not declare: nobody is there to be asked. */
static int add_lookalikes(struct db *pc, const char *directory, void *ctx)
{
    struct buf *conf = ctx;
    struct package *p = package_read(pc, directory);
    struct lookalike *l = NULL;
    size_t n = 0;
    int rc = p ? lookalike_find(pc, p, &l, &n) : -1;
    if (rc == 0 && n)
        buf_clear(conf);
    for (size_t i = 0; rc == 0 && n && i < p->nobject; i++) {
        buf_addf(conf, "[object %s]\nvisible = all\n", p->object[i].name);
        lookalike_line(conf, &p->object[i], l, n, NULL);
    }
    lookalike_free(l, n);
    package_free(p);
    return rc;
}

/* A companion that was given no package gives its device every table. */
static int load_default(struct db *pc, void (*tell)(const char *fmt, ...), char **name)
{
    static const char head[] = "[package]\nname = " HANDPACK_NAME "\nversion = 1\n";
    struct buf tables = {0}, conf = {0};
    int rc = add_tables(pc, &tables);
    buf_addf(&conf, "%s%s", head, buf_text(&tables));
    if (rc == 0)
        rc = in_directory(pc, &conf, add_lookalikes, &tables);
    buf_clear(&conf);
    buf_addf(&conf, "%s%s", head, buf_text(&tables));
    if (rc == 0)
        rc = load_text(pc, &conf, tell, name);
    buf_free(&tables);
    buf_free(&conf);
    return rc;
}

/* ---- handheld.conf ---- */

static char *release_name(const char *package)
{
    return mem_printf("release:%s", package);
}

/* For the merge of what a device changed (apply/merge_context.h). */
static int set_inside(struct db *pc, const char *package, const struct handheld_object *o)
{
    char *name = mem_printf(META_INSIDE "%s:%s", package, o->name);
    int rc = meta_set_text(pc, name, o->inside);
    free(name);
    return rc;
}

static int store_limits(struct db *pc, const char *package, const struct handheld_limits *l)
{
    char *name = release_name(package);
    int rc = db_exec(pc, "CREATE TABLE IF NOT EXISTS dx_device_object (package TEXT, object TEXT, filter "
                         "TEXT, rows INTEGER,"
                         " PRIMARY KEY (package, object)) WITHOUT ROWID") ||
             db_execf(pc, "DELETE FROM dx_device_object WHERE package = %Q", package) ||
             meta_set_text(pc, name, *l->release ? l->release : NULL);
    for (size_t i = 0; rc == 0 && i < l->n; i++)
        rc = db_execf(pc, "INSERT INTO dx_device_object VALUES (%Q, %Q, %Q, %lld)", package,
                      l->object[i].name, l->object[i].filter, (long long)l->object[i].rows) ||
             set_inside(pc, package, &l->object[i]);
    free(name);
    return rc ? -1 : 0;
}

static int load_handheld_conf(struct db *pc, const char *path, void (*tell)(const char *fmt, ...),
                              char **name)
{
    struct buf conf = {0};
    struct handheld_limits limits = {0};
    int rc = handheld_conf_read(pc, path, &conf, &limits);
    if (rc == 0 && load_text(pc, &conf, tell, name))
        rc = fail_in("%s, as a package", path);
    if (rc == 0)
        rc = store_limits(pc, *name, &limits);
    handheld_limits_free(&limits);
    buf_free(&conf);
    return rc;
}

/* What handheld.conf says of an object: *filter to free, NULL where it says nothing. */
static int object_of(struct db *pc, const char *package, const char *object, char **filter, int64_t *rows)
{
    int64_t there;
    *filter = NULL;
    *rows = -1;
    if (db_get_int(pc, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_device_object'"))
        return -1;
    struct stmt *s =
        there
            ? db_preparef(pc, "SELECT filter, rows FROM dx_device_object WHERE package = %Q AND object = %Q",
                          package, object)
            : NULL;
    enum step step = s ? stmt_step(s) : there ? STEP_ERROR : STEP_DONE;
    if (step == STEP_ROW) {
        *filter = mem_text(stmt_text(s, 0));
        *rows = stmt_int(s, 1);
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : 0;
}

int device_package_release(struct db *pc, const char *package, char **release)
{
    char *name = release_name(package);
    int rc = meta_get_text(pc, name, release);
    free(name);
    return rc;
}

/* A file of that name, or one with a section [handheld] in it: 1, 0, -1. */
static int is_handheld_conf(const char *path)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (stat(path, &st) || !S_ISREG(st.st_mode))
        return 0;
    return strcmp(slash ? slash + 1 : path, "handheld.conf") == 0 ? 1 : handheld_conf_is(path);
}

int device_package_load(struct db *pc, const char *conf, void (*tell)(const char *fmt, ...), char **name)
{
    int64_t there;
    *name = NULL;
    int is = conf ? is_handheld_conf(conf) : 0;
    if (is)
        return is < 0 ? -1 : load_handheld_conf(pc, conf, tell, name);
    if (conf) {
        char *directory = directory_of(conf);
        int rc = directory ? load(pc, directory, tell, name) : -1;
        free(directory);
        return rc;
    }
    if (db_get_int(pc, &there, "SELECT count(*) FROM dx_package WHERE name = %Q", HANDPACK_NAME))
        return -1;
    if (there == 0)
        return load_default(pc, tell, name);
    *name = mem_text(HANDPACK_NAME);
    return 0;
}

/* ---- what a device holds ---- */

static char *filter_of(const struct object *o)
{
    char *keep = *o->keep ? mem_printf(" and %s", o->keep) : mem_text("");
    char *filter = o->visible == VISIBLE_ALL ? mem_printf("all%s", keep)
                   : o->visible == VISIBLE_VIA
                       ? mem_printf("via %s -> %s%s", o->via_column, o->via_object, keep)
                       : mem_printf("%s%s", o->rule ? o->rule : "none", keep);
    free(keep);
    return filter;
}

int device_package_each(struct db *pc, const struct node *n, device_package_fn *fn, void *ctx)
{
    struct package *p = package_get(pc, n->package);
    int rc = p ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++) {
        const struct object *o = &p->object[i];
        char *filter;
        int64_t limit;
        if (o->visible == VISIBLE_NONE)
            continue;
        rc = object_of(pc, n->package, o->name, &filter, &limit);
        if (filter == NULL)
            filter = filter_of(o);
        if (rc == 0)
            rc = fn(ctx, &(struct device_object){o, filter, limit});
        free(filter);
    }
    package_free(p);
    return rc;
}
