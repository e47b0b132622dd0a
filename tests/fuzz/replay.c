/*
 * replay: runs a fuzz target over the files of its corpus (files and directories as arguments), so that what
 * a fuzzer once found stays an ordinary test. Linked with one target; libFuzzer's own main takes its place in
 * `make fuzz`. Exits 0 when every file passed and there was at least one, 1 otherwise; a crash is a crash.
 */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(int argc, char **argv)
{
    int total = 0;

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
