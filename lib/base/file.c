/* file: see base/file.h. */
#define _GNU_SOURCE /* flock, syncfs */
#include "base/file.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/progress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

ssize_t file_read_some(int fd, void *p, size_t n, const char *name)
{
    ssize_t got;
    progress_await(name, fd);
    do
        got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got < 0 ? fail_errno("%s: cannot read", name) : got;
}

ssize_t file_read(int fd, void *p, size_t n, const char *name)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = file_read_some(fd, (uint8_t *)p + have, n - have, name);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

int file_write(int fd, const void *p, size_t n, const char *name)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno("%s: cannot write", name);
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

int file_load(const char *path, size_t max, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("%s: cannot open", path);
    ssize_t got;
    size_t start = out->n;
    do {
        got = file_read(fd, buf_reserve(out, 65536), 65536, path);
        out->n += got > 0 ? (size_t)got : 0;
    } while (got > 0 && out->n - start <= max);
    close(fd);
    if (got < 0)
        return -1;
    if (out->n - start > max)
        return fail(ERR_REFUSED, "%s: longer than %zu bytes", path, max);
    return 0;
}

struct file_new {
    char *path, *temp;
    int fd;
};

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return mem_text(".");
    return slash == path ? mem_text("/") : mem_printf("%.*s", (int)(slash - path), path);
}

/* Whether NAME is BASE.PID.tmp (BASE NULL: any), and the process is no more. */
static bool is_left(const char *name, const char *base)
{
    const char *pid_at = strrchr(name, '.');
    char *end;
    if (pid_at == NULL || strcmp(pid_at, ".tmp") != 0)
        return false;
    while (pid_at > name && pid_at[-1] >= '0' && pid_at[-1] <= '9')
        pid_at--;
    size_t n = (size_t)(pid_at - name);
    if (n < 2 || name[n - 1] != '.' || (base && (strlen(base) != n - 1 || strncmp(name, base, n - 1) != 0)))
        return false;
    long pid = strtol(pid_at, &end, 10);
    return pid > 0 && strcmp(end, ".tmp") == 0 && kill((pid_t)pid, 0) && errno == ESRCH;
}

static void sweep(const char *directory, const char *base)
{
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (is_left(e->d_name, base))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
}

void file_sweep(const char *directory)
{
    sweep(directory, NULL);
}

int file_create(const char *path)
{
    enum { FLAGS = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };
    int fd = open(path, FLAGS, 0666);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0)
        fd = open(path, FLAGS, 0666);
    return fd;
}

struct file_new *file_new_open(const char *path)
{
    struct file_new *f = mem_zero(1, sizeof *f);
    f->path = mem_text(path);
    f->temp = mem_printf("%s.%ld.tmp", path, (long)getpid());
    const char *slash = strrchr(path, '/');
    char *directory = directory_of(path);
    sweep(directory, slash ? slash + 1 : path);
    free(directory);
    f->fd = file_create(f->temp);
    if (f->fd < 0) {
        fail_errno("%s: cannot create", f->temp);
        free(f->path);
        free(f->temp);
        free(f);
        return NULL;
    }
    return f;
}

int file_new_fd(const struct file_new *f)
{
    return f->fd;
}

int file_new_sync(struct file_new *f)
{
    if (f->fd < 0)
        return 0;
    int rc = fsync(f->fd);
    rc |= close(f->fd);
    f->fd = -1;
    return rc ? fail_errno("%s: cannot write", f->temp) : 0;
}

static void file_new_free(struct file_new *f)
{
    free(f->path);
    free(f->temp);
    free(f);
}

int file_sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("%s: cannot open", directory);
    int rc = fsync(fd);
    close(fd);
    return rc ? fail_errno("%s: cannot sync", directory) : 0;
}

int file_sync_system(int fd, const char *name)
{
    return syncfs(fd) ? fail_errno("%s: cannot sync its file system", name) : 0;
}

int file_new_commit(struct file_new *f)
{
    int rc = file_new_sync(f);
    crashpoint();
    if (rc == 0 && rename(f->temp, f->path))
        rc = fail_errno("%s: cannot rename to %s", f->temp, f->path);
    if (rc) {
        file_new_abort(f);
        return -1;
    }
    crashpoint();
    char *directory = directory_of(f->path);
    rc = file_sync_directory(directory);
    free(directory);
    file_new_free(f);
    return rc;
}

void file_new_abort(struct file_new *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        close(f->fd);
    unlink(f->temp);
    file_new_free(f);
}

int file_make_directory(const char *path)
{
    char *part = mem_text(path);
    int rc = 0;
    for (char *p = part + 1; rc == 0; p++) {
        char c = *p;
        if (c != '/' && c != 0)
            continue;
        *p = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            rc = fail_errno("%s: cannot make the directory", part);
        *p = c;
        if (c == 0)
            break;
    }
    free(part);
    return rc;
}

char *file_join(const char *directory, const char *name)
{
    return mem_printf("%s/%s", directory, name);
}

int64_t file_free(const char *path)
{
    struct statvfs disk;
    return statvfs(path, &disk) ? -1 : (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int lock_busy(int fd, const char *path)
{
    char who[256] = "";
    ssize_t n = pread(fd, who, sizeof who - 1, 0);
    who[n > 0 ? n : 0] = 0;
    who[strcspn(who, "\n")] = 0;
    return fail(ERR_BUSY, "%s: locked by %s; wait for it, or end it", path, who[0] ? who : "another process");
}

int file_lock(const char *path, const char *holder)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0660);
    if (fd < 0)
        return fail_errno("%s: cannot open the lock", path);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            lock_busy(fd, path);
        else
            fail_errno("%s: cannot lock", path);
        close(fd);
        return -1;
    }
    char who[256];
    int n = snprintf(who, sizeof who, "%s (process %ld)\n", holder, (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, who, (size_t)n, 0) != n) {
        fail_errno("%s: cannot write", path);
        close(fd);
        return -1;
    }
    return fd;
}

void file_unlock(int fd)
{
    if (fd >= 0) {
        if (ftruncate(fd, 0)) { /* the name is a help to people only; the lock goes with the descriptor */
        }
        close(fd);
    }
}
