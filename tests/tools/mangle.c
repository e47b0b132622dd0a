/*
 * mangle: damages a file in many ways and wants a command to refuse each.
 *
 *   mangle flip FILE COUNT STATUS COMMAND...    at COUNT places spread over the file one bit, or all eight, flipped
 *   mangle cut FILE PARTS STATUS COMMAND...     cut at every 1/PARTS of its length, and by one byte
 *
 * The command gets the damaged file as stdin (and $MANGLED names it); its output is dropped. Prints each damage after
 * which it did not exit with STATUS, and exits 1 if there was one, 2 when it could not try.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *bytes;
static size_t size;
static char path[] = "mangled.XXXXXX";

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "mangle: %s: %s\n", what, strerror(errno));
    unlink(path);
    exit(2);
}

static void load(const char *name)
{
    FILE *f = fopen(name, "rb");
    long n;

    if (!f || fseek(f, 0, SEEK_END))
        die(name);
    n = ftell(f);
    if (n < 0)
        die(name);
    rewind(f);
    size = (size_t)n;
    bytes = malloc(size + 1);
    if (!bytes || fread(bytes, 1, size, f) != size)
        die(name);
    fclose(f);
}

static int run(char **command, size_t n)
{
    int fd = open(path, O_RDWR | O_TRUNC), status;
    pid_t pid;

    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0)
        die(path);
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(fd, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(command[0], command);
        _exit(127);
    }
    close(fd);
    if (waitpid(pid, &status, 0) < 0)
        die("wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int flips(size_t count, int want, char **command)
{
    int bad = 0;

    if (count > size)
        count = size;
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)((double)i / (double)count * (double)size);
        char mask = (char)(i % 9 == 8 ? 0xff : 1 << i % 9);
        int got;

        bytes[at] ^= mask;
        if ((got = run(command, size)) != want)
            bad++, printf("byte %zu of %zu changed by %02x: exit %d\n", at, size, (unsigned char)mask, got);
        bytes[at] ^= mask;
    }
    return bad;
}

static int cuts(size_t parts, int want, char **command)
{
    int bad = 0;

    for (size_t i = 0; i <= parts; i++) {
        size_t at = i == parts ? size - 1 : size * i / parts;
        int got = run(command, at);

        if (got != want)
            bad++, printf("cut to %zu of %zu bytes: exit %d\n", at, size, got);
    }
    return bad;
}

int main(int argc, char **argv)
{
    int bad, fd;

    if (argc < 6 || (strcmp(argv[1], "flip") && strcmp(argv[1], "cut"))) {
        fprintf(stderr, "usage: mangle flip|cut FILE COUNT STATUS COMMAND...\n");
        return 2;
    }
    load(argv[2]);
    if ((fd = mkstemp(path)) < 0)
        die(path);
    close(fd);
    setenv("MANGLED", path, 1);
    bad = (argv[1][0] == 'f' ? flips : cuts)((size_t)atol(argv[3]), atoi(argv[4]), argv + 5);
    unlink(path);
    return bad ? 1 : 0;
}
