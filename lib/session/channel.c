/* channel: see session/channel.h. */
#include "session/channel.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ = 65536 };

struct channel {
    int in_fd, out_fd, extra;
    struct channel_limits limits;
    struct channel_count count;
    struct buf in, out, line;
    size_t used;          /* of `in`, handed out already */
    int64_t body;         /* bytes of a file that are still to come */
    const uint8_t *bytes; /* the piece handed out last */
    size_t nbytes;
    bool ended;               /* nothing more comes */
    double heard, said, tick; /* times; tick is an interval */
    struct {
        double credit, at; /* bytes that may pass at once, at that time */
    } bucket[2];           /* of what comes in, of what goes out */
    int flags[2];          /* of the descriptors, as they were */
};

double channel_clock(void)
{
    return clock_seconds();
}

struct channel *channel_open(int in, int out, const struct channel_limits *limits)
{
    struct channel *c = mem_zero(1, sizeof *c);
    c->in_fd = in;
    c->out_fd = out;
    c->extra = -1;
    c->limits = *limits;
    c->heard = c->said = channel_clock();
    channel_tick(c, limits->timeout);
    c->flags[0] = fcntl(in, F_GETFL);
    c->flags[1] = fcntl(out, F_GETFL);
    fcntl(in, F_SETFL, c->flags[0] | O_NONBLOCK);
    fcntl(out, F_SETFL, c->flags[1] | O_NONBLOCK);
    return c;
}

void channel_close(struct channel *c)
{
    if (c == NULL)
        return;
    fcntl(c->in_fd, F_SETFL, c->flags[0]);
    fcntl(c->out_fd, F_SETFL, c->flags[1]);
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->line);
    free(c);
}

void channel_extra(struct channel *c, int fd)
{
    c->extra = fd;
}

void channel_tick(struct channel *c, double timeout)
{
    double tick = timeout / 3 < 10 ? timeout / 3 : 10;
    if (c->tick == 0 || tick < c->tick)
        c->tick = tick < 0.2 ? 0.2 : tick;
}

void channel_put(struct channel *c, const char *fmt, ...)
{
    char line[CHANNEL_LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_add(&c->out, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
    buf_byte(&c->out, '\n');
}

void channel_put_bytes(struct channel *c, const void *p, size_t n)
{
    buf_add(&c->out, p, n);
}

bool channel_full(const struct channel *c)
{
    return c->out.n >= CHANNEL_FULL;
}

bool channel_empty(const struct channel *c)
{
    return c->out.n == 0;
}

void channel_expect(struct channel *c, int64_t n)
{
    c->body = n;
}

const char *channel_line(const struct channel *c)
{
    return (const char *)c->line.p;
}

const void *channel_bytes(const struct channel *c, size_t *n)
{
    *n = c->nbytes;
    return c->bytes;
}

double channel_silence(const struct channel *c)
{
    return channel_clock() - c->heard;
}

struct channel_count channel_count(const struct channel *c)
{
    return c->count;
}

/* Bytes that may pass now in a direction: a bucket that fills at the rate, and holds what a quarter of a second brings. */
static size_t allowed(struct channel *c, int direction, size_t want)
{
    if (c->limits.rate == 0)
        return want;
    double rate = (double)c->limits.rate, now = channel_clock(), most = rate / 4 > 1 ? rate / 4 : 1;
    double *credit = &c->bucket[direction].credit;
    *credit += (now - c->bucket[direction].at) * rate;
    c->bucket[direction].at = now;
    if (*credit > most)
        *credit = most;
    return *credit < 1 ? 0 : *credit < (double)want ? (size_t)*credit : want;
}

static int receive(struct channel *c)
{
    size_t n = allowed(c, 0, READ);
    if (n == 0)
        return 0;
    buf_drop(&c->in, c->used);
    c->used = 0;
    ssize_t got = read(c->in_fd, buf_reserve(&c->in, n), n);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : fail_errno("the connection failed");
    if (got == 0)
        c->ended = true;
    else
        c->heard = channel_clock();
    c->in.n += (size_t)got;
    c->count.in += got;
    c->bucket[0].credit -= (double)got;
    return 0;
}

/* What cannot go out because the other end is gone is dropped: its last words may still be coming in. */
static int transmit(struct channel *c)
{
    size_t n = allowed(c, 1, c->out.n);
    if (n == 0)
        return 0;
    ssize_t put = write(c->out_fd, c->out.p, n);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (put < 0 && errno != EPIPE && errno != ECONNRESET)
        return fail_errno("the connection failed");
    c->count.out += put > 0 ? put : 0;
    c->bucket[1].credit -= (double)put;
    c->said = channel_clock();
    buf_drop(&c->out, put < 0 ? c->out.n : (size_t)put);
    return 0;
}

/* Takes a line out of what has come: 1, 0 when it is not whole yet, -1. */
static int take_line(struct channel *c)
{
    size_t n = c->in.n - c->used;
    if (n == 0)
        return 0;
    const uint8_t *p = c->in.p + c->used;
    const uint8_t *end = memchr(p, '\n', n < CHANNEL_LINE ? n : CHANNEL_LINE);
    if (end == NULL && n >= CHANNEL_LINE)
        return fail(ERR_REFUSED, "a line of more than %d bytes; that is no dx at the other end",
                    CHANNEL_LINE);
    if (end == NULL)
        return 0;
    if (memchr(p, 0, (size_t)(end - p)))
        return fail(ERR_REFUSED, "a line with a NUL byte; that is no dx at the other end");
    buf_clear(&c->line);
    buf_add(&c->line, p, (size_t)(end - p));
    buf_text(&c->line);
    c->used += (size_t)(end - p) + 1;
    return 1;
}

static bool take_bytes(struct channel *c)
{
    size_t n = c->in.n - c->used;
    if (n == 0)
        return false;
    if ((int64_t)n > c->body)
        n = (size_t)c->body;
    c->bytes = c->in.p + c->used;
    c->nbytes = n;
    c->used += n;
    c->body -= (int64_t)n;
    return true;
}

/* What has come already: an event, 0 (CHANNEL_END) for nothing yet, -1. */
static int take(struct channel *c)
{
    for (;;) {
        if (c->body)
            return take_bytes(c) ? CHANNEL_BYTES : 0;
        int got = take_line(c);
        if (got <= 0)
            return got;
        if (strcmp(channel_line(c), "tick") != 0)
            return CHANNEL_TEXT;
    }
}

/* Milliseconds until something has to be done that no descriptor tells. */
static int patience(const struct channel *c, double now, bool starved)
{
    double until = c->heard + c->limits.timeout, tick = c->said + c->tick;
    double wait = (until < tick ? until : tick) - now < 1 ? (until < tick ? until : tick) - now : 1;
    if (starved && wait > 0.05)
        wait = 0.05;
    return wait < 0 ? 0 : (int)(wait * 1000) + 1;
}

static int wait_for(struct channel *c, struct pollfd fds[3])
{
    double now = channel_clock();
    bool can_read = !c->ended && allowed(c, 0, 1), can_write = allowed(c, 1, 1);
    fds[0] = (struct pollfd){can_read ? c->in_fd : -1, POLLIN, 0};
    fds[1] = (struct pollfd){c->out.n && can_write ? c->out_fd : -1, POLLOUT, 0};
    fds[2] = (struct pollfd){c->extra, POLLIN, 0};
    int n = poll(fds, 3, patience(c, now, !can_read || !can_write));
    return n < 0 && errno != EINTR ? fail_errno("cannot wait for the other end") : n;
}

static int too_late(struct channel *c)
{
    return fail(ERR_SYSTEM, "nothing came for %.3g seconds; run it again, it goes on where it stopped",
                c->limits.timeout);
}

int channel_next(struct channel *c)
{
    for (;;) {
        struct pollfd fds[3];
        int got = take(c);
        if (got)
            return got;
        if (c->ended)
            return CHANNEL_END;
        double now = channel_clock();
        if (now - c->heard >= c->limits.timeout)
            return too_late(c);
        if (c->out.n == 0 && now - c->said >= c->tick)
            channel_put(c, "tick");
        size_t waiting = c->out.n;
        int ready = wait_for(c, fds);
        if (ready < 0 || (fds[0].revents && receive(c)) || (fds[1].revents && transmit(c)))
            return -1;
        if (fds[2].revents)
            return CHANNEL_EXTRA;
        if (c->out.n < waiting || (ready == 0 && channel_silence(c) >= 1))
            return CHANNEL_QUIET;
    }
}

void channel_flush(struct channel *c, double seconds)
{
    double until = channel_clock() + seconds;
    while (c->out.n && channel_clock() < until) {
        struct pollfd p = {c->out_fd, POLLOUT, 0};
        if (poll(&p, 1, 100) < 0 || transmit(c))
            return;
    }
}
