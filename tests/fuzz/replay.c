/*
 * replay: runs a fuzz target over the files of its corpus (files and directories as arguments), so that what
 * a fuzzer once found stays an ordinary test. Linked with one target; libFuzzer's own main takes its place in
 * `make fuzz`. Exits 0 when every file passed and there was at least one, 1 otherwise; a crash is a crash.
 *
 * fuzz-TARGET --random COUNT SEED runs it over so many inputs of random bytes instead, for targets that choose what
 * they do by their bytes. An input that ends the program is left in crash-SEED-NUMBER.
 */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;
    int rc = -1;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        goto out;
    rewind(f);
    /* Exactly as large as the input, so that a sanitizer sees a read past its end. */
    data = malloc(size ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        goto out;
    LLVMFuzzerTestOneInput(data, (size_t)size);
    rc = 0;
out:
    if (rc)
        fprintf(stderr, "replay: cannot read %s: %s\n", path, strerror(errno));
    free(data);
    if (f)
        fclose(f);
    return rc;
}

/* Returns the number of files replayed, -1 on failure. */
static int replay_path(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (!dir)
        return errno == ENOTDIR && replay_file(path) == 0 ? 1 : -1;
    while (n >= 0 && (entry = readdir(dir))) {
        size_t len = strlen(path) + strlen(entry->d_name) + 2;
        char *file;

        if (entry->d_name[0] == '.')
            continue;
        file = malloc(len);
        if (!file)
            abort();
        snprintf(file, len, "%s/%s", path, entry->d_name);
        n = replay_file(file) == 0 ? n + 1 : -1;
        free(file);
    }
    closedir(dir);
    return n;
}

/* ---- random inputs ---- */

enum { RANDOM_MOST = 4096 };

static struct {
    unsigned long seed, number;
    uint8_t bytes[RANDOM_MOST];
    size_t n;
} input;

static void keep_input(int sig)
{
    char name[64];
    snprintf(name, sizeof name, "crash-%lu-%lu", input.seed, input.number);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, input.bytes, input.n) != (ssize_t)input.n)
        fprintf(stderr, "replay: cannot keep the input\n");
    fprintf(stderr, "replay: ended by signal %d; the input is in %s\n", sig, name);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static int replay_random(unsigned long count, unsigned long seed)
{
    static const int ends[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        signal(ends[i], keep_input);
    for (unsigned long i = 0; i < count; i++) {
        uint64_t state = ((uint64_t)seed << 32) + i;
        input.seed = seed;
        input.number = i;
        input.n = 1 + draw(&state) % RANDOM_MOST;
        for (size_t k = 0; k < input.n; k++)
            input.bytes[k] = (uint8_t)draw(&state);
        LLVMFuzzerTestOneInput(input.bytes, input.n);
    }
    printf("%lu random inputs from seed %lu\n", count, seed);
    return 0;
}

int main(int argc, char **argv)
{
    int total = 0;

    if (argc == 4 && strcmp(argv[1], "--random") == 0)
        return replay_random(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    for (int i = 1; i < argc; i++) {
        int n = replay_path(argv[i]);

        if (n <= 0) {
            fprintf(stderr, "replay: nothing replayed from %s\n", argv[i]);
            return 1;
        }
        total += n;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
