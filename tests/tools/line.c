/* line: a bad line. Stands between two ends that speak with each other: its own stdin and stdout, and a command, or a port of
 * this machine.
 *
 *   line [OPTION...] COMMAND...        line [OPTION...] --connect PORT
 *     --cut-up N, --cut-down N         the connection is gone once so many bytes have passed
 *     --stall-up N, --stall-down N     no more than so many bytes pass, and nothing is said about it
 *     --rate N                         bytes a second, in each direction
 *     --delay MS                       so long is each byte on its way
 *     --turns FILE                     add a line: how often the direction changed from up to down, bytes up, bytes down
 *
 * Up is from stdin. It ends by itself after two minutes. */
#define _GNU_SOURCE /* pipe2 */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "session/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UP, DOWN, PIECE = 65536, LIFE = 120 };

struct piece {
    double due;
    size_t n;
    struct piece *next;
    uint8_t bytes[];
};

struct way {
    int from, to;
    long long passed, cut, stall; /* -1: never */
    struct piece *first, **last;
    bool ended;
};

static struct way way[2] = {{.cut = -1, .stall = -1}, {.cut = -1, .stall = -1}};
static double delay, rate;
static int turns, last = DOWN;
static const char *turns_file;

static void finish(int code)
{
    FILE *f = turns_file ? fopen(turns_file, "a") : NULL;
    if (f) {
        fprintf(f, "%d %lld %lld\n", turns, way[UP].passed, way[DOWN].passed);
        fclose(f);
    }
    _exit(code);
}

/* Takes what has come in one direction. */
static void take(int d)
{
    static uint8_t bytes[PIECE];
    struct way *w = &way[d];
    ssize_t n = read(w->from, bytes, rate > 0 ? 1 + (size_t)(rate / 20) % PIECE : PIECE);
    if (n <= 0) {
        w->ended = true;
        return;
    }
    turns += d == DOWN && last == UP;
    last = d;
    bool cut = w->cut >= 0 && w->passed + n >= w->cut;
    if (cut)
        n = (ssize_t)(w->cut - w->passed);
    if (w->stall >= 0 && w->passed + n > w->stall)
        n = (ssize_t)(w->stall - w->passed);
    w->passed += n;
    if (n > 0) {
        struct piece *p = mem_alloc(sizeof *p + (size_t)n);
        *p = (struct piece){.due = channel_clock() + delay, .n = (size_t)n};
        memcpy(p->bytes, bytes, (size_t)n);
        *w->last = p;
        w->last = &p->next;
    }
    if (cut) {
        if (n > 0)
            file_write(w->to, bytes, (size_t)n, "the other end");
        finish(0);
    }
}

/* Hands on what is due; without a delay all of it. A closed side is closed on the other one, too. */
static void give(int d)
{
    struct way *w = &way[d];
    while (w->first && w->first->due <= channel_clock()) {
        struct piece *p = w->first;
        if (file_write(w->to, p->bytes, p->n, "the other end"))
            finish(0);
        if (rate > 0)
            usleep((useconds_t)((double)p->n / rate * 1e6));
        w->first = p->next;
        if (w->first == NULL)
            w->last = &w->first;
        free(p);
    }
    if (w->ended && w->first == NULL && w->to >= 0) {
        shutdown(w->to, SHUT_WR);
        close(w->to);
        w->to = -1;
        if (d == DOWN)
            finish(0);
    }
}

static void relay(void)
{
    double end = channel_clock() + LIFE;
    for (int d = 0; d < 2; d++)
        way[d].last = &way[d].first;
    while (channel_clock() < end) {
        struct pollfd fds[2];
        for (int d = 0; d < 2; d++)
            fds[d] = (struct pollfd){way[d].ended ? -1 : way[d].from, POLLIN, 0};
        poll(fds, 2, way[UP].first || way[DOWN].first ? 1 : 1000);
        for (int d = 0; d < 2; d++) {
            if (fds[d].revents)
                take(d);
            give(d);
        }
    }
    finish(1);
}

static int connect_to(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at))
        return fail_errno("port %d: cannot connect", port);
    way[UP].to = way[DOWN].from = fd;
    return 0;
}

static int start(char **command)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        return fail_errno("cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        signal(SIGPIPE, SIG_DFL);
        execvp(command[0], command);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    way[UP].to = to[1];
    way[DOWN].from = from[0];
    return pid < 0 ? fail_errno("cannot start a process") : 0;
}

int main(int argc, char **argv)
{
    int i = 1, port = 0;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const char *option = argv[i], *value = argv[i + 1];
        if (strcmp(option, "--cut-up") == 0)
            way[UP].cut = atoll(value);
        else if (strcmp(option, "--cut-down") == 0)
            way[DOWN].cut = atoll(value);
        else if (strcmp(option, "--stall-up") == 0)
            way[UP].stall = atoll(value);
        else if (strcmp(option, "--stall-down") == 0)
            way[DOWN].stall = atoll(value);
        else if (strcmp(option, "--rate") == 0)
            rate = atof(value);
        else if (strcmp(option, "--delay") == 0)
            delay = atof(value) / 1000;
        else if (strcmp(option, "--turns") == 0)
            turns_file = value;
        else if (strcmp(option, "--connect") == 0)
            port = atoi(value);
        else
            break;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP,
           SIG_IGN); /* ssh says it to a proxy when it ends; what passed is still to be written down */
    signal(SIGTERM, SIG_IGN);
    way[UP].from = STDIN_FILENO;
    way[DOWN].to = STDOUT_FILENO;
    if (port ? connect_to(port) : i < argc ? start(argv + i) : fail(ERR_USAGE, "a command is missing")) {
        fprintf(stderr, "line: %s\n", err_message());
        return 1;
    }
    relay();
    return 0;
}
