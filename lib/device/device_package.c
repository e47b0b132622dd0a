/* device_package: see device/device_package.h. */
#include "device/device_package.h"

#include "apply/client_tables.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "nodes/membership.h"
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

/* ---- the package of a companion that was given none ---- */

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

static int write_conf(const char *path, const struct buf *conf)
{
    FILE *f = fopen(path, "w");
    bool written = f && fwrite(conf->p, 1, conf->n, f) == conf->n;
    if ((f && fclose(f)) || !written)
        return fail_errno("%s: cannot write", path);
    return 0;
}

/* Through a package.conf like any other, so that there is one way in. */
static int load_default(struct db *pc, void (*tell)(const char *fmt, ...), char **name)
{
    const char *tmp = getenv("TMPDIR");
    char *directory = mem_printf("%s/dx-handheld.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    struct buf conf = {0};
    buf_addf(&conf, "[package]\nname = %s\nversion = 1\n", HANDPACK_NAME);
    int rc = add_tables(pc, &conf);
    if (rc == 0 && mkdtemp(directory) == NULL)
        rc = fail_errno("%s: cannot make it", directory);
    if (rc == 0) {
        char *path = file_join(directory, conf_name);
        rc = write_conf(path, &conf) ? -1 : load(pc, directory, tell, name);
        unlink(path);
        rmdir(directory);
        free(path);
    }
    buf_free(&conf);
    free(directory);
    return rc;
}

int device_package_load(struct db *pc, const char *conf, void (*tell)(const char *fmt, ...), char **name)
{
    int64_t there;
    *name = NULL;
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

static int count_rows(struct db *pc, const struct node *n, const struct object *o, int64_t *rows)
{
    struct buf sql = {0};
    int rc = membership_select(pc, n, o, &sql);
    if (rc == 0)
        rc = db_get_int(pc, rows, "SELECT count(*) FROM (%s)", buf_text(&sql));
    buf_free(&sql);
    return rc;
}

int device_package_each(struct db *pc, const struct node *n, device_package_fn *fn, void *ctx)
{
    struct package *p = package_get(pc, n->package);
    int rc = p ? membership_functions(pc) : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++) {
        const struct object *o = &p->object[i];
        int64_t rows;
        if (o->visible == VISIBLE_NONE)
            continue;
        char *filter = filter_of(o);
        rc = count_rows(pc, n, o, &rows) ? -1 : fn(ctx, o, filter, rows);
        free(filter);
    }
    package_free(p);
    return rc;
}
