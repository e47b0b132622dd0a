/*
 * archive: the reader of .dx archives, over bytes as they come from outside. An input that begins with "{" is
 * not an archive but what stands in one: dx.json up to the first NUL, and a member of changes behind it. It is
 * packed first, because no mutation gets past checksums of zstd, tar, end.json and the seal.
 */
#include "archive/dx.h"
#include "archive/shared_frame.h"
#include "base/mem.h"
#include "base/tar.h"
#include "base/zst.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int append(void *ctx, const void *p, size_t n)
{
    buf_add(ctx, p, n);
    return 0;
}

static void member(struct tar_writer *tar, const char *name, const void *p, size_t n)
{
    if (tar_begin(tar, name, n) || tar_data(tar, p, n) || tar_end(tar))
        abort();
}

static void pack(const uint8_t *data, size_t size, struct buf *out)
{
    static const char end[] = "{}\n";
    struct buf bytes = {0};
    struct tar_writer *tar = tar_writer_new(append, &bytes, TAR_NAMES_SHORT);
    const uint8_t *nul = memchr(data, 0, size);
    size_t head = nul ? (size_t)(nul - data) : size;

    member(tar, "dx.json", data, head);
    if (nul)
        member(tar, "changes/000001", nul + 1, size - head - 1);
    member(tar, "end.json", end, sizeof end - 1);
    if (tar_finish(tar))
        abort();
    tar_writer_free(tar);
    struct zst_writer *zst = zst_writer_new(1, append, out);
    if (zst_write_frame(zst, shared_frame_opening, SHARED_FRAME_OPENING, shared_frame_opening_sum) ||
        zst_write(zst, bytes.p + SHARED_FRAME_NAME, bytes.n - SHARED_FRAME_NAME) || zst_seal(zst))
        abort();
    zst_writer_free(zst);
    buf_free(&bytes);
}

static void read_all(int fd)
{
    struct dx_reader *r = dx_reader_open(fd, "fuzz");
    const struct dx_head *head;
    struct change change;

    while (r && dx_next(r, &head) == 1) {
        int more;

        while ((more = dx_read(r, &change)) == 1)
            change_show(&change);
        if (more < 0)
            break;
    }
    dx_reader_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *file;
    struct buf packed = {0};

    if (size && data[0] == '{')
        pack(data, size, &packed);
    else
        buf_add(&packed, data, size);
    if (file == NULL && (file = tmpfile()) == NULL)
        abort();
    int fd = fileno(file);
    if (ftruncate(fd, 0) || pwrite(fd, packed.p, packed.n, 0) != (ssize_t)packed.n ||
        lseek(fd, 0, SEEK_SET) != 0)
        abort();
    buf_free(&packed);
    read_all(fd);
    return 0;
}
