/* dxwrite: the archive's writer (archive/dx.h). */
#include "archive/dx.h"

#include "archive/dxblock.h"
#include "archive/head_read.h"
#include "archive/shared_frame.h"
#include "archive/signature.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/tar.h"
#include "base/zst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dx_writer {
    int fd;
    char *name;
    struct buf out; /* waits to be written */
    struct zst_writer *zst;
    struct tar_writer *tar;
    struct buf list; /* lines about the members so far, which the digest sums up */
    const struct dx_head *head;
    const char *key; /* to sign with, or NULL */
    struct dx_end end;
    struct dx_count *count;
    struct buf block;       /* changes of the member being made */
    char *origin;           /* of the block */
    const struct table *at; /* table of the last header in the block; NULL: none yet */
    size_t at_index, members;
};

static int flush_out(struct dx_writer *w)
{
    int rc = file_write(w->fd, w->out.p, w->out.n, w->name);
    buf_clear(&w->out);
    return rc;
}

/* Small pieces are gathered: an archive of three rows is one write. */
static int to_file(void *ctx, const void *p, size_t n)
{
    enum { GATHER = 1 << 15 };
    struct dx_writer *w = ctx;
    if (w->out.n + n > GATHER && flush_out(w))
        return -1;
    if (n > GATHER)
        return file_write(w->fd, p, n, w->name);
    buf_add(&w->out, p, n);
    return 0;
}

static int to_zst(void *ctx, const void *p, size_t n)
{
    struct dx_writer *w = ctx;
    return zst_write(w->zst, p, n);
}

/* Notes a member's size and digest for end.json, in sha256sum's words. */
static void account(struct dx_writer *w, const char *member, size_t n, const char *hex)
{
    buf_add(&w->list, hex, SHA_HEX - 1);
    buf_puts(&w->list, "  ");
    buf_puts(&w->list, member);
    buf_byte(&w->list, '\n');
    w->end.bytes += (int64_t)n;
}

/* The block at hand as a member. */
static int put_member(struct dx_writer *w, const char *member)
{
    const struct buf *b = &w->block;
    char hex[SHA_HEX];
    sha_hex(b->p, b->n, hex);
    account(w, member, b->n, hex);
    return tar_begin(w->tar, member, b->n) || tar_data(w->tar, b->p, b->n) || tar_end(w->tar) ? -1 : 0;
}

static int put_frame(struct dx_writer *w, const struct shared_frame *f)
{
    return f ? zst_write_frame(w->zst, f->bytes.p, f->bytes.n, f->sum) : -1;
}

/* The same, dx.json or end.json of an archive that is one of many: its header, and the tables, which begin at `tables`
 * (0: it tells none), are frames made once, so that what is left is too little to be worth compressing. */
static int put_shared(struct dx_writer *w, const char *member, size_t tables)
{
    static const uint8_t zeros[TAR_RECORD];
    const struct dx_head_tables *rendered = w->head->rendered;
    const struct buf *b = &w->block;
    size_t rest = tables ? tables + rendered->text.n : 0;
    char hex[SHA_HEX];
    sha_hex(b->p, b->n, hex);
    account(w, member, b->n, hex);
    if (put_frame(w, shared_frame_header(member, b->n)) || zst_write(w->zst, b->p, tables) ||
        (tables && put_frame(w, &rendered->frame)))
        return -1;
    return zst_write(w->zst, b->p + rest, b->n - rest) || zst_write(w->zst, zeros, tar_padding(b->n)) ? -1
                                                                                                      : 0;
}

static int put_json(struct dx_writer *w, const char *member, size_t tables)
{
    return w->head->rendered ? put_shared(w, member, tables) : put_member(w, member);
}

struct dx_writer *dx_writer_open(int fd, const char *name, const struct dx_head *h, int level)
{
    struct dx_writer *w = mem_zero(1, sizeof *w);
    w->zst = zst_writer_new(level, to_file, w);
    w->tar = tar_writer_new(to_zst, w, TAR_NAMES_SHORT);
    if (dx_writer_next(w, fd, name, h) == 0)
        return w;
    dx_writer_abort(w);
    return NULL;
}

int dx_writer_next(struct dx_writer *w, int fd, const char *name, const struct dx_head *h)
{
    w->fd = fd;
    w->name = mem_text(name);
    w->head = h;
    w->count = mem_zero(h->ntable, sizeof *w->count);
    w->end.count = w->count;
    w->origin = mem_text("");
    size_t tables;
    if (head_put(&w->block, name, h, &tables) || shared_frame_open(w->zst, h->rendered != NULL) ||
        put_json(w, "dx.json", tables))
        return -1;
    buf_clear(&w->block);
    return 0;
}

void dx_writer_sign(struct dx_writer *w, const char *key)
{
    w->key = key;
}

/* The name of the next member of changes, in w's turn; the caller frees. */
static char *next_member(struct dx_writer *w, const char *origin)
{
    return mem_printf(*origin ? "changes/%06zu@%s" : "changes/%06zu", ++w->members, origin);
}

static int flush_block(struct dx_writer *w)
{
    if (w->block.n == 0)
        return 0;
    char *member = next_member(w, w->origin);
    int rc = put_member(w, member);
    free(member);
    buf_clear(&w->block);
    w->at = NULL;
    return rc;
}

/* The number of the head's table with this name and as many columns, or ntable. */
static size_t find_table(const struct dx_writer *w, const struct table *t)
{
    size_t i = 0;
    while (i < w->head->ntable &&
           (strcmp(w->head->table[i]->name, t->name) != 0 || w->head->table[i]->ncol != t->ncol))
        i++;
    return i;
}

static void count_change(struct dx_writer *w, size_t table, enum change_op op)
{
    struct dx_count *n = &w->count[table];
    *(op == CHANGE_INSERT ? &n->inserts : op == CHANGE_UPDATE ? &n->updates : &n->deletes) += 1;
    progress_rows(w->name, ++w->end.changes);
}

static int turn_to(struct dx_writer *w, const struct table *t)
{
    size_t i = find_table(w, t);
    if (i == w->head->ntable)
        return fail(ERR_REFUSED, "%s: table %s is not in the archive's head", w->name, t->name);
    changeset_put_table(&w->block, w->head->table[i], w->head->form);
    w->at = t;
    w->at_index = i;
    return 0;
}

/* Whether the last header in the block is of this layout; another one may have come to stand at its address. */
static bool same_table(const struct dx_writer *w, const struct table *t)
{
    return w->at == t && strcmp(w->head->table[w->at_index]->name, t->name) == 0;
}

static int turn_origin(struct dx_writer *w, const char *origin)
{
    if (*origin && !head_is_node(origin))
        return fail(ERR_REFUSED, "%s: origin '%.100s' is not the name of a node", w->name, origin);
    if (flush_block(w))
        return -1;
    dx_head_set(&w->origin, origin);
    return 0;
}

int dx_write(struct dx_writer *w, const struct change *c)
{
    const char *origin = c->origin ? c->origin : "";
    if (strcmp(origin, w->origin) != 0 && turn_origin(w, origin))
        return -1;
    if (w->block.n >= DX_BLOCK && flush_block(w))
        return -1;
    if (!same_table(w, c->table) && turn_to(w, c->table))
        return -1;
    if (dx_block_encode(&w->block, c, w->head->form))
        return -1;
    count_change(w, w->at_index, c->op);
    return 0;
}

int64_t dx_written(const struct dx_writer *w)
{
    return w->end.changes;
}

/* ---- shared blocks ---- */

int dx_write_block(struct dx_writer *w, const struct dx_block *b)
{
    size_t i = find_table(w, b->table);
    if (i == w->head->ntable)
        return fail(ERR_REFUSED, "%s: table %s is not in the archive's head", w->name, b->table->name);
    if (flush_block(w))
        return -1;
    char *member = next_member(w, "");
    int rc = put_frame(w, shared_frame_header(member, b->size));
    account(w, member, b->size, b->hex);
    free(member);
    size_t n;
    const uint8_t *frame = dxblock_frame(b, &w->block, &n); /* that is empty between two members */
    if (rc || frame == NULL || zst_write_frame(w->zst, frame, n, b->sum))
        return -1;
    w->count[i].inserts += b->count.inserts;
    w->count[i].updates += b->count.updates;
    w->count[i].deletes += b->count.deletes;
    w->end.changes += b->count.inserts + b->count.updates + b->count.deletes;
    return 0;
}

/* ---- the end ---- */

/* Forgets the archive; all it takes to write another one stays. */
static void forget(struct dx_writer *w)
{
    free(w->count);
    free(w->origin);
    free(w->name);
    w->count = NULL;
    w->origin = w->name = NULL;
    w->end = (struct dx_end){0};
    w->at = NULL;
    w->key = NULL;
    w->members = 0;
    buf_clear(&w->block);
    buf_clear(&w->list);
}

/* The signature of end.json, which is the block at hand. */
static int put_signature(struct dx_writer *w)
{
    struct buf b = {0};
    if (w->key == NULL)
        return 0;
    int rc = signature_make(w->key, w->block.p, w->block.n, &b) || tar_begin(w->tar, DX_SIGNATURE, b.n) ||
             tar_data(w->tar, b.p, b.n) || tar_end(w->tar);
    buf_free(&b);
    return rc ? -1 : 0;
}

int dx_writer_end(struct dx_writer *w, char digest[SHA_HEX])
{
    int rc = flush_block(w);
    sha_hex(w->list.p, w->list.n, w->end.sha256);
    memcpy(digest, w->end.sha256, SHA_HEX);
    head_put_end(&w->block, w->head, &w->end);
    rc = rc || put_json(w, "end.json", 0) || put_signature(w) || tar_finish(w->tar) || zst_seal(w->zst) ||
         flush_out(w);
    if (rc)
        return -1;
    forget(w);
    return 0;
}

int dx_writer_close(struct dx_writer *w)
{
    char digest[SHA_HEX];
    int rc = dx_writer_end(w, digest);
    dx_writer_abort(w);
    return rc;
}

void dx_writer_abort(struct dx_writer *w)
{
    if (w == NULL)
        return;
    forget(w);
    tar_writer_free(w->tar);
    zst_writer_free(w->zst);
    buf_free(&w->list);
    buf_free(&w->block);
    buf_free(&w->out);
    free(w);
}
