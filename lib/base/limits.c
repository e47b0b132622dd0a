/* limits: see base/limits.h. */
#include "base/limits.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static bool limited;

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* the signal says it, too */
}

/* The soft limit sends the signal; the hard one, a little later, kills. */
static void set(int resource, int64_t most, int64_t slack)
{
    struct rlimit r;
    if (getrlimit(resource, &r))
        return;
    if (r.rlim_max == RLIM_INFINITY || (int64_t)r.rlim_max > most + slack)
        r.rlim_max = (rlim_t)(most + slack);
    if (r.rlim_cur == RLIM_INFINITY || (int64_t)r.rlim_cur > most)
        r.rlim_cur = (rlim_t)most;
    setrlimit(resource, &r);
}

static void on_time(int sig)
{
    say("dx: it took more processor time than cpu_seconds of site.conf allows\n");
    signal(sig, SIG_DFL);
    raise(sig);
}

void limits_set(int64_t memory_bytes, int64_t cpu_seconds)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGXCPU, on_time);
    set(RLIMIT_CPU, cpu_seconds, 5);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    set(RLIMIT_DATA, memory_bytes, 0);
    limited = true;
#else
    (void)memory_bytes;
#endif
}

void limits_memory_out(void)
{
    if (!limited)
        return;
    say("dx: it took more memory than memory_bytes of site.conf allows\n");
    raise(SIGKILL);
}
