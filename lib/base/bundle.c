/* bundle: see base/bundle.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "base/bundle.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar.h"
#include "base/zst.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME = 200, LEVEL = 9 };

/* ---- packing ---- */

struct bundle {
    struct bundle_limits limits;
    struct buf *out;
    size_t begin; /* of the bundle in `out` */
    struct zst_writer *z;
    struct tar_writer *t;
    size_t files;
    int64_t bytes;
};

static int to_payload(void *ctx, const void *p, size_t n)
{
    struct bundle *b = ctx;
    if (b->out->n - b->begin + n > b->limits.bytes)
        return fail(ERR_REFUSED, "%s has at most %zu bytes when it is compressed", b->limits.what,
                    b->limits.bytes);
    buf_add(b->out, p, n);
    return 0;
}

static int to_frames(void *ctx, const void *p, size_t n)
{
    return zst_write(ctx, p, n);
}

/* A relative path of names that mean nothing but themselves. */
static bool good_name(const char *name)
{
    size_t at = 0;
    if (strlen(name) > NAME)
        return false;
    for (const char *p = name;; p++) {
        if (*p && *p != '/') {
            if (iscntrl((unsigned char)*p) || *p == '\\')
                return false;
            at++;
            continue;
        }
        if (at == 0 || (at == 1 && p[-1] == '.') || (at == 2 && p[-1] == '.' && p[-2] == '.'))
            return false;
        if (*p == 0)
            return true;
        at = 0;
    }
}

static int pack_bytes(struct bundle *b, int fd, const char *name, int64_t size)
{
    char piece[1 << 16];
    int64_t left = size;
    while (left) {
        ssize_t n = file_read(fd, piece, left < (int64_t)sizeof piece ? (size_t)left : sizeof piece, name);
        if (n < 0)
            return -1;
        if (n == 0)
            return fail(ERR_REFUSED, "%s: it changes while it is read", name);
        if (tar_data(b->t, piece, (size_t)n))
            return -1;
        left -= n;
    }
    return tar_end(b->t);
}

/* One file, under the name that it gets on the device. */
static int pack_file(struct bundle *b, const char *path, const char *name)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("%s: cannot be read", path);
    int rc = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        rc = fail(ERR_REFUSED, "%s: %s holds regular files only", path, b->limits.what);
    else if (!good_name(name))
        rc = fail(ERR_REFUSED,
                  "%s: a name of more than %d bytes, or with a character that not all systems take", path,
                  NAME);
    else if (++b->files > b->limits.files || (b->bytes += st.st_size) > b->limits.expanded)
        rc = fail(ERR_REFUSED, "%s has at most %zu files and %lld bytes", b->limits.what, b->limits.files,
                  (long long)b->limits.expanded);
    else
        rc = (st.st_mode & S_IXUSR ? tar_begin_executable : tar_begin)(b->t, name, (uint64_t)st.st_size) ||
                     pack_bytes(b, fd, path, st.st_size)
                 ? -1
                 : 0;
    close(fd);
    return rc;
}

static int pack_path(struct bundle *b, const char *path, const char *name);

/* In the order of their names: the same files make the same patch. */
static int pack_directory(struct bundle *b, const char *path, const char *name)
{
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort), rc = n < 0 ? fail_errno("%s: cannot be read", path) : 0;
    for (int i = 0; i < n; i++) {
        const char *e = entry[i]->d_name;
        if (rc == 0 && strcmp(e, ".") != 0 && strcmp(e, "..") != 0) {
            char *below = file_join(path, e), *as = name ? file_join(name, e) : mem_text(e);
            rc = pack_path(b, below, as);
            free(below);
            free(as);
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return rc;
}

static int pack_path(struct bundle *b, const char *path, const char *name)
{
    struct stat st;
    if (lstat(path, &st))
        return fail_errno("%s: cannot be read", path);
    if (S_ISDIR(st.st_mode))
        return name && !good_name(name) ? fail(ERR_REFUSED, "%s: a name that not all systems take", path)
                                        : pack_directory(b, path, name);
    if (!S_ISREG(st.st_mode))
        return fail(ERR_REFUSED, "%s: %s holds regular files only", path, b->limits.what);
    const char *slash = strrchr(path, '/');
    return pack_file(b, path, name ? name : slash ? slash + 1 : path);
}

struct bundle *bundle_open(struct buf *out, const struct bundle_limits *limits)
{
    struct bundle *b = mem_zero(1, sizeof *b);
    b->limits = *limits;
    b->out = out;
    b->begin = out->n;
    b->z = zst_writer_new(LEVEL, to_payload, b);
    b->t = tar_writer_new(to_frames, b->z, TAR_NAMES_ANY);
    return b;
}

int bundle_add(struct bundle *b, const char *path, const char *name)
{
    return pack_path(b, path, name);
}

int bundle_add_bytes(struct bundle *b, const char *name, const void *p, size_t n)
{
    b->files++;
    b->bytes += (int64_t)n;
    return tar_begin(b->t, name, n) || tar_data(b->t, p, n) || tar_end(b->t) ? -1 : 0;
}

size_t bundle_files(const struct bundle *b)
{
    return b->files;
}

int bundle_close(struct bundle *b)
{
    int rc = tar_finish(b->t) || zst_seal(b->z) ? -1 : 0;
    bundle_abort(b);
    return rc;
}

void bundle_abort(struct bundle *b)
{
    if (b == NULL)
        return;
    tar_writer_free(b->t);
    zst_writer_free(b->z);
    free(b);
}

/* ---- unpacking ---- */

int bundle_remove(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT ? 0 : unlinkat(at, name, 0);
    }
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(fd, e->d_name, 0))
            rc = errno == EISDIR || errno == EPERM ? bundle_remove(fd, e->d_name) : -1;
    closedir(d);
    return rc ? -1 : unlinkat(at, name, AT_REMOVEDIR);
}

/* The directory in which the file lies, below `root`, made where it is missing. What is there was made by this unpacking: no
 * link is followed. */
static int open_parent(int root, const char *name, const char **last)
{
    int at = dup(root);
    for (const char *slash; at >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        char *part = mem_printf("%.*s", (int)(slash - name), name);
        int next = mkdirat(at, part, 0777) && errno != EEXIST
                       ? -1
                       : openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        free(part);
        close(at);
        at = next;
    }
    *last = name;
    return at;
}

static int unpack_file(struct tar_reader *t, int root, const char *name)
{
    char piece[1 << 16];
    const char *last;
    long n = 0;
    int parent = open_parent(root, name, &last);
    /* Of its mode only this is taken: never setuid, never writable for more than the umask allows. */
    mode_t mode = tar_executable(t) ? 0777 : 0666;
    int fd =
        parent < 0 ? -1 : openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    int rc = fd < 0 ? fail_errno("%s: cannot be made", name) : 0;
    while (rc == 0 && (n = tar_read(t, piece, sizeof piece)) > 0)
        rc = file_write(fd, piece, (size_t)n, name);
    if (fd >= 0)
        close(fd);
    if (parent >= 0)
        close(parent);
    return n < 0 ? -1 : rc;
}

static long from_frames(void *ctx, const void **p)
{
    return zst_read(ctx, p);
}

static int damaged(const char *name, const struct bundle_limits *limits)
{
    return fail(ERR_REFUSED, "%s: not what %s should be, or damaged", name, limits->what);
}

int bundle_unpack(int fd, off_t at, const char *name, const struct bundle_limits *limits, int root)
{
    const char *member;
    uint64_t size;
    int64_t all = 0;
    size_t files = 0;
    int more = 0, rc = 0;
    if (lseek(fd, at, SEEK_SET) < 0)
        return fail_errno("%s: cannot be read", name);
    struct zst_reader *z = zst_reader_new(fd, name);
    struct tar_reader *t = z && zst_more(z) > 0 ? tar_reader_new(from_frames, z, name, TAR_NAMES_ANY) : NULL;
    if (t == NULL)
        rc = damaged(name, limits);
    while (rc == 0 && (more = tar_next(t, &member, &size)) > 0) {
        char *as = mem_text(member);
        if (!good_name(as) || ++files > limits->files || size > (uint64_t)(limits->expanded - all))
            rc = fail(ERR_REFUSED, "%s: a file with a name that leads elsewhere, or too much in it", name);
        else
            rc = unpack_file(t, root, as);
        all += rc ? 0 : (int64_t)size;
        free(as);
    }
    tar_reader_free(t);
    zst_reader_free(z);
    return rc || more < 0 ? -1 : file_sync_system(root, name);
}
