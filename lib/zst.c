/* zst: see zst.h. */
#include "zst.h"

#include "err.h"
#include "file.h"
#include "mem.h"

#include <stdlib.h>
#include <zstd.h>

enum { WINDOW_LOG_MAX = 23, PIECE = 1 << 17 };

struct zst_writer {
    ZSTD_CCtx *z;
    zst_sink *sink;
    void *ctx;
    bool begun;
    uint8_t out[PIECE];
};

static ZSTD_CCtx *compressor(int level)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (z == NULL || ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)))
        abort();
    return z;
}

struct zst_writer *zst_writer_new(int level, zst_sink *sink, void *ctx)
{
    struct zst_writer *z = mem_zero(1, sizeof *z);
    z->z = compressor(level);
    z->sink = sink;
    z->ctx = ctx;
    return z;
}

/* Feeds the input to its end (or the frame to its end), draining the output as it fills. */
static int pump(struct zst_writer *z, ZSTD_inBuffer *in, ZSTD_EndDirective how)
{
    size_t left;
    do {
        ZSTD_outBuffer out = {z->out, sizeof z->out, 0};
        left = ZSTD_compressStream2(z->z, &out, in, how);
        if (ZSTD_isError(left))
            return fail(ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(left));
        if (out.pos && z->sink(z->ctx, z->out, out.pos))
            return -1;
    } while (how == ZSTD_e_end ? left != 0 : in->pos < in->size);
    return 0;
}

int zst_write(struct zst_writer *z, const void *p, size_t n)
{
    ZSTD_inBuffer in = {p, n, 0};
    z->begun = true;
    return pump(z, &in, ZSTD_e_continue);
}

int zst_end_frame(struct zst_writer *z)
{
    ZSTD_inBuffer in = {NULL, 0, 0};
    if (!z->begun)
        return 0;
    z->begun = false;
    return pump(z, &in, ZSTD_e_end);
}

void zst_writer_free(struct zst_writer *z)
{
    if (z == NULL)
        return;
    ZSTD_freeCCtx(z->z);
    free(z);
}

void zst_frame(int level, const void *p, size_t n, struct buf *out)
{
    static ZSTD_CCtx *z;
    static int z_level;
    if (z == NULL || z_level != level) {
        ZSTD_freeCCtx(z);
        z = compressor(level);
        z_level = level;
    }
    size_t room = ZSTD_compressBound(n);
    size_t got = ZSTD_compress2(z, buf_reserve(out, room), room, p, n);
    if (ZSTD_isError(got))
        abort();
    out->n += got;
}

struct zst_reader {
    ZSTD_DCtx *z;
    int fd;
    char *name;
    ZSTD_inBuffer in;
    size_t hint;    /* 0 between frames */
    bool any, full; /* something was read; the last output filled its buffer, so more may wait inside */
    uint8_t bytes[PIECE], out[PIECE];
};

struct zst_reader *zst_reader_new(int fd, const char *name)
{
    struct zst_reader *z = mem_zero(1, sizeof *z);
    z->z = ZSTD_createDCtx();
    if (z->z == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(z->z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        abort();
    z->fd = fd;
    z->name = mem_text(name);
    z->in.src = z->bytes;
    return z;
}

/* Refills the input: 1, 0 at the end of the file, -1. Takes what is there, so that a pipe is not waited on. */
static int refill(struct zst_reader *z)
{
    ssize_t got = file_read_some(z->fd, z->bytes, sizeof z->bytes, z->name);
    if (got < 0)
        return -1;
    z->in.size = (size_t)got;
    z->in.pos = 0;
    return got > 0;
}

static long ended(const struct zst_reader *z)
{
    if (z->hint != 0)
        return fail(ERR_REFUSED, "%s: cut off in the middle; fetch it again", z->name);
    return 0;
}

long zst_read(struct zst_reader *z, const void **p)
{
    for (;;) {
        if (z->in.pos == z->in.size && !z->full) {
            int more = refill(z);
            if (more <= 0)
                return more < 0 ? -1 : ended(z);
        }
        ZSTD_outBuffer out = {z->out, sizeof z->out, 0};
        size_t hint = ZSTD_decompressStream(z->z, &out, &z->in);
        if (ZSTD_isError(hint))
            return fail(ERR_REFUSED,
                        z->any ? "%s: damaged (%s); fetch it again" : "%s: not a dx archive (%s)", z->name,
                        ZSTD_getErrorName(hint));
        z->hint = hint;
        z->any = true;
        z->full = out.pos == out.size;
        if (out.pos) {
            *p = z->out;
            return (long)out.pos;
        }
    }
}

void zst_reader_free(struct zst_reader *z)
{
    if (z == NULL)
        return;
    ZSTD_freeDCtx(z->z);
    free(z->name);
    free(z);
}
