/* spill: see base/spill.h. */
#include "base/spill.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GATHER = 1 << 16, PAGE = 1 << 14, PAGES = 1 << 7 };

static const char name[] = "temporary file";

/* A page of the file that has been read. Bytes once written stay as they are; there may be more by now. */
struct page {
    off_t number;
    size_t n;
    uint8_t *bytes; /* NULL: none yet */
};

struct spill {
    int fd;
    off_t written;  /* bytes of the file ... */
    struct buf out; /* ... and those behind them */
    struct page page[PAGES];
};

struct spill *spill_open(void)
{
    int fd = spool_new();
    if (fd < 0)
        return NULL;
    struct spill *s = mem_zero(1, sizeof *s);
    s->fd = fd;
    return s;
}

void spill_close(struct spill *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < PAGES; i++)
        free(s->page[i].bytes);
    buf_free(&s->out);
    close(s->fd);
    free(s);
}

static int append(struct spill *s, const void *p, size_t n)
{
    s->written += (off_t)n;
    return file_write(s->fd, p, n, name);
}

static int flush_out(struct spill *s)
{
    int rc = append(s, s->out.p, s->out.n);
    buf_clear(&s->out);
    return rc;
}

off_t spill_put(struct spill *s, const void *p, size_t n)
{
    if (s->out.n + n > GATHER && flush_out(s))
        return -1;
    off_t at = s->written + (off_t)s->out.n;
    if (n > GATHER)
        return append(s, p, n) ? -1 : at;
    buf_add(&s->out, p, n);
    return at;
}

static ssize_t read_at(struct spill *s, void *into, size_t n, off_t at)
{
    ssize_t got = pread(s->fd, into, n, at);
    return got < 0 ? fail_errno("%s: cannot read", name) : got;
}

/* The page with at least its first n bytes. NULL on failure. */
static const uint8_t *page_with(struct spill *s, off_t number, size_t n)
{
    struct page *p = &s->page[number % PAGES];
    if (p->bytes == NULL)
        p->bytes = mem_alloc(PAGE);
    else if (p->number == number && p->n >= n)
        return p->bytes;
    ssize_t got = read_at(s, p->bytes, PAGE, number * PAGE);
    p->number = number;
    p->n = got < 0 ? 0 : (size_t)got;
    if (got >= 0 && p->n < n)
        fail(ERR_SYSTEM, "%s: shorter than what was written to it", name);
    return p->n >= n ? p->bytes : NULL;
}

int spill_get(struct spill *s, void *into, size_t n, off_t at)
{
    uint8_t *to = into;
    if (at + (off_t)n > s->written && flush_out(s))
        return -1;
    while (n) {
        size_t from = (size_t)(at % PAGE), piece = n < PAGE - from ? n : PAGE - from;
        const uint8_t *bytes = page_with(s, at / PAGE, from + piece);
        if (bytes == NULL)
            return -1;
        memcpy(to, bytes + from, piece);
        to += piece;
        at += (off_t)piece;
        n -= piece;
    }
    return 0;
}
