/*
 * seal: compresses stdin as one sealed archive, whatever it is. With tar(1) before it, it makes archives that no
 * command of ours would: for the tests of refusals.
 *
 *   seal [--window LOG] [--plain] < TAR > ARCHIVE
 *
 * A tar that begins with dx.json gets the opening of an archive, a frame of its first eight bytes. --window sets the window of the frame (beyond 23 no reader takes it); --plain leaves the seal out.
 */
#include "archive/shared_frame.h"
#include "base/sha.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { PIECE = 1 << 16 };

static struct sha *sha;

static void put(const void *p, size_t n)
{
    sha_add(sha, p, n);
    if (fwrite(p, 1, n, stdout) != n)
        exit(1);
}

static void compress(ZSTD_CCtx *z, const void *first, size_t nfirst)
{
    static char in_bytes[PIECE], out_bytes[PIECE];
    size_t got, left;

    memcpy(in_bytes, first, nfirst);
    do {
        got = nfirst + fread(in_bytes + nfirst, 1, sizeof in_bytes - nfirst, stdin);
        nfirst = 0;
        ZSTD_inBuffer in = {in_bytes, got, 0};
        do {
            ZSTD_outBuffer out = {out_bytes, sizeof out_bytes, 0};
            left = ZSTD_compressStream2(z, &out, &in, got ? ZSTD_e_continue : ZSTD_e_end);
            if (ZSTD_isError(left))
                exit(1);
            put(out_bytes, out.pos);
        } while (got ? in.pos < in.size : left != 0);
    } while (got);
}

int main(int argc, char **argv)
{
    uint8_t seal[8 + SHA_BYTES] = {0x50, 0x2a, 0x4d, 0x18, SHA_BYTES, 0, 0, 0};
    ZSTD_CCtx *z = ZSTD_createCCtx();
    uint8_t first[SHARED_FRAME_NAME], sums[2 * SHA_BYTES];
    size_t n, nsum = 0;
    int plain = 0;

    sha = sha_new();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--plain") == 0)
            plain = 1;
        else if (strcmp(argv[i], "--window") == 0 && i + 1 < argc)
            ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, atoi(argv[++i]));
        else
            return 2;
    }
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    n = fread(first, 1, sizeof first, stdin);
    if (n == sizeof first &&
        memcmp(first, shared_frame_opening + SHARED_FRAME_OPENING - sizeof first, n) == 0) {
        put(shared_frame_opening, SHARED_FRAME_OPENING);
        sha_end_bytes(sha, sums);
        nsum = 1;
        n = 0;
    }
    compress(z, first, n);
    sha_end_bytes(sha, sums + nsum++ * SHA_BYTES); /* the seal is the sum of the frames' sums */
    sha_sum(sums, nsum * SHA_BYTES, seal + 8);
    if (!plain && fwrite(seal, 1, sizeof seal, stdout) != sizeof seal)
        return 1;
    ZSTD_freeCCtx(z);
    sha_free(sha);
    return fflush(stdout) ? 1 : 0;
}
