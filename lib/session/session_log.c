/* session_log: see session/session_log.h. */
#define _GNU_SOURCE /* O_NOFOLLOW, timegm */
#include "session/session_log.h"

#include "base/clean.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROTATE = 1 << 20 };

static const char name[] = "session.log", older[] = "session.log.1", form[] = "%Y-%m-%dT%H:%M:%SZ";

static void add_time(struct buf *b, const char *what, time_t t)
{
    char text[32];
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, form, &tm);
    buf_addf(b, "%s=%s ", what, text);
}

static int open_log(int dir, int flags)
{
    struct stat st;
    int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The reason as the last word: one line, no quotes in it. */
static void add_why(struct buf *b, const char *why)
{
    buf_puts(b, " why=\"");
    for (size_t i = b->n, end = (clean_text(b, why, strlen(why)), b->n); i < end; i++)
        if (b->p[i] == '"')
            b->p[i] = '\'';
    buf_byte(b, '"');
}

void session_log_add(int dir, const struct session_line *l)
{
    struct buf b = {0};
    struct stat st;
    const struct peer_traffic *t = &l->traffic;
    add_time(&b, "start", l->start);
    add_time(&b, "end", time(NULL));
    buf_addf(&b, "node=%s release=", l->node);
    clean_text(&b, *l->release ? l->release : "-", strcspn(*l->release ? l->release : "-", " "));
    buf_addf(&b, " sent=%lld/%lld fetched=%lld/%lld bytes=%lld/%lld archive=%lld upload=%lld",
             (long long)t->sent_files, (long long)t->sent_bytes, (long long)t->fetched_files,
             (long long)t->fetched_bytes, (long long)l->bytes.out, (long long)l->bytes.in,
             (long long)l->archive, (long long)l->upload);
    if (l->free > 0)
        buf_addf(&b, " free=%lld", (long long)l->free);
    if (l->proof)
        buf_addf(&b, " proof=%s", l->proof);
    buf_addf(&b, " exit=%d", l->code);
    if (*l->why)
        add_why(&b, l->why);
    buf_byte(&b, '\n');
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > ROTATE)
        renameat(dir, name, dir, older);
    int fd = open_log(dir, O_WRONLY | O_APPEND | O_CREAT);
    if (fd >= 0) {
        ssize_t put = write(fd, b.p, b.n);
        (void)put;
        close(fd);
    }
    buf_free(&b);
}

int64_t session_log_count(int dir, int64_t seconds)
{
    int fd = open_log(dir, O_RDONLY);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL, text[32];
    size_t room = 0;
    int64_t n = 0;
    struct tm tm;
    time_t since = time(NULL) - (time_t)seconds;
    gmtime_r(&since, &tm);
    strftime(text, sizeof text, form, &tm);
    while (f && getline(&line, &room, f) > 0) /* times of this form sort as texts do */
        n += strncmp(line, "start=", 6) == 0 && strncmp(line + 6, text, strlen(text)) >= 0;
    free(line);
    if (f)
        fclose(f);
    return n;
}
