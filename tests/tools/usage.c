/*
 * usage: what a command costs.
 *
 *   usage FILE COMMAND...    runs the command, and writes "CPU-SECONDS PEAK-KIB" to FILE
 *
 * Exits as the command did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct rusage used;
    FILE *out;
    int status;
    pid_t pid;

    if (argc < 3) {
        fprintf(stderr, "usage: usage FILE COMMAND...\n");
        return 2;
    }
    pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    out = fopen(argv[1], "w");
    if (pid < 0 || !out || waitpid(pid, &status, 0) < 0 || getrusage(RUSAGE_CHILDREN, &used))
        return 2;
    fprintf(out, "%.3f %ld\n", seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss);
    if (fclose(out))
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
