/* progress: see base/progress.h. */
#include "base/progress.h"

#include <poll.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROWS = 1024,  /* progress is reported every so many rows */
    SECOND = 1000 /* in milliseconds */
};

static void (*listener)(const struct progress *p);

void progress_to(void (*tell)(const struct progress *p))
{
    listener = tell;
}

bool progress_heard(void)
{
    return listener != NULL;
}

/* The size of a regular file, else 0. */
static int64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
}

void progress_read(const char *name, int fd, int64_t bytes)
{
    static int64_t done;
    static int last = -1;
    if (listener == NULL)
        return;
    done = fd == last ? done + bytes : bytes;
    last = fd;
    listener(&(struct progress){.name = name, .bytes = done, .of = size_of(fd)});
}

void progress_part(const char *name, int64_t bytes, int64_t of)
{
    if (listener)
        listener(&(struct progress){.name = name, .bytes = bytes, .of = of});
}

void progress_rows(const char *name, int64_t rows)
{
    if (listener && rows % ROWS == 0)
        listener(&(struct progress){.name = name, .rows = rows});
}

void progress_still(const char *name)
{
    if (listener)
        listener(&(struct progress){.name = name});
}

void progress_wait(const char *name)
{
    if (listener)
        listener(&(struct progress){.name = name, .waits = true});
}

void progress_await(const char *name, int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    while (listener && poll(&p, 1, SECOND) == 0 && !isatty(fd))
        progress_wait(name);
}
