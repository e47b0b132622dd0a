/* package_apply: see apply/package_apply.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "apply/package_apply.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/capture.h"
#include "journal/client_tables.h"
#include "journal/meta.h"
#include "nodes/package_files.h"
#include "sql/local_sql.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct taking {
    struct db *db;
    const char *name; /* of the file, for messages */
    int fd, app;      /* the file; the directory */
    struct package_files f;
};

static int open_directory(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_app(const char *directory)
{
    int fd = mkdir(directory, 0777) && errno != EEXIST ? -1 : open_directory(AT_FDCWD, directory);
    return fd < 0 ? fail_errno("%s: cannot be made", directory) : fd;
}

/* The directory of the version, named by its digest, whole or not at all. */
static int unpack(const struct taking *t)
{
    static const char part[] = ".part";
    struct stat st;
    int fd = -1;
    if (fstatat(t->app, t->f.digest, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (bundle_remove(t->app, part) || mkdirat(t->app, part, 0777) || (fd = open_directory(t->app, part)) < 0)
        return fail_errno("%s: its files cannot be unpacked", t->name);
    int rc = package_files_unpack(t->fd, &t->f, t->name, fd);
    crashpoint();
    if (rc == 0 && (renameat(t->app, part, t->app, t->f.digest) || fsync(t->app)))
        rc = fail_errno("%s: its files cannot be unpacked", t->name);
    if (rc)
        bundle_remove(t->app, part);
    close(fd);
    return rc;
}

/* Tables of the archives, and those that are captured for other reasons. */
static bool travels(void *ctx, const char *table)
{
    int64_t n;
    return client_tables_has(ctx, table) != 0 ||
           db_get_int(ctx, &n, "SELECT count(*) FROM dx_table WHERE current AND name = %Q COLLATE NOCASE",
                      table) ||
           n;
}

/* Reads a file of the version: 1, 0 when there is none, -1. */
static int read_file(const struct taking *t, const char *name, struct buf *out)
{
    char *path = mem_printf("%s/%s", t->f.digest, name);
    int fd = openat(t->app, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return errno == ENOENT ? 0 : fail_errno("%s: cannot be read", name);
    char *at = (char *)buf_reserve(out, LOCAL_SQL_MAX + 1);
    ssize_t n = file_read(fd, at, LOCAL_SQL_MAX + 1, name);
    out->n = n > 0 ? (size_t)n : 0;
    close(fd);
    return n < 0               ? -1
           : n > LOCAL_SQL_MAX ? fail(ERR_REFUSED, "%s: more than %d bytes", name, LOCAL_SQL_MAX)
                               : 1;
}

/* What files the rows name, and the table in which the user asks for some. */
static int note_sections(const struct taking *t)
{
    struct buf text = {0};
    int there = read_file(t, PACKAGE_FILES_SECTIONS, &text);
    int rc =
        there < 0 || meta_set_text(t->db, "files", there ? buf_text(&text) : NULL) ||
                (there &&
                 db_exec(t->db, "CREATE TABLE IF NOT EXISTS dx_file_request (digest TEXT PRIMARY KEY, made "
                                "TEXT NOT NULL DEFAULT (datetime('now'))) WITHOUT ROWID"))
            ? -1
            : 0;
    buf_free(&text);
    return rc;
}

static int run_sql(const struct taking *t)
{
    struct buf text = {0};
    int there = read_file(t, PACKAGE_FILES_SQL, &text);
    int rc = there < 0    ? -1
             : there == 0 ? local_sql_drop(t->db)
                          : local_sql_run(t->db, buf_text(&text), PACKAGE_FILES_SQL, travels, t->db);
    buf_free(&text);
    return rc;
}

/* Capture notes a change before the triggers of the application that are there: it looks at them again. */
static int capture(struct db *db)
{
    struct table **table;
    size_t n;
    if (client_tables_load(db, &table, &n))
        return -1;
    const char **name = mem_zero(n, sizeof *name);
    for (size_t i = 0; i < n; i++)
        name[i] = table[i]->name;
    int rc = n ? capture_attach(db, name, n, NULL) : 0;
    free(name);
    client_tables_free(table, n);
    return rc;
}

/* `current` leads to what the database says; a link is replaced as a whole. */
static int point(const struct taking *t)
{
    unlinkat(t->app, ".current.new", 0);
    if (symlinkat(t->f.digest, t->app, ".current.new") ||
        renameat(t->app, ".current.new", t->app, "current") || fsync(t->app))
        return fail_errno("current: cannot be made");
    return 0;
}

static void remove_older(const struct taking *t)
{
    struct dirent *e;
    int fd = open_directory(t->app, ".");
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    while (d && (e = readdir(d)) != NULL)
        if (strlen(e->d_name) == SHA_HEX - 1 && strcmp(e->d_name, t->f.digest) != 0)
            bundle_remove(t->app, e->d_name);
    if (d)
        closedir(d);
}

/* In one transaction: local.sql, and that it has run. */
static int change_database(const struct taking *t, bool *repeat)
{
    char *package = NULL, *had = NULL;
    int rc = db_begin_write(t->db) || meta_require(t->db) || meta_get_text(t->db, "package", &package) ||
                     meta_get_text(t->db, "package_files", &had)
                 ? -1
                 : 0;
    if (rc == 0 && (package == NULL || strcmp(package, t->f.package) != 0))
        rc = fail(ERR_AGAIN,
                  "%s: these are the files of package %s, and the copy is of package %s; sync again", t->name,
                  t->f.package, package ? package : "(none)");
    *repeat = rc == 0 && had && strcmp(had, t->f.digest) == 0;
    if (rc == 0 && !*repeat)
        rc = capture_check(t->db) || note_sections(t) || run_sql(t) || capture(t->db) ||
                     capture_note_whole(t->db) || meta_set_text(t->db, "package_files", t->f.digest)
                 ? -1
                 : 0;
    if (rc == 0)
        rc = db_commit(t->db);
    else
        db_rollback(t->db);
    crashpoint();
    free(package);
    free(had);
    return rc;
}

int package_apply(struct db *db, const char *file, const char *directory, const struct signers *signers,
                  bool *repeat)
{
    struct taking t = {.db = db, .name = file, .app = -1};
    t.fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (t.fd < 0)
        return fail_errno("%s: cannot be read", file);
    int rc = package_files_read(t.fd, file, &t.f) || (signers && package_files_signed(&t.f, signers, file)) ||
                     (t.app = open_app(directory)) < 0 || unpack(&t) || change_database(&t, repeat) ||
                     point(&t)
                 ? -1
                 : 0;
    if (rc == 0)
        remove_older(&t);
    package_files_free(&t.f);
    if (t.app >= 0)
        close(t.app);
    close(t.fd);
    return rc;
}
