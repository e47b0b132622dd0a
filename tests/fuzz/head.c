/*
 * head: dx.json, and behind a NUL end.json, as they come. A head that is taken gives the same bytes when it is
 * written, read and written again.
 */
#include "archive/head_read.h"
#include "base/err.h"
#include "base/mem.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz head: %s: %s\n", what, err_message());
    abort();
}

static void round_trip(const struct dx_head *h)
{
    struct buf once = {0}, twice = {0};
    struct dx_head again;

    if (head_put(&once, "once", h, NULL) == 0) {
        require(head_get(&once, "again", &again) == 0, "what was written is refused");
        require(head_put(&twice, "twice", &again, NULL) == 0, "what was read cannot be written");
        require(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0, "other bytes after a round trip");
        dx_head_free(&again);
    }
    buf_free(&once);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    struct buf head = {0}, end = {0};
    struct dx_head h;

    buf_add(&head, data, n);
    if (nul)
        buf_add(&end, nul + 1, size - n - 1);
    if (head_get(&head, "dx.json", &h) == 0) {
        struct dx_end e = {0};
        struct dx_count *count = mem_zero(h.ntable, sizeof *count);

        round_trip(&h);
        head_get_end(&end, "end.json", &h, &e, count);
        free(count);
        dx_head_free(&h);
    }
    buf_free(&head);
    buf_free(&end);
    return 0;
}
