/* process: see base/process.h. */
#include "base/process.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_FOUND = 127, CHUNK = 1 << 14 };

struct pipes {
    int in[2], out[2], err[2];
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static void close_pipes(struct pipes *p)
{
    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->err);
}

/* In the child: its end of the pipes becomes stdin, stdout and stderr. Only async-signal-safe calls. */
static void become(const char *const argv[], const struct pipes *p, int keep)
{
    long most = sysconf(_SC_OPEN_MAX);
    const int given[3] = {p->in[0], p->out[1], p->err[1]};
    for (int fd = 0; fd < 3; fd++)
        if (given[fd] >= 0 && dup2(given[fd], fd) < 0)
            _exit(NOT_FOUND);
    for (int fd = 3; fd < (most > 0 && most < 4096 ? (int)most : 4096); fd++)
        if (fd != keep)
            close(fd);
    if (keep >= 0)
        fcntl(keep, F_SETFD, 0);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], (char *const *)argv);
    _exit(NOT_FOUND);
}

/* Takes what there is to read: false at the end. */
static bool take(int fd, struct buf *out)
{
    uint8_t chunk[CHUNK];
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    if (got > 0 && out->n + (size_t)got <= PROCESS_OUTPUT_MAX)
        buf_add(out, chunk, (size_t)got);
    return got > 0;
}

/* Gives what the program takes: false when all is given, or it takes no more. */
static bool give(int fd, const uint8_t **p, size_t *n)
{
    ssize_t put = write(fd, *p, *n);
    if (put < 0)
        return errno == EINTR || errno == EAGAIN;
    *p += put;
    *n -= (size_t)put;
    return *n > 0;
}

static void drop(struct pollfd *f)
{
    close(f->fd);
    f->fd = -1;
}

/* Feeds the program, where it is to be fed, and reads it until it has closed its output. */
static void converse(struct pipes *p, const uint8_t *bytes, size_t n, struct buf *out, struct buf *err)
{
    struct pollfd f[3] = {{p->in[1], POLLOUT, 0}, {p->out[0], POLLIN, 0}, {p->err[0], POLLIN, 0}};
    p->in[1] = p->out[0] = p->err[0] = -1;
    if (f[0].fd >= 0)
        fcntl(f[0].fd, F_SETFL, O_NONBLOCK);
    if (f[0].fd >= 0 && n == 0)
        drop(&f[0]);
    while (f[1].fd >= 0 || f[2].fd >= 0) {
        if (poll(f, 3, -1) < 0)
            continue;
        if (f[0].fd >= 0 && f[0].revents && !give(f[0].fd, &bytes, &n))
            drop(&f[0]);
        if (f[1].fd >= 0 && f[1].revents && !take(f[1].fd, out))
            drop(&f[1]);
        if (f[2].fd >= 0 && f[2].revents && !take(f[2].fd, err))
            drop(&f[2]);
    }
    if (f[0].fd >= 0)
        drop(&f[0]);
}

static int status_of(pid_t pid, const char *program)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail_errno("%s: cannot wait for its end", program);
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    if (WEXITSTATUS(status) == NOT_FOUND)
        return fail(ERR_SYSTEM, "%s: cannot be run; is its Debian package installed?", program);
    return WEXITSTATUS(status);
}

/* The program's ends must be closed here, or its output would have no end. */
static void close_own_ends(struct pipes *p)
{
    int *own[] = {&p->in[0], &p->out[1], &p->err[1]};
    for (int i = 0; i < 3; i++)
        if (*own[i] >= 0) {
            close(*own[i]);
            *own[i] = -1;
        }
}

/* Starts it on the pipes that there are, and sees it to its end. */
static int run(const char *const argv[], struct pipes *p, const void *bytes, size_t n, int keep,
               struct buf *out, struct buf *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, p, keep);
    if (pid < 0)
        return fail_errno("%s: cannot start it", argv[0]);
    close_own_ends(p);
    sigaction(SIGPIPE, &ignore, &before);
    converse(p, bytes, n, out, err);
    sigaction(SIGPIPE, &before, NULL);
    return status_of(pid, argv[0]);
}

int process_run(const char *const argv[], const void *p, size_t n, int keep, struct buf *out, struct buf *err)
{
    struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
    int rc = pipe(pipes.in) || pipe(pipes.out) || pipe(pipes.err) ? fail_errno("%s: cannot start it", argv[0])
                                                                  : run(argv, &pipes, p, n, keep, out, err);
    close_pipes(&pipes);
    return rc;
}

int process_filter(const char *const argv[], struct buf *err)
{
    struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
    int rc = pipe(pipes.err) ? fail_errno("%s: cannot start it", argv[0])
                             : run(argv, &pipes, NULL, 0, -1, NULL, err);
    close_pipes(&pipes);
    return rc;
}

const char *process_first_line(struct buf *err)
{
    char *text = (char *)buf_text(err);
    text[strcspn(text, "\r\n")] = 0;
    return *text ? text : "no reason given";
}
