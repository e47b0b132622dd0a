/* unpack: see archive/unpack.h. Members are written into a directory of their own beside their places, and moved at the end. */
#include "archive/unpack.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const parts[] = {"dx.json", "changes", "end.json", DX_SIGNATURE};

enum { PARTS = sizeof parts / sizeof *parts };

struct unpack {
    const char *directory;
    char *temp;
    int fd; /* of the member at hand, -1 for none */
    size_t n;
    char **path; /* all written so far */
};

static int end_member(struct unpack *u)
{
    int fd = u->fd;
    u->fd = -1;
    return fd >= 0 && close(fd) ? fail_errno("%s: cannot write", u->path[u->n - 1]) : 0;
}

static int on_member(void *ctx, const char *name, uint64_t size)
{
    struct unpack *u = ctx;
    (void)size;
    if (end_member(u))
        return -1;
    u->path = mem_grow(u->path, u->n + 1, sizeof *u->path);
    u->path[u->n] = file_join(u->temp, name);
    u->fd = open(u->path[u->n], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (u->fd < 0)
        fail_errno("%s: cannot create", u->path[u->n]);
    u->n++;
    return u->fd < 0 ? -1 : 0;
}

static int on_bytes(void *ctx, const void *p, size_t n)
{
    struct unpack *u = ctx;
    return file_write(u->fd, p, n, u->path[u->n - 1]);
}

/* Makes the directories. What is in the way is refused. */
static int prepare(struct unpack *u)
{
    if (file_make_directory(u->directory))
        return -1;
    for (size_t i = 0; i < PARTS; i++) {
        char *path = file_join(u->directory, parts[i]);
        bool there = file_exists(path);
        if (there)
            fail(ERR_REFUSED, "%s: is there already; extract into another directory, or remove it", path);
        free(path);
        if (there)
            return -1;
    }
    u->temp = mem_printf("%s/.dx-%ld.tmp", u->directory, (long)getpid());
    char *changes = file_join(u->temp, "changes");
    int rc = file_make_directory(changes);
    free(changes);
    return rc;
}

static int read_one(struct unpack *u, struct dx_reader *r)
{
    const struct dx_head *h;
    struct dx_watch watch = {on_member, on_bytes, u};
    dx_reader_watch(r, &watch);
    int got = dx_next(r, &h);
    if (got <= 0 || dx_skip(r) || end_member(u))
        return -1;
    watch = (struct dx_watch){0};
    dx_reader_watch(r, &watch);
    got = dx_next(r, &h);
    return got > 0 ? fail(ERR_REFUSED, "several archives in a row; extract them one at a time") : got;
}

static int move_parts(const struct unpack *u)
{
    int rc = 0;
    for (size_t i = 0; i < PARTS && rc == 0; i++) {
        char *from = file_join(u->temp, parts[i]), *to = file_join(u->directory, parts[i]);
        if (file_exists(from) && rename(from, to))
            rc = fail_errno("%s: cannot rename to %s", from, to);
        free(from);
        free(to);
    }
    return rc;
}

static void clean_up(struct unpack *u)
{
    if (u->fd >= 0)
        close(u->fd);
    for (size_t i = 0; i < u->n; i++) {
        unlink(u->path[i]);
        free(u->path[i]);
    }
    free(u->path);
    if (u->temp) {
        char *changes = file_join(u->temp, "changes");
        rmdir(changes);
        rmdir(u->temp);
        free(changes);
    }
    free(u->temp);
}

int unpack(struct dx_reader *r, const char *directory)
{
    struct unpack u = {.directory = directory, .fd = -1};
    int rc = prepare(&u) || read_one(&u, r) || move_parts(&u);
    clean_up(&u);
    return rc ? -1 : 0;
}
