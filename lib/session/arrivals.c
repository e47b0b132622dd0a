/* arrivals: see session/arrivals.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "session/arrivals.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EMPTY_NAME ".inboxes.empty"
#define EMPTY_NEW  ".inboxes.empty.new"
#define EMPTY_HEAD "inboxes found empty, by their directories' inodes and times; all were opened at"

enum {
    DAY = 86400, /* seconds */
    SETTLED =
        2, /* a directory that was changed within so many seconds may change again under the same time */
    EMPTY_MAX = 1 << 28 /* bytes of the file */
};

/* An inbox that was found empty. */
struct empty {
    const char *node;
    unsigned long long inode;
    int64_t time;
};

struct walk {
    int docking, notes;  /* notes: the new file, -1: nothing is noted */
    int64_t now, opened; /* seconds: by the file system's clock; when all inboxes were opened */
    int64_t partial_days;
    bool all;                      /* every inbox is opened */
    struct buf known_text, noted;  /* the file as it was, its words cut off by NUL; as it will be */
    struct empty *known;           /* in the order of node names */
    size_t nknown, nfound, nnoted; /* nfound: of those known, how many are as they were */
    struct arrivals *out;
};

static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

void arrivals_free(struct arrivals *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->file[i].node);
        free(a->file[i].file);
    }
    free(a->file);
    *a = (struct arrivals){0};
}

/* ---- what was empty ---- */

static int by_node(const void *a, const void *b)
{
    return strcmp(((const struct empty *)a)->node, ((const struct empty *)b)->node);
}

/* A line is NODE INODE TIME. A file of another form is as good as none. */
static void read_known(struct walk *w, const char *docking)
{
    char *path = file_join(docking, EMPTY_NAME), *rest = NULL;
    long long opened, time;
    struct empty e;
    if (file_exists(path) && file_load(path, EMPTY_MAX, &w->known_text) == 0) {
        char *line = strtok_r((char *)buf_text(&w->known_text), "\n", &rest);
        if (line && sscanf(line, EMPTY_HEAD " %lld", &opened) == 1 && opened <= w->now &&
            opened > w->now - DAY) {
            w->opened = opened;
            w->all = false;
        }
        while (!w->all && (line = strtok_r(NULL, "\n", &rest)) != NULL) {
            char *blank = strchr(line, ' ');
            if (blank == NULL || sscanf(blank, " %llu %lld", &e.inode, &time) != 2)
                continue;
            *blank = 0;
            e.node = line;
            e.time = time;
            w->known = mem_append(w->known, w->nknown, sizeof *w->known);
            w->known[w->nknown++] = e;
        }
    }
    if (w->nknown)
        qsort(w->known, w->nknown, sizeof *w->known, by_node);
    free(path);
}

static bool is_known(const struct walk *w, const char *node, const struct stat *st)
{
    struct empty want = {.node = node};
    const struct empty *e = w->nknown ? bsearch(&want, w->known, w->nknown, sizeof *w->known, by_node) : NULL;
    return e && e->inode == st->st_ino && e->time == nanoseconds(&st->st_mtim);
}

static void note_empty(struct walk *w, const char *node, const struct stat *st)
{
    if (st->st_mtim.tv_sec + SETTLED >= w->now)
        return;
    w->nnoted++;
    buf_addf(&w->noted, "%s %llu %lld\n", node, (unsigned long long)st->st_ino,
             (long long)nanoseconds(&st->st_mtim));
}

/* ---- the walk ---- */

static void add(struct arrivals *a, const char *node, const char *file, const struct stat *st)
{
    a->file = mem_append(a->file, a->n, sizeof *a->file);
    a->file[a->n++] = (struct arrival){mem_text(node), mem_text(file), nanoseconds(&st->st_mtim)};
}

static bool is_upload(const char *name)
{
    size_t n = strlen(name);
    return isdigit((unsigned char)*name) && n > 3 && strcmp(name + n - 3, ".dx") == 0;
}

static bool is_part(const char *name)
{
    size_t n = strlen(name);
    return *name == '.' && n > 6 && strcmp(name + n - 5, ".part") == 0;
}

/* One directory of a node; -1 where it cannot be read. uploads: these count, else only parts. */
static int look(struct walk *w, int at, const char *node, const char *name, bool uploads, bool *empty)
{
    struct stat st;
    struct dirent *e;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    *empty = true;
    if (d == NULL && fd >= 0)
        close(fd);
    if (d == NULL)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        *empty = false;
        bool upload = uploads && is_upload(e->d_name);
        if ((!upload && !is_part(e->d_name)) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        if (upload)
            add(w->out, node, e->d_name, &st);
        else if (w->partial_days >= 0 && (w->now - st.st_mtim.tv_sec) / DAY > w->partial_days)
            unlinkat(fd, e->d_name, 0);
    }
    closedir(d);
    return 0;
}

/* The directory of one node. */
static int visit(struct walk *w, const char *node)
{
    struct stat st;
    char inbox[NAME_MAX + 8];
    bool empty;
    snprintf(inbox, sizeof inbox, "%s/inbox", node);
    bool there = fstatat(w->docking, inbox, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
    if (there && !w->all && is_known(w, node, &st)) {
        w->nfound++;
        note_empty(w, node, &st);
        return 0;
    }
    int dir = openat(w->docking, node, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? 0
                   : fail_errno("docking/%s: cannot read it", node);
    int rc = look(w, dir, node, "inbox", true, &empty);
    if (rc)
        fail_errno("docking/%s/inbox: cannot read it", node);
    else if (there && empty)
        note_empty(w, node, &st);
    if (rc == 0 && w->all)
        look(w, dir, node, "files", false, &empty);
    close(dir);
    return rc;
}

/* Of a node whose directory cannot be read the uploads wait, and the others' do not; the run says so. */
static int visit_all(struct walk *w)
{
    int fd = openat(w->docking, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL && fd >= 0)
        close(fd);
    if (d == NULL)
        return fail_errno("docking: cannot read it");
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (*e->d_name != '.' && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN) && visit(w, e->d_name))
            rc = -1;
    closedir(d);
    return rc;
}

/* ---- the order ---- */

static int by_name(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    int order = strcmp(x->node, y->node);
    return order ? order : strcmp(x->file, y->file);
}

static int by_time(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    return x->time < y->time ? -1 : x->time > y->time ? 1 : by_name(a, b);
}

/* Those of one node go by number. */
static void sort(struct arrivals *a)
{
    if (a->n == 0)
        return;
    qsort(a->file, a->n, sizeof *a->file, by_name);
    for (size_t i = 1; i < a->n; i++)
        if (strcmp(a->file[i].node, a->file[i - 1].node) == 0 && a->file[i].time < a->file[i - 1].time)
            a->file[i].time = a->file[i - 1].time;
    qsort(a->file, a->n, sizeof *a->file, by_time);
}

/* A new file has the time of now by the clock that gives directories theirs. */
static bool begin_notes(struct walk *w)
{
    struct stat st;
    unlinkat(w->docking, EMPTY_NEW, 0);
    w->notes = openat(w->docking, EMPTY_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (w->notes < 0 || fstat(w->notes, &st))
        return false;
    w->now = st.st_mtim.tv_sec;
    return true;
}

/* It costs nothing to lose what is noted, as it is not synced: the next walk opens all inboxes. */
static void end_notes(struct walk *w, bool done)
{
    char head[160];
    int n = snprintf(head, sizeof head, EMPTY_HEAD " %lld\n", (long long)(w->all ? w->now : w->opened));
    bool changed = w->all || w->nnoted != w->nknown || w->nfound != w->nknown;
    if (!done || !changed || file_write(w->notes, head, (size_t)n, EMPTY_NAME) ||
        file_write(w->notes, w->noted.p, w->noted.n, EMPTY_NAME) ||
        renameat(w->docking, EMPTY_NEW, w->docking, EMPTY_NAME))
        unlinkat(w->docking, EMPTY_NEW, 0);
    close(w->notes);
}

int arrivals_find(const char *docking, const char *node, int64_t partial_days, struct arrivals *out)
{
    struct walk w = {.partial_days = partial_days, .out = out, .notes = -1};
    *out = (struct arrivals){0};
    w.docking = open(docking, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w.docking < 0)
        return fail_errno("%s: cannot read it", docking);
    w.all = true;
    bool noting = node == NULL && begin_notes(&w);
    if (noting)
        read_known(&w, docking);
    else
        w.partial_days = -1;
    int rc = node ? visit(&w, node) : visit_all(&w);
    if (w.notes >= 0)
        end_notes(&w, noting && rc == 0);
    sort(out);
    close(w.docking);
    buf_free(&w.known_text);
    buf_free(&w.noted);
    free(w.known);
    return rc;
}
