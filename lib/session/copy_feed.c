/* copy_feed: see session/copy_feed.h. */
#include "session/copy_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

enum { PIECE = 65536 };

void copy_feed_begin(struct copy_feed *f, int fd)
{
    *f = (struct copy_feed){.fd = fd};
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void copy_feed_end(struct copy_feed *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* Passes one piece on: false when the pipe is full, or nothing is left. A reader that is gone gets no more. */
static bool pass(struct copy_feed *f, int file, int64_t upto)
{
    char piece[PIECE];
    int64_t left = upto - f->at;
    ssize_t got = left <= 0 ? 0 : pread(file, piece, left < PIECE ? (size_t)left : PIECE, f->at);
    ssize_t put = got <= 0 ? 0 : write(f->fd, piece, (size_t)got);
    if (put > 0)
        f->at += put;
    else if (put < 0 && errno != EAGAIN && errno != EINTR)
        copy_feed_end(f);
    return put > 0;
}

void copy_feed_more(struct copy_feed *f, int file, int64_t upto)
{
    while (f->fd >= 0 && pass(f, file, upto)) {
    }
}

void copy_feed_rest(struct copy_feed *f, int file)
{
    if (f->fd >= 0)
        fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK);
    copy_feed_more(f, file, INT64_MAX);
    copy_feed_end(f);
}
