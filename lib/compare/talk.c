/* talk: see compare/talk.h. */
#include "compare/talk.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/zst.h"
#include "compare/pack.h"

#include <stdlib.h>

enum { MESSAGE_MAX = 256 << 20 };

struct talk {
    int out;
    char *name;
    struct zst_reader *reader;
    struct zst_writer *writer;
    struct buf read; /* of the turn, not yet taken */
    size_t taken;
};

static int sink(void *ctx, const void *p, size_t n)
{
    const struct talk *t = ctx;
    return file_write(t->out, p, n, t->name);
}

struct talk *talk_open(int in, int out, const char *name)
{
    struct talk *t = mem_zero(1, sizeof *t);
    t->out = out;
    t->name = mem_text(name);
    t->reader = zst_reader_new(in, t->name);
    t->writer = zst_writer_new(DX_LEVEL_SHARED, sink, t);
    if (t->reader && t->writer)
        return t;
    talk_close(t);
    return NULL;
}

void talk_close(struct talk *t)
{
    if (t == NULL)
        return;
    zst_reader_free(t->reader);
    zst_writer_free(t->writer);
    buf_free(&t->read);
    free(t->name);
    free(t);
}

const char *talk_name(const struct talk *t)
{
    return t->name;
}

int talk_say(struct talk *t, struct buf *b)
{
    struct buf length = {0};
    wire_put_varint(&length, b->n);
    int rc = zst_write(t->writer, length.p, length.n) || zst_write(t->writer, b->p, b->n) ? -1 : 0;
    buf_free(&length);
    buf_clear(b);
    return rc;
}

int talk_turn(struct talk *t)
{
    struct buf b = {0};
    pack_int(&b, TALK_TURN);
    int rc = talk_say(t, &b) || zst_seal(t->writer) ? -1 : 0;
    buf_free(&b);
    return rc;
}

static int hung_up(const struct talk *t)
{
    return fail(ERR_SYSTEM, "%s: the other end hung up", t->name);
}

/* At least n bytes that are not taken yet: 1, 0 where the connection ends, -1. */
static int fill(struct talk *t, size_t n)
{
    while (t->read.n - t->taken < n) {
        const void *p;
        if (t->taken) {
            buf_drop(&t->read, t->taken);
            t->taken = 0;
        }
        long got = zst_read(t->reader, &p);
        if (got < 0)
            return -1;
        if (got == 0) { /* behind a seal */
            int more = zst_more(t->reader);
            if (more <= 0)
                return more < 0 ? -1 : t->read.n ? hung_up(t) : 0;
            continue;
        }
        buf_add(&t->read, p, (size_t)got);
    }
    return 1;
}

int talk_more(struct talk *t)
{
    return fill(t, 1);
}

/* The other end's own words of what went wrong. */
static int other_failed(const struct talk *t, struct wire *w)
{
    int64_t code = unpack_int(w, ERR_AGAIN);
    char *message = unpack_text(w);
    int rc = fail(code ? (enum err_code)code : ERR_SYSTEM, "%s: %s", t->name, message);
    free(message);
    return rc;
}

int talk_next(struct talk *t, enum talk_message *kind, struct wire *w)
{
    enum { VARINT_MAX = 9 };
    int got = fill(t, 1);
    if (got <= 0)
        return got < 0 ? -1 : hung_up(t);
    struct wire head = wire_over(t->read.p + t->taken, t->read.n - t->taken);
    uint64_t n = wire_varint(&head);
    for (size_t k = 2; head.state == WIRE_SHORT && k <= VARINT_MAX; k++) {
        if (fill(t, k) <= 0)
            return hung_up(t);
        head = wire_over(t->read.p + t->taken, t->read.n - t->taken);
        n = wire_varint(&head);
    }
    if (head.state != WIRE_OK || n > MESSAGE_MAX)
        return fail(ERR_REFUSED, "%s: makes no sense", t->name);
    size_t length = (size_t)(head.p - (t->read.p + t->taken));
    got = fill(t, length + n);
    if (got <= 0)
        return got < 0 ? -1 : hung_up(t);
    *w = wire_over(t->read.p + t->taken + length, n);
    t->taken += length + n;
    *kind = (enum talk_message)unpack_int(w, TALK_TURN);
    if (w->state != WIRE_OK)
        return fail(ERR_REFUSED, "%s: makes no sense", t->name);
    return *kind == TALK_FAILED ? other_failed(t, w) : *kind != TALK_TURN;
}
