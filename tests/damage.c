/*
 * damage: an archive with shared blocks, several members and origins is cut at every length, and every one of its
 * bits is flipped by itself; the reader must refuse each. Runs in one process, so that it can try them all.
 */
#include "archive/dx.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const columns[] = {"id", "name", "size"};
static const uint8_t key[] = {1, 0, 0};

static void fill(struct val *v, int i)
{
    static char name[32];

    snprintf(name, sizeof name, "name %d", i % 7);
    v[0] = val_int(i);
    v[1] = val_text(name);
    v[2] = (struct val){.type = VAL_REAL, .r = i / 7.0};
}

/* `many`: as the router writes one of many, of which the bytes that are its own are stored as they are. */
static int write_archive(int fd, bool many)
{
    struct table *t = table_new("t", 3, columns, key);
    struct val old[3] = {{0}}, new[3];
    struct change c = {.table = t, .op = CHANGE_INSERT, .old = old, .new = new};
    struct dx_block *block = dx_block_new(t, CHANGESET_FULL);
    struct buf bytes = {0};
    struct dx_head h;
    int rc = 0;

    dx_head_init(&h, DX_CHANGES);
    dx_head_add_table(&h, t);
    if (many && dx_head_settle(&h))
        return -1;
    struct dx_writer *w = dx_writer_open(fd, "archive", &h, 3);
    for (int i = 0; i < 40; i++) {
        fill(new, i);
        bytes.n = 0;
        dx_block_encode(&bytes, &c, CHANGESET_FULL);
        dx_block_add(block, bytes.p, bytes.n);
    }
    dx_block_end(block, 3);
    for (int i = 40; i < 120 && rc == 0; i++) {
        fill(new, i);
        c.origin = i % 40 == 0 ? "alice" : i % 40 == 1 ? "bob" : "";
        rc = dx_write(w, &c);
    }
    rc = rc || dx_write_block(w, block) || dx_write_block(w, block) || dx_writer_close(w);
    dx_block_free(block);
    buf_free(&bytes);
    dx_head_free(&h);
    table_free(t);
    return rc;
}

/* What the reader makes of the file: the changes in it, or -1. */
static long read_archive(int fd)
{
    const struct dx_head *h;
    struct dx_reader *r = dx_reader_open(fd, "archive");
    struct change c;
    long n = 0;
    int got, more = 0;

    while ((got = dx_next(r, &h)) > 0) {
        while ((more = dx_read(r, &c)) > 0)
            n++;
        if (more < 0)
            break;
    }
    dx_reader_close(r);
    return got < 0 || more < 0 ? -1 : n;
}

static long read_bytes(int fd, const uint8_t *bytes, size_t n)
{
    if (ftruncate(fd, 0) || pwrite(fd, bytes, n, 0) != (ssize_t)n || lseek(fd, 0, SEEK_SET))
        return -2;
    return read_archive(fd);
}

static int complain(const char *what, size_t at, int bit)
{
    printf("not ok - %s %zu, bit %d: %s\n", what, at, bit, err_message());
    return 1;
}

static bool refused(int fd, const uint8_t *bytes, size_t n)
{
    return read_bytes(fd, bytes, n) == -1 && err_code() == ERR_REFUSED && *err_message();
}

static int flip_all(int fd, uint8_t *bytes, size_t n)
{
    int bad = 0, step = getenv("DX_SANITIZED") ? 5 : 1;

    for (size_t bit = 0; bit < n * 8; bit += (size_t)step) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (!refused(fd, bytes, n))
            bad += complain("byte", bit / 8, (int)(bit % 8));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    return bad;
}

static int cut_all(int fd, const uint8_t *bytes, size_t n)
{
    int bad = 0;

    for (size_t i = 0; i < n; i++)
        if (!refused(fd, bytes, i))
            bad += complain("length", i, 0);
    return bad;
}

static int damage_all(bool many)
{
    static uint8_t bytes[1 << 16];
    const char *which = many ? "one of many archives" : "an archive";
    FILE *f = tmpfile();
    int fd = f ? fileno(f) : -1, bad;

    if (fd < 0 || write_archive(fd, many))
        return 1;
    off_t size = lseek(fd, 0, SEEK_CUR);
    if (pread(fd, bytes, sizeof bytes, 0) != size || read_bytes(fd, bytes, (size_t)size) != 120 + 40)
        return printf("not ok - %s as it was written: %s\n", which, err_message()), 1;
    bad = flip_all(fd, bytes, (size_t)size);
    if (bad == 0)
        printf("ok - %s with any one bit of %lld flipped is refused\n", which, (long long)size * 8);
    if (cut_all(fd, bytes, (size_t)size) == 0)
        printf("ok - %s cut at any of %lld lengths is refused\n", which, (long long)size);
    else
        bad++;
    fclose(f);
    return bad;
}

int main(void)
{
    int bad = damage_all(false);
    return bad + damage_all(true) != 0;
}
