/* stage: see stage.h. */
#include "stage.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 12 };

char stage_trouble[4096];

int stage_broke(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(stage_trouble, sizeof stage_trouble, fmt, ap);
    va_end(ap);
    return -1;
}

static void limit_disk(int bytes)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)bytes, .rlim_max = (rlim_t)bytes};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void become(const struct sim_step *s, const char *in, const char *out, const char *const argv[])
{
    int i = open(in ? in : "/dev/null", O_RDONLY),
        o = open(out ? out : "out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    int e = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (i < 0 || o < 0 || e < 0)
        _exit(120);
    dup2(i, 0);
    dup2(o, 1);
    dup2(e, 2);
    if (s && s->hurt == HURT_STOP) {
        char text[16];
        snprintf(text, sizeof text, "%d", s->at);
        setenv("DX_STOP_AT", text, 1);
    }
    if (s && s->hurt == HURT_DISK)
        limit_disk(s->at);
    char *word[WORDS] = {NULL};
    for (int w = 0; w < WORDS - 1 && argv[w]; w++)
        word[w] = mem_text(argv[w]);
    execvp(word[0], word);
    fprintf(stderr, "%s is not in PATH\n", word[0]);
    _exit(121);
}

int stage_run(const struct sim_step *s, const char *in, const char *out, const char *const argv[])
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        setpgid(0, 0); /* a script is killed with all that it started */
        become(s, in, out, argv);
    }
    if (s && s->hurt == HURT_KILL) {
        struct timespec pause = {.tv_nsec = 1000L * s->at};
        nanosleep(&pause, NULL);
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int stage_surprise(const char *what, int code)
{
    char text[1024] = "";
    FILE *f = fopen("err", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    return stage_broke("%s: exit %d: %s", what, code, text);
}

bool stage_was_hurt(const struct sim_step *s, int code)
{
    return s && s->hurt != HURT_NOT && (code == -1 || (s->hurt == HURT_DISK && code == 4));
}
