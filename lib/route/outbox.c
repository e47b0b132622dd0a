/* outbox: see route/outbox.h. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "route/outbox.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "nodes/site_conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An archive on its way to its name. */
struct letter {
    char *temp, *path, *directory;
    int fd; /* open until synced */
};

struct outbox {
    char *docking, *note;
    int lock;
    int home;     /* the docking directory ... */
    dev_t device; /* ... and where it is */
    struct letter *letter;
    size_t n;
    bool scattered; /* some letter is on another device */
    bool marked;    /* DOCKING/unfinished is there */
};

/* ---- where ---- */

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? mem_printf("%.*s", slash == path ? 1 : (int)(slash - path), path) : mem_text(".");
}

static char *absolute(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = mem_text(real ? real : path);
    free(real);
    return copy;
}

char *outbox_directory(struct db *db, const char *docking)
{
    if (docking)
        return mem_text(docking);
    char *path = absolute(db_path(db)), *home = directory_of(path), *noted = NULL, *found = NULL;
    struct stat st;
    if (meta_get_text(db, "docking", &noted) == 0 && noted) {
        found = noted[0] == '/' ? mem_text(noted) : file_join(home, noted);
        if (stat(found, &st) || !S_ISDIR(st.st_mode)) {
            free(found);
            found = NULL;
        }
    }
    if (found == NULL) {
        found = file_join(home, "docking");
        if (stat(found, &st) || !S_ISDIR(st.st_mode)) {
            free(found);
            found = noted == NULL     ? mem_printf("%s-docking", path)
                    : noted[0] == '/' ? mem_text(noted)
                                      : file_join(home, noted);
        }
    }
    free(noted);
    free(home);
    free(path);
    return found;
}

/* Relative to the database where it lies below it, so that both can be moved together. */
static char *note_of(struct db *db, const char *docking)
{
    char *path = absolute(db_path(db)), *home = directory_of(path), *where = absolute(docking);
    size_t n = strlen(home);
    char *note = mem_text(strncmp(where, home, n) == 0 && where[n] == '/' ? where + n + 1 : where);
    free(path);
    free(home);
    free(where);
    return note;
}

const char *outbox_note(const struct outbox *o)
{
    return o->note;
}

static char *outbox_of(const char *docking, const char *node)
{
    return mem_printf("%s/%s/outbox", docking, node);
}

/* ---- the marker, and what a crash left ---- */

static char *marker_of(const struct outbox *o)
{
    return file_join(o->docking, "unfinished");
}

static int mark(struct outbox *o)
{
    char *path = marker_of(o);
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    crashpoint();
    int rc = fd < 0 || fsync(fd) ? fail_errno("%s: cannot write", path) : file_sync_directory(o->docking);
    if (fd >= 0)
        close(fd);
    free(path);
    o->marked = rc == 0;
    return rc;
}

static int unmark(struct outbox *o)
{
    char *path = marker_of(o);
    int rc = unlink(path) && errno != ENOENT ? fail_errno("%s: cannot remove", path) : 0;
    crashpoint();
    free(path);
    o->marked = false;
    return rc;
}

/* The number in "00000007.dx" and the suffix given, or 0. */
static int64_t number_in(const char *name, const char *suffix)
{
    char *end;
    long long n = strtoll(name, &end, 10);
    return name[0] >= '0' && name[0] <= '9' && strcmp(end, suffix) == 0 ? n : 0;
}

/* Calls fn for each file of the outbox whose name ends so; the directory need not be there. */
typedef int each_fn(void *ctx, const char *path, int64_t number);
static int each(const char *directory, const char *suffix, each_fn *fn, void *ctx)
{
    DIR *d = opendir(directory);
    int rc = 0;
    if (d == NULL)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno("%s: cannot open", directory);
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        int64_t number = number_in(e->d_name, suffix);
        char *path = number ? file_join(directory, e->d_name) : NULL;
        rc = number ? fn(ctx, path, number) : 0;
        free(path);
    }
    closedir(d);
    return rc;
}

/* Names an archive that the database knows, and removes one that it does not. */
static int settle(void *ctx, const char *path, int64_t number)
{
    const int64_t *newest = ctx;
    char *name = mem_printf("%.*s", (int)strlen(path) - 4, path); /* without ".new" */
    int rc = number <= *newest ? rename(path, name) : unlink(path);
    crashpoint();
    if (rc)
        rc = fail_errno("%s: cannot end what was left unfinished", path);
    free(name);
    return rc;
}

static int recover(struct outbox *o, struct db *db)
{
    char *path = marker_of(o);
    bool there = file_exists(path);
    struct node *node = NULL;
    size_t n = 0;
    free(path);
    if (!there)
        return 0;
    int rc = node_list(db, &node, &n);
    for (size_t i = 0; i < n; i++) {
        char *directory = outbox_of(o->docking, node[i].name);
        rc = rc || each(directory, ".dx.new", settle, &node[i].archive) ? -1 : 0;
        if (rc == 0 && file_exists(directory))
            rc = file_sync_directory(directory);
        free(directory);
        node_free(&node[i]);
    }
    free(node);
    return rc ? -1 : unmark(o);
}

static int take_lock(const char *path, const char *holder, bool wait)
{
    static const struct timespec pause = {.tv_nsec = 100000000};
    int fd = file_lock(path, holder);
    for (int tries = 0; wait && fd < 0 && err_code() == ERR_BUSY && tries < 100; tries++) {
        nanosleep(&pause, NULL);
        fd = file_lock(path, holder);
    }
    return fd;
}

/* Where archives have been made, a name of which there is no directory may be mistyped: what is put there nobody would
 * fetch. Or the directory is lost, with what waited in it, and is not made again in silence. */
static int check_name(struct outbox *o, struct db *db)
{
    char *noted = NULL;
    int64_t any = 0;
    int rc = meta_get_text(db, "docking", &noted);
    if (rc == 0 && noted)
        rc = db_get_int(db, &any, "SELECT EXISTS (SELECT 1 FROM dx_archive WHERE NOT snapshot)");
    if (rc == 0 && any)
        rc = fail(ERR_REFUSED,
                  "%s: no such directory; the archives so far were put into %s. If this is to be the docking "
                  "directory from now on, make it; `txnroute status --missing` then names the nodes that "
                  "lack archives",
                  o->docking, noted);
    free(noted);
    return rc;
}

/* What is made is for the group, too, where the site wants that, whoever runs this. */
static int let_group_in(struct db *db)
{
    struct site_conf c;
    int rc = site_conf_of(db, &c);
    if (rc == 0 && c.group)
        site_conf_umask(&c);
    site_conf_free(&c);
    return rc;
}

static int make_home(struct outbox *o, struct db *db)
{
    if (file_exists(o->docking))
        return 0;
    if (check_name(o, db))
        return -1;
    return mkdir(o->docking, 0777) && errno != EEXIST
               ? fail_errno("%s: cannot make the directory", o->docking)
               : 0;
}

static int open_home(struct outbox *o)
{
    struct stat st;
    o->home = open(o->docking, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (o->home < 0 || fstat(o->home, &st))
        return fail_errno("%s: cannot open", o->docking);
    o->device = st.st_dev;
    return 0;
}

struct outbox *outbox_open(struct db *db, const char *docking, const char *holder, bool wait)
{
    struct outbox *o = mem_zero(1, sizeof *o);
    o->lock = o->home = -1;
    o->docking = outbox_directory(db, docking);
    char *lock = file_join(o->docking, "lock");
    int rc = let_group_in(db) || make_home(o, db) || open_home(o) ? -1 : 0;
    if (rc == 0) {
        o->note = note_of(db, o->docking);
        o->lock = take_lock(lock, holder, wait);
        rc = o->lock < 0 ? -1 : recover(o, db);
    }
    free(lock);
    if (rc == 0)
        return o;
    outbox_close(o);
    return NULL;
}

static void free_letters(struct outbox *o, bool unlink_them)
{
    for (size_t i = 0; i < o->n; i++) {
        struct letter *l = &o->letter[i];
        if (l->fd >= 0)
            close(l->fd);
        if (unlink_them && l->temp)
            unlink(l->temp);
        free(l->temp);
        free(l->path);
        free(l->directory);
    }
    free(o->letter);
    o->letter = NULL;
    o->n = 0;
}

void outbox_close(struct outbox *o)
{
    if (o == NULL)
        return;
    free_letters(o, true);
    if (o->marked)
        unmark(o);
    file_unlock(o->lock);
    if (o->home >= 0)
        close(o->home);
    free(o->docking);
    free(o->note);
    free(o);
}

/* ---- writing ---- */

/* Whether an error is of the directory alone, and the next node's may be well. */
static bool of_directory(int error)
{
    return error == ENOTDIR || error == EISDIR || error == EACCES || error == EPERM || error == ELOOP ||
           error == ENAMETOOLONG || error == ENOENT || error == EEXIST;
}

int outbox_begin(struct outbox *o, const struct node *n, int64_t number, const char **name)
{
    struct letter l = {.directory = outbox_of(o->docking, n->name)};
    struct stat st;
    if (!o->marked && mark(o))
        return -1;
    l.path = mem_printf("%s/%08lld.dx", l.directory, (long long)number);
    l.temp = mem_printf("%s.new", l.path);
    l.fd = file_create(l.temp);
    if (l.fd < 0 && errno == ENOENT && file_make_directory(l.directory) == 0)
        l.fd = file_create(l.temp);
    if (l.fd < 0) {
        bool alone = of_directory(errno);
        fail_errno("%s: cannot create", l.temp);
        free(l.temp);
        free(l.path);
        free(l.directory);
        return alone ? OUTBOX_ALONE : -1;
    }
    o->scattered |= l.fd >= 0 && (fstat(l.fd, &st) || st.st_dev != o->device);
    crashpoint();
    o->letter = mem_grow(o->letter, o->n + 1, sizeof *o->letter);
    o->letter[o->n++] = l;
    *name = l.temp;
    return l.fd;
}

int outbox_end(struct outbox *o)
{
    struct letter *l = &o->letter[o->n - 1];
    int rc = close(l->fd);
    l->fd = -1;
    return rc ? fail_errno("%s: cannot write", l->temp) : 0;
}

/* Whether one sync of the file system is the better way. */
static bool many(const struct outbox *o)
{
    enum { MANY = 32 };
    return o->n >= MANY && !o->scattered;
}

int outbox_sync(struct outbox *o)
{
    if (many(o))
        return file_sync_system(o->home, o->docking);
    for (size_t i = 0; i < o->n; i++) {
        int fd = open(o->letter[i].temp, O_RDONLY | O_CLOEXEC);
        int rc = fd < 0 || fsync(fd);
        if (rc)
            fail_errno("%s: cannot sync", o->letter[i].temp);
        if (fd >= 0)
            close(fd);
        if (rc || file_sync_directory(o->letter[i].directory))
            return -1;
    }
    return 0;
}

int outbox_commit(struct outbox *o)
{
    bool once = many(o);
    int rc = 0;
    for (size_t i = 0; i < o->n; i++) {
        struct letter *l = &o->letter[i];
        crashpoint();
        if (rename(l->temp, l->path))
            rc = fail_errno("%s: cannot rename to %s; the next run does it", l->temp, l->path);
        else if (!once)
            rc = file_sync_directory(l->directory) || rc ? -1 : 0;
        free(l->temp);
        l->temp = NULL;
    }
    if (once && file_sync_system(o->home, o->docking))
        rc = -1;
    free_letters(o, false);
    if (rc) {
        o->marked = false; /* the marker stays for the next run */
        return -1;
    }
    return o->marked ? unmark(o) : 0;
}

/* ---- what is there ---- */

static int copy_file(const char *path, int to)
{
    uint8_t piece[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    if (fd < 0)
        return fail_errno("%s: cannot open", path);
    while (got > 0) {
        got = file_read(fd, piece, sizeof piece, path);
        if (got > 0 && file_write(to, piece, (size_t)got, "stdout"))
            got = -1;
    }
    close(fd);
    return got < 0 ? -1 : 0;
}

int outbox_copy(const struct outbox *o, const char *node, int64_t from, int fd, int64_t *n)
{
    char *directory = outbox_of(o->docking, node);
    int rc = 0;
    bool there = true;
    for (*n = 0; rc == 0 && there;) {
        char *path = mem_printf("%s/%08lld.dx", directory, (long long)(from + *n));
        there = file_exists(path);
        rc = there ? copy_file(path, fd) : 0;
        *n += there;
        free(path);
    }
    free(directory);
    return rc;
}

bool outbox_has(const struct outbox *o, const char *node, int64_t number)
{
    struct stat st;
    char *path = mem_printf("%s/outbox/%08lld.dx", node, (long long)number);
    bool there = fstatat(o->home, path, &st, 0) == 0;
    free(path);
    return there;
}

static int remove_upto(void *ctx, const char *path, int64_t number)
{
    const int64_t *upto = ctx;
    crashpoint();
    return number <= *upto && unlink(path) && errno != ENOENT ? fail_errno("%s: cannot remove", path) : 0;
}

int outbox_remove(const struct outbox *o, const char *node, int64_t upto)
{
    char *directory = outbox_of(o->docking, node);
    int rc = each(directory, ".dx", remove_upto, &upto);
    free(directory);
    return rc;
}

static int remove_after(void *ctx, const char *path, int64_t number)
{
    const int64_t *newest = ctx;
    return number > *newest && unlink(path) && errno != ENOENT ? fail_errno("%s: cannot remove", path) : 0;
}

int outbox_remove_after(const struct outbox *o, const char *node, int64_t newest)
{
    char *directory = outbox_of(o->docking, node);
    int rc = each(directory, ".dx", remove_after, &newest);
    free(directory);
    return rc;
}

struct waiting {
    int64_t applied;
    struct outbox_files *f;
};

static int count_file(void *ctx, const char *path, int64_t number)
{
    struct waiting *w = ctx;
    struct stat st;
    if (stat(path, &st) == 0) {
        w->f->files++;
        w->f->bytes += st.st_size;
        w->f->later += number > w->applied;
    }
    return 0;
}

int outbox_waiting(const char *docking, const char *node, int64_t applied, struct outbox_files *f)
{
    struct waiting w = {applied, f};
    *f = (struct outbox_files){0};
    char *directory = outbox_of(docking, node);
    int rc = each(directory, ".dx", count_file, &w);
    free(directory);
    return rc;
}
