/* sent_uploads: see journal/sent_uploads.h. */
#include "journal/sent_uploads.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct kept {
    char *path;
    time_t made;
    int64_t bytes;
};

/* The number in a file's name of ours, or 0. */
static int64_t number_of(const char *name)
{
    char *end;
    long long n = strtoll(name, &end, 10);
    return end >= name + 8 && strcmp(end, ".dx") == 0 && n > 0 ? n : 0;
}

static int put_away(const char *directory, const char *name, const char *epoch)
{
    char *from = file_join(directory, name), *to = mem_printf("%s/sent/%s.%s", directory, epoch, name);
    crashpoint();
    int rc = rename(from, to) && errno != ENOENT ? fail_errno("%s: cannot be moved to %s", from, to) : 0;
    free(from);
    free(to);
    return rc;
}

/* Moves what is acknowledged. The directory for it is made when there is something. */
static int put_all_away(const char *directory, const char *epoch, int64_t acked)
{
    DIR *d = opendir(directory);
    if (d == NULL)
        return fail_errno("%s: cannot read the directory", directory);
    bool made = false;
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        int64_t n = number_of(e->d_name);
        if (n == 0 || n > acked)
            continue;
        char *sent = file_join(directory, "sent");
        if (!made)
            rc = file_make_directory(sent);
        made = true;
        free(sent);
        if (rc == 0)
            rc = put_away(directory, e->d_name, epoch);
    }
    closedir(d);
    return rc;
}

static int newest_first(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    return x->made != y->made ? (x->made < y->made ? 1 : -1) : strcmp(y->path, x->path);
}

/* All files in `sent`, the newest first. */
static size_t list(const char *directory, struct kept **out)
{
    char *sent = file_join(directory, "sent");
    DIR *d = opendir(sent);
    struct stat st;
    size_t n = 0;
    *out = NULL;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *path = file_join(sent, e->d_name);
        if (lstat(path, &st) || !S_ISREG(st.st_mode)) {
            free(path);
            continue;
        }
        *out = mem_grow(*out, n + 1, sizeof **out);
        (*out)[n++] = (struct kept){path, st.st_mtime, st.st_size};
    }
    if (d)
        closedir(d);
    free(sent);
    if (n)
        qsort(*out, n, sizeof **out, newest_first);
    return n;
}

int sent_uploads_keep(const char *directory, const char *epoch, int64_t acked,
                      const struct sent_limits *limits)
{
    file_sweep(directory);
    if (put_all_away(directory, epoch, acked))
        return -1;
    struct kept *kept;
    size_t n = list(directory, &kept);
    int64_t bytes = 0;
    time_t now = time(NULL);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += kept[i].bytes;
        bool old = (now - kept[i].made) / 86400 >= limits->days || bytes > limits->bytes;
        if (rc == 0 && old && unlink(kept[i].path) && errno != ENOENT)
            rc = fail_errno("%s: cannot be removed", kept[i].path);
        free(kept[i].path);
    }
    free(kept);
    return rc;
}
