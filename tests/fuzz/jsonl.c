/*
 * jsonl: JSON Lines as they come, made into an archive. What is taken must give an archive that is sound, prints as
 * lines, and those lines make an archive that prints the same.
 */
#include "archive/archive_jsonl.h"
#include "base/err.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz jsonl: %s: %s\n", what, err_message());
    abort();
}

static FILE *emptied(FILE *f)
{
    if (f == NULL && (f = tmpfile()) == NULL)
        abort();
    if (ftruncate(fileno(f), 0) || fseek(f, 0, SEEK_SET) != 0)
        abort();
    return f;
}

/* Lines into an archive: whether they were taken. */
static bool pack(FILE *lines, FILE *archive)
{
    struct dx_head h;

    if (lseek(fileno(lines), 0, SEEK_SET) != 0)
        abort();
    dx_head_init(&h, DX_CHANGES);
    int rc = lines_pack(fileno(lines), "lines", &h, false, fileno(archive), 1);
    dx_head_free(&h);
    return rc == 0;
}

static void print(FILE *archive, FILE *lines)
{
    const struct dx_head *h;

    if (lseek(fileno(archive), 0, SEEK_SET) != 0)
        abort();
    struct dx_reader *r = dx_reader_open(fileno(archive), "archive");
    require(dx_next(r, &h) == 1 && lines_print(r, lines) == 0 && dx_next(r, &h) == 0,
            "what was made is not sound");
    dx_reader_close(r);
    fflush(lines);
}

static bool same(FILE *a, FILE *b)
{
    int ca, cb;

    rewind(a);
    rewind(b);
    do {
        ca = getc(a);
        cb = getc(b);
    } while (ca == cb && ca != EOF);
    return ca == cb;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *in, *archive, *once, *twice;

    in = emptied(in);
    archive = emptied(archive);
    if (write(fileno(in), data, size) != (ssize_t)size)
        abort();
    if (!pack(in, archive))
        return 0;
    once = emptied(once);
    print(archive, once);
    archive = emptied(archive);
    require(pack(once, archive), "lines that were printed are refused");
    twice = emptied(twice);
    print(archive, twice);
    require(same(once, twice), "another print after a round trip");
    return 0;
}
