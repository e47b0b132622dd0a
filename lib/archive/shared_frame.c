/* shared_frame: see archive/shared_frame.h. */
#include "archive/shared_frame.h"

#include "archive/dx.h"
#include "base/tar.h"
#include "base/zst.h"

#include <stdlib.h>
#include <string.h>

void shared_frame_make(struct shared_frame *f, const void *p, size_t n)
{
    buf_clear(&f->bytes);
    zst_frame(DX_LEVEL_SHARED, p, n, &f->bytes, f->sum);
}

void shared_frame_free(struct shared_frame *f)
{
    buf_free(&f->bytes);
}

/* ---- the opening ---- */

/* RFC 8878: magic number; one segment of 8 bytes; a last block, raw, of 8 bytes; the bytes. */
const uint8_t shared_frame_opening[SHARED_FRAME_OPENING] = {
    0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x08, 0x41, 0x00, 0x00, 'd', 'x', '.', 'j', 's', 'o', 'n', 0};

const uint8_t shared_frame_opening_sum[SHA_BYTES] = {
    0xd3, 0x49, 0xb2, 0xbe, 0x5b, 0xb8, 0xbd, 0x67, 0xc6, 0xb5, 0x84, 0xf3, 0x89, 0x9a, 0x4b, 0xdb,
    0x85, 0x82, 0x10, 0x2e, 0x40, 0x39, 0xd2, 0x4b, 0xe9, 0xfc, 0x98, 0x98, 0xa1, 0x34, 0x70, 0x45};

int shared_frame_open(struct zst_writer *z, bool shared)
{
    if (zst_write_frame(z, shared_frame_opening, SHARED_FRAME_OPENING, shared_frame_opening_sum))
        return -1;
    if (!shared)
        zst_skip(z, SHARED_FRAME_NAME);
    return 0;
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
        tar = tar_writer_new(append, &plain, TAR_NAMES_SHORT);
    buf_clear(&plain);
    if (tar_begin(tar, member, size) || tar_end_unsaid(tar))
        return -1;
    size_t skip = strcmp(member, "dx.json") == 0 ? SHARED_FRAME_NAME : 0;
    shared_frame_make(f, plain.p + skip, plain.n - skip);
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
