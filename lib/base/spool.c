/* spool: see base/spool.h. */
#include "base/spool.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int spool_new(void)
{
    const char *directory = getenv("TMPDIR");
    char *path = mem_printf("%s/dx-XXXXXX", directory && *directory ? directory : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        fail_errno("%s: cannot create a temporary file", path);
    else {
        unlink(path);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    free(path);
    return fd;
}

FILE *spool_stream(void)
{
    int fd = spool_new();
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w+b");
    if (fd >= 0 && f == NULL) {
        fail_errno("temporary file: cannot open");
        close(fd);
    }
    return f;
}

static int copy(int from, const char *name, int to)
{
    enum { PIECE = 1 << 17 };
    uint8_t *bytes = mem_alloc(PIECE);
    ssize_t got;
    int rc = 0;
    while (rc == 0 && (got = file_read(from, bytes, PIECE, name)) != 0)
        rc = got < 0 || file_write(to, bytes, (size_t)got, "temporary file") ? -1 : 0;
    free(bytes);
    return rc;
}

int spool_of(int fd, const char *name, off_t *start)
{
    *start = lseek(fd, 0, SEEK_CUR);
    if (*start >= 0)
        return fd;
    *start = 0;
    int spool = spool_new();
    if (spool >= 0 && (copy(fd, name, spool) || spool_seek(spool, 0, name))) {
        close(spool);
        return -1;
    }
    return spool;
}

int spool_seek(int fd, off_t at, const char *name)
{
    return lseek(fd, at, SEEK_SET) < 0 ? fail_errno("%s: cannot seek", name) : 0;
}
