/* site_files: see session/site_files.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "session/site_files.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "nodes/attachment.h"
#include "nodes/site_conf.h"
#include "session/copy_files.h"
#include "session/peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 86400 };

struct collecting {
    struct db *db;
    struct site_conf conf;
    char *site, *store;
    struct site_files_done *done;
};

static char *site_of(struct db *db)
{
    const char *path = db_path(db), *slash = strrchr(path, '/');
    return slash == NULL ? mem_text(".") : mem_printf("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* ---- what nodes sent ---- */

/* Copies it into the store; what is not what its name says is dropped. */
static int take(struct collecting *c, const struct node *n, const char *path, const char *sha)
{
    char came[SHA_HEX];
    int64_t size;
    if (copy_files_put(c->store, path, sha, came, &size)) {
        if (err_code() != ERR_REFUSED)
            return -1;
        c->done->dropped++;
        return unlink(path) ? fail_errno("%s: cannot be removed", path) : 0;
    }
    crashpoint();
    if (attachment_prove(c->db, n->id, sha))
        return -1;
    c->done->taken++;
    c->done->taken_bytes += size;
    return unlink(path) ? fail_errno("%s: cannot be removed", path) : 0;
}

static int look_at(struct collecting *c, const struct node *n, const char *directory, const char *name)
{
    char *path = file_join(directory, name);
    struct stat st;
    int rc = lstat(path, &st) || !S_ISREG(st.st_mode) ? 0 : 1;
    int claimed = rc && peer_is_sha(name) ? attachment_claimed(c->db, n->id, name) : 0;
    if (claimed > 0)
        rc = take(c, n, path, name);
    else if (rc && claimed == 0 && st.st_mtime < time(NULL) - c->conf.partial_days * DAY) {
        c->done->dropped++;
        rc = unlink(path) ? fail_errno("%s: cannot be removed", path) : 0;
    } else {
        c->done->waiting += rc && peer_is_sha(name);
        rc = claimed < 0 ? -1 : 0;
    }
    free(path);
    return rc;
}

static int take_of_node(struct collecting *c, const struct node *n)
{
    char *directory = mem_printf("%s/docking/%s/files", c->site, n->name);
    DIR *d = opendir(directory);
    int rc = 0;
    for (struct dirent *e; rc == 0 && d && (e = readdir(d)) != NULL;)
        rc = look_at(c, n, directory, e->d_name);
    if (d)
        closedir(d);
    free(directory);
    return rc;
}

static int take_all(struct collecting *c)
{
    struct node *node;
    size_t n;
    if (node_list(c->db, &node, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        rc = rc || take_of_node(c, &node[i]) ? -1 : 0;
        node_free(&node[i]);
    }
    free(node);
    return rc;
}

/* ---- what no row names ---- */

static const char sql_files[] =
    "DROP TABLE IF EXISTS temp.dx_store; CREATE TEMP TABLE dx_store (digest TEXT PRIMARY KEY) "
    "WITHOUT ROWID; DROP TABLE IF EXISTS temp.dx_named; CREATE TEMP TABLE dx_named (digest "
    "TEXT, tbl TEXT, PRIMARY KEY (digest, tbl)) WITHOUT ROWID";

static int name_rows(struct db *db, const char *package)
{
    struct attachments a;
    int rc = attachments_of_package(db, package, &a);
    for (size_t i = 0; rc == 0 && i < a.n; i++)
        rc = db_execf(db,
                      "INSERT OR IGNORE INTO temp.dx_named SELECT \"%w\", %Q FROM main.\"%w\" WHERE "
                      "typeof(\"%w\") = 'text' AND "
                      "length(\"%w\") = 64",
                      a.section[i].digest, a.section[i].table, a.section[i].table, a.section[i].digest,
                      a.section[i].digest);
    attachments_free(&a);
    return rc;
}

/* What is in the store, and what rows of all packages name, into temporary tables. sweep: what was left of copies that
 * were broken off is removed. */
static int list(struct db *db, const char *store, bool sweep)
{
    char **name;
    size_t n;
    if (db_exec(db, sql_files) || package_names(db, &name, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        rc = rc || name_rows(db, name[i]) ? -1 : 0;
        free(name[i]);
    }
    free(name);
    struct stmt *s = rc ? NULL : db_prepare(db, "INSERT OR IGNORE INTO temp.dx_store VALUES (?1)");
    DIR *d = s ? opendir(store) : NULL;
    rc = s ? 0 : -1;
    for (struct dirent *e; rc == 0 && d && (e = readdir(d)) != NULL;)
        if (peer_is_sha(e->d_name)) {
            stmt_bind_text(s, 1, e->d_name);
            rc = stmt_run(s);
        } else if (sweep)
            copy_files_sweep(dirfd(d), e->d_name);
    if (d)
        closedir(d);
    stmt_free(s);
    return rc;
}

static const char sql_note[] = "DELETE FROM dx_file_unused WHERE digest IN (SELECT digest FROM "
                               "temp.dx_named) OR digest NOT IN (SELECT digest FROM "
                               "temp.dx_store);"
                               "INSERT OR IGNORE INTO dx_file_unused (digest, since) SELECT digest, "
                               "CAST(strftime('%s', 'now') AS INTEGER) FROM "
                               "temp.dx_store WHERE digest NOT IN (SELECT digest FROM temp.dx_named)";

static int remove_old(struct collecting *c)
{
    /* By the clock that `since` is of: time() may be a moment behind it. */
    struct stmt *s = db_preparef(c->db,
                                 "SELECT digest FROM dx_file_unused"
                                 " WHERE since <= CAST(strftime('%%s', 'now') AS INTEGER) - %lld",
                                 (long long)c->conf.unused_days * DAY);
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW) {
        char *path = file_join(c->store, stmt_text(s, 0));
        rc = unlink(path) ? fail_errno("%s: cannot be removed", path) : 0;
        free(path);
        c->done->removed += rc == 0;
    }
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}

/* A claim that nobody has proven, of a file that no row names, says nothing any more. */
static int forget_claims(struct collecting *c)
{
    return db_execf(
        c->db,
        "DELETE FROM dx_file_claim WHERE digest NOT IN (SELECT digest FROM temp.dx_named) AND made < "
        "datetime('now', '-%lld days')",
        (long long)c->conf.partial_days);
}

static int sweep(struct collecting *c)
{
    char *seen = mem_printf("%s/docking/files.seen", c->site);
    int rc =
        list(c->db, c->store, true) || db_exec(c->db, sql_note) || remove_old(c) || forget_claims(c) ? -1 : 0;
    int fd = rc ? -1 : file_create(seen);
    if (fd >= 0)
        close(fd);
    free(seen);
    return rc;
}

void site_files_come(const char *site)
{
    char *mark = mem_printf("%s/docking/files.new", site);
    int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd >= 0)
        close(fd);
    free(mark);
}

int site_files_collect(struct db *db, struct site_files_done *out)
{
    struct collecting c = {.db = db, .done = out};
    *out = (struct site_files_done){0};
    c.site = site_of(db);
    c.store = file_join(c.site, "files");
    int rc = site_conf_of(db, &c.conf);
    if (rc == 0) {
        site_conf_umask(&c.conf);
        /* Other programs write while files are copied: each is noted by itself. */
        rc = attachment_init(db) || take_all(&c) || db_begin_write(db) || sweep(&c) || db_commit(db) ? -1 : 0;
    }
    if (out->waiting)
        site_files_come(c.site);
    site_conf_free(&c.conf);
    free(c.store);
    free(c.site);
    return rc;
}

static const char sql_missing[] = "FROM temp.dx_named WHERE digest NOT IN (SELECT digest FROM temp.dx_store)";

static int list_site(struct db *db, bool sweep)
{
    char *site = site_of(db), *store = file_join(site, "files");
    int rc = list(db, store, sweep);
    free(store);
    free(site);
    return rc;
}

int site_files_count_missing(struct db *db, int64_t *n)
{
    return list_site(db, false) || db_get_int(db, n, "SELECT count(DISTINCT digest) %s", sql_missing) ? -1
                                                                                                      : 0;
}

int site_files_missing(struct db *db, site_files_fn *fn, void *ctx)
{
    int rc = list_site(db, true);
    struct stmt *s = rc ? NULL : db_preparef(db, "SELECT tbl, digest %s ORDER BY 1, 2", sql_missing);
    enum step step = STEP_ERROR;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW)
        rc = fn(ctx, stmt_text(s, 0), stmt_text(s, 1));
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}
