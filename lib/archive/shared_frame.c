/* shared_frame: see archive/shared_frame.h. */
#include "archive/shared_frame.h"

#include "base/tar.h"
#include "base/zst.h"

#include <stdlib.h>
#include <string.h>

void shared_frame_make(struct shared_frame *f, const void *p, size_t n)
{
    enum { LEVEL = 3 };
    buf_clear(&f->bytes);
    zst_frame(LEVEL, p, n, &f->bytes, f->sum);
}

void shared_frame_free(struct shared_frame *f)
{
    buf_free(&f->bytes);
}

/* ---- headers ---- */

static int append(void *ctx, const void *p, size_t n)
{
    buf_add(ctx, p, n);
    return 0;
}

static int make_header(const char *member, size_t size, struct shared_frame *f)
{
    static struct buf plain;
    static struct tar_writer *tar;
    if (tar == NULL)
        tar = tar_writer_new(append, &plain);
    buf_clear(&plain);
    if (tar_begin(tar, member, size) || tar_end_unsaid(tar))
        return -1;
    shared_frame_make(f, plain.p, plain.n);
    return 0;
}

static uint64_t hash(const char *member, size_t size)
{
    uint64_t h = size;
    while (*member)
        h = (h ^ (uint8_t)*member++) * 0x9e3779b97f4a7c15ULL;
    return h;
}

const struct shared_frame *shared_frame_header(const char *member, size_t size)
{
    enum { KNOWN_LOG = 10 };
    static struct known {
        struct buf member;
        size_t size;
        struct shared_frame frame;
    } known[1 << KNOWN_LOG];
    struct known *k = &known[hash(member, size) >> (64 - KNOWN_LOG)];
    if (k->member.n && k->size == size && strcmp((char *)k->member.p, member) == 0)
        return &k->frame;
    buf_clear(&k->member);
    if (make_header(member, size, &k->frame))
        return NULL;
    buf_add(&k->member, member, strlen(member) + 1);
    k->size = size;
    return &k->frame;
}
