/* transport: see session/transport.h. */
#define _GNU_SOURCE /* pipe2, prctl */
#include "session/transport.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

_Noreturn static void start(char *const *command, int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) /* a lock of the caller is not for the other end */
        close(fd);
    signal(SIGPIPE, SIG_DFL);
    execvp(command[0], command);
    fprintf(stderr, "%s: cannot be run: %s\n", command[0], strerror(errno));
    _exit(127);
}

int transport_open(struct transport *t, char *const *command)
{
    int to[2], from[2];
    *t = (struct transport){.in = STDIN_FILENO, .out = STDOUT_FILENO};
    if (command == NULL)
        return 0;
    if (pipe2(to, O_CLOEXEC))
        return fail_errno("cannot make a pipe");
    if (pipe2(from, O_CLOEXEC)) {
        close(to[0]);
        close(to[1]);
        return fail_errno("cannot make a pipe");
    }
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0)
        start(command, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    t->in = from[0];
    t->out = to[1];
    return t->pid < 0 ? fail_errno("%s: cannot be run", command[0]) : 0;
}

int transport_close(struct transport *t, double seconds)
{
    int status = 0, ticks = 20 + (int)(seconds * 10);
    if (t->pid <= 0)
        return 0;
    close(t->in);
    close(t->out);
    for (int i = 0; i < ticks; i++) {
        if (waitpid(t->pid, &status, WNOHANG) == t->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        struct timespec moment = {0, i < 20 ? 2000000 : 100000000};
        nanosleep(&moment, NULL);
    }
    return -1;
}
