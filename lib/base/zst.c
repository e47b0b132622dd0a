/* zst: see base/zst.h. */
#include "base/zst.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/sha.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    WINDOW_LOG_MAX = 23,
    PIECE = 1 << 17,
    SHORT = 1 << 16, /* compresses to less than a piece */
    LITTLE = 512, /* bytes that are stored: to compress them takes ten times as long, and gains a hundred */
    MAGIC = 4,    /* bytes of a frame's magic number */
    SEAL = 8 + SHA_BYTES, /* magic, length, digest */
};

static const uint8_t frame_magic[MAGIC] = {0x28, 0xb5, 0x2f, 0xfd};
static const uint8_t seal_head[8] = {0x50, 0x2a, 0x4d, 0x18, SHA_BYTES, 0, 0, 0};

/* A frame is begun by its first bytes waiting in `in`: a short one, as most heads are, is then compressed at once, with
 * tables of its size, or not at all; a longer one is streamed. */
struct zst_writer {
    ZSTD_CCtx *z;
    struct sha *frame, *seal; /* of the frame's bytes; of the sums of frames since the last seal */
    zst_sink *sink;
    void *ctx;
    bool streaming;
    size_t skip;    /* bytes to leave out of what is written next */
    size_t waiting; /* bytes in `in` */
    uint8_t in[SHORT], out[PIECE];
};

static ZSTD_CCtx *compressor(int level)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (z == NULL || ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1)))
        mem_out();
    return z;
}

struct zst_writer *zst_writer_new(int level, zst_sink *sink, void *ctx)
{
    struct zst_writer *z = mem_alloc(sizeof *z);
    z->z = compressor(level);
    z->frame = sha_new();
    z->seal = sha_new();
    z->sink = sink;
    z->ctx = ctx;
    z->streaming = false;
    z->skip = z->waiting = 0;
    return z;
}

static int emit(struct zst_writer *z, const void *p, size_t n)
{
    sha_add(z->frame, p, n);
    return z->sink(z->ctx, p, n);
}

/* Of the frame that has been emitted, its sum goes into the seal. */
static void sum_frame(struct sha *frame, struct sha *seal)
{
    uint8_t sum[SHA_BYTES];
    sha_end_bytes(frame, sum);
    sha_add(seal, sum, sizeof sum);
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
        if (out.pos && emit(z, z->out, out.pos))
            return -1;
    } while (how == ZSTD_e_end ? left != 0 : in->pos < in->size);
    return 0;
}

void zst_skip(struct zst_writer *z, size_t n)
{
    z->skip = n;
}

int zst_write(struct zst_writer *z, const void *p, size_t n)
{
    size_t skip = z->skip < n ? z->skip : n;
    z->skip -= skip;
    p = (const uint8_t *)p + skip;
    n -= skip;
    if (n == 0)
        return 0;
    if (!z->streaming && z->waiting + n <= sizeof z->in) {
        memcpy(z->in + z->waiting, p, n);
        z->waiting += n;
        return 0;
    }
    ZSTD_inBuffer first = {z->in, z->waiting, 0}, in = {p, n, 0};
    z->waiting = 0;
    z->streaming = true;
    return (first.size && pump(z, &first, ZSTD_e_continue)) || pump(z, &in, ZSTD_e_continue) ? -1 : 0;
}

static uint8_t *put_le(uint8_t *out, size_t n, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *out++ = (uint8_t)(n >> 8 * i);
    return out;
}

/* The head of a block, RFC 8878, 3.1.1.2. */
enum block { BLOCK_RAW, BLOCK_RUN };
static uint8_t *put_block(uint8_t *out, enum block type, size_t n, bool last)
{
    return put_le(out, n << 3 | (size_t)type << 1 | last, 3);
}

/* A frame, in one segment, of n bytes as they are, and behind them zeros as a run of one: its length. */
static size_t store(uint8_t *out, const uint8_t *p, size_t n, size_t zeros)
{
    enum { SIZE_IN_1_BYTE = 0x20, SIZE_IN_2_BYTES = 0x60, BEYOND_1_BYTE = 256 };
    const size_t size = n + zeros;
    uint8_t *at = out + MAGIC;
    memcpy(out, frame_magic, MAGIC);
    *at++ = size < BEYOND_1_BYTE ? SIZE_IN_1_BYTE : SIZE_IN_2_BYTES;
    at = size < BEYOND_1_BYTE ? put_le(at, size, 1) : put_le(at, size - BEYOND_1_BYTE, 2);
    at = put_block(at, BLOCK_RAW, n, zeros == 0);
    memcpy(at, p, n);
    at += n;
    if (zeros) {
        at = put_block(at, BLOCK_RUN, zeros, true);
        *at++ = 0;
    }
    return (size_t)(at - out);
}

/* The length of the bytes that wait, but for zeros at their end: a tar has many. */
static size_t waiting_content(const struct zst_writer *z)
{
    static const uint8_t zeros[16];
    size_t n = z->waiting;
    while (n >= sizeof zeros && memcmp(z->in + n - sizeof zeros, zeros, sizeof zeros) == 0)
        n -= sizeof zeros;
    while (n > 0 && z->in[n - 1] == 0)
        n--;
    return n;
}

static int end_short(struct zst_writer *z)
{
    size_t n = waiting_content(z);
    size_t got = n && n <= LITTLE ? store(z->out, z->in, n, z->waiting - n)
                                  : ZSTD_compress2(z->z, z->out, sizeof z->out, z->in, z->waiting);
    return ZSTD_isError(got) ? fail(ERR_SYSTEM, "zstd: %s", ZSTD_getErrorName(got)) : emit(z, z->out, got);
}

static int end_frame(struct zst_writer *z)
{
    ZSTD_inBuffer in = {NULL, 0, 0};
    if (!z->streaming && z->waiting == 0)
        return 0;
    int rc = z->streaming ? pump(z, &in, ZSTD_e_end) : end_short(z);
    z->streaming = false;
    z->waiting = 0;
    sum_frame(z->frame, z->seal);
    return rc;
}

int zst_write_frame(struct zst_writer *z, const void *p, size_t n, const uint8_t sum[SHA_BYTES])
{
    if (end_frame(z))
        return -1;
    sha_add(z->seal, sum, SHA_BYTES);
    return z->sink(z->ctx, p, n);
}

int zst_seal(struct zst_writer *z)
{
    uint8_t seal[SEAL];
    if (end_frame(z))
        return -1;
    memcpy(seal, seal_head, sizeof seal_head);
    sha_end_bytes(z->seal, seal + sizeof seal_head);
    return z->sink(z->ctx, seal, sizeof seal);
}

void zst_writer_free(struct zst_writer *z)
{
    if (z == NULL)
        return;
    ZSTD_freeCCtx(z->z);
    sha_free(z->frame);
    sha_free(z->seal);
    free(z);
}

void zst_frame(int level, const void *p, size_t n, struct buf *out, uint8_t sum[SHA_BYTES])
{
    static ZSTD_CCtx *z;
    static int z_level;
    if (z == NULL)
        z = compressor(z_level = level);
    if (z_level != level && ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level)))
        mem_out();
    z_level = level;
    size_t room = ZSTD_compressBound(n);
    size_t got = ZSTD_compress2(z, buf_reserve(out, room), room, p, n);
    if (ZSTD_isError(got))
        mem_out();
    sha_sum(out->p + out->n, got, sum);
    out->n += got;
}

enum where {
    AT_START, /* nothing read of this archive */
    AT_FRAME, /* a frame or the seal comes next */
    IN_FRAME
};

struct zst_reader {
    ZSTD_DCtx *z;
    struct sha *frame, *seal; /* as in the writer */
    int fd;
    char *name;
    ZSTD_inBuffer in;
    enum where where;
    int64_t packed; /* bytes read */
    bool again;     /* a seal was read before */
    bool full;      /* the last output filled its buffer, so more may wait inside */
    uint8_t bytes[PIECE], out[PIECE];
};

struct zst_reader *zst_reader_new(int fd, const char *name)
{
    struct zst_reader *z = mem_zero(1, sizeof *z);
    z->z = ZSTD_createDCtx();
    if (z->z == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(z->z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        mem_out();
    z->frame = sha_new();
    z->seal = sha_new();
    z->fd = fd;
    z->name = mem_text(name);
    z->in.src = z->bytes;
    return z;
}

/* Adds to the input what there is now, so that a pipe is not waited on: 1, 0 at the end of the file, -1. */
static int refill(struct zst_reader *z)
{
    z->in.size -= z->in.pos;
    memmove(z->bytes, z->bytes + z->in.pos, z->in.size);
    z->in.pos = 0;
    ssize_t got = file_read_some(z->fd, z->bytes + z->in.size, sizeof z->bytes - z->in.size, z->name);
    if (got < 0)
        return -1;
    z->in.size += (size_t)got;
    progress_read(z->name, z->fd, got);
    z->packed += got > 0 ? got : 0;
    return got > 0;
}

/* Makes n bytes of input readable, or as many as there are: the count, or -1. */
static long peek(struct zst_reader *z, size_t n)
{
    while (z->in.size - z->in.pos < n) {
        int more = refill(z);
        if (more < 0)
            return -1;
        if (more == 0)
            break;
    }
    return (long)(z->in.size - z->in.pos);
}

static bool starts(const struct zst_reader *z, long have, const uint8_t *head, long n)
{
    return have >= n && memcmp(z->bytes + z->in.pos, head, (size_t)n) == 0;
}

static int cut_off(const struct zst_reader *z)
{
    return fail(ERR_REFUSED, "%s: cut off before its end; fetch it again", z->name);
}

int zst_more(struct zst_reader *z)
{
    long have = peek(z, MAGIC);
    if (have <= 0)
        return (int)have;
    if (starts(z, have, frame_magic, MAGIC))
        return 1;
    if (z->again)
        return fail(ERR_REFUSED, "%s: something that is no archive follows the archive's end", z->name);
    return fail(ERR_REFUSED, "%s: not a dx archive: not compressed with zstd", z->name);
}

int zst_next_is(struct zst_reader *z, const uint8_t *p, size_t n)
{
    long have = peek(z, n);
    if (have < 0)
        return -1;
    if ((size_t)have >= n)
        return starts(z, have, p, (long)n);
    return starts(z, have, p, have) ? cut_off(z) : 0;
}

/* Reads the seal and compares: 0, or -1. */
static int check_seal(struct zst_reader *z)
{
    uint8_t sum[SHA_BYTES];
    long have = peek(z, SEAL);
    if (have < 0)
        return -1;
    if (have < SEAL)
        return cut_off(z);
    const uint8_t *seal = z->bytes + z->in.pos;
    sha_end_bytes(z->seal, sum);
    if (memcmp(seal, seal_head, sizeof seal_head) != 0 ||
        memcmp(seal + sizeof seal_head, sum, SHA_BYTES) != 0)
        return fail(ERR_REFUSED, "%s: damaged: its bytes are not those that its seal tells; fetch it again",
                    z->name);
    z->in.pos += SEAL;
    z->where = AT_START;
    z->again = true;
    return zst_more(z) < 0 ? -1 : 0;
}

/* What comes after a frame: 1 another, 0 a seal that is right, -1. */
static int begin_frame(struct zst_reader *z)
{
    long have = peek(z, MAGIC);
    if (have < 0)
        return -1;
    if (have < MAGIC)
        return cut_off(z);
    if (!starts(z, have, frame_magic, MAGIC))
        return check_seal(z);
    z->where = IN_FRAME;
    return 1;
}

/* Decompresses some of the frame at hand: the length of what came out (perhaps 0), or -1. */
static long decompress(struct zst_reader *z)
{
    ZSTD_outBuffer out = {z->out, sizeof z->out, 0};
    size_t from = z->in.pos;
    size_t hint = ZSTD_decompressStream(z->z, &out, &z->in);
    if (ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation)
        mem_out();
    if (ZSTD_isError(hint))
        return fail(ERR_REFUSED, "%s: damaged (%s); fetch it again", z->name, ZSTD_getErrorName(hint));
    sha_add(z->frame, z->bytes + from, z->in.pos - from);
    z->full = out.pos == out.size;
    if (hint == 0) {
        z->where = AT_FRAME;
        z->full = false;
        sum_frame(z->frame, z->seal);
    }
    return (long)out.pos;
}

int64_t zst_packed(const struct zst_reader *z)
{
    return z->packed;
}

long zst_read(struct zst_reader *z, const void **p)
{
    for (;;) {
        if (z->where != IN_FRAME) {
            int more = begin_frame(z);
            if (more <= 0)
                return more;
        }
        if (z->in.pos == z->in.size && !z->full) {
            int more = refill(z);
            if (more <= 0)
                return more < 0 ? -1 : cut_off(z);
        }
        long n = decompress(z);
        if (n) {
            *p = z->out;
            return n;
        }
    }
}

void zst_reader_free(struct zst_reader *z)
{
    if (z == NULL)
        return;
    ZSTD_freeDCtx(z->z);
    sha_free(z->frame);
    sha_free(z->seal);
    free(z->name);
    free(z);
}
