/* dxwrite: the archive's writer (dx.h). */
#include "dx.h"

#include "dxhead.h"
#include "err.h"
#include "file.h"
#include "mem.h"
#include "progress.h"
#include "tar.h"
#include "zst.h"

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
    struct sha *sha, *list; /* of a member; of the lines of all members */
    struct dx_head head;    /* tables and form only */
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
    struct buf line = {0};
    buf_addf(&line, "%s  %s\n", hex, member);
    sha_add(w->list, line.p, line.n);
    w->end.bytes += (int64_t)n;
    buf_free(&line);
}

static int put_member(struct dx_writer *w, const char *member, const struct buf *b)
{
    char hex[SHA_HEX];
    sha_add(w->sha, b->p, b->n);
    sha_end(w->sha, hex);
    account(w, member, b->n, hex);
    if (tar_begin(w->tar, member, b->n) || tar_data(w->tar, b->p, b->n))
        return -1;
    return tar_end(w->tar);
}

struct dx_writer *dx_writer_open(int fd, const char *name, const struct dx_head *h, int level)
{
    struct dx_writer *w = mem_zero(1, sizeof *w);
    struct buf head = {0};
    w->fd = fd;
    w->name = mem_text(name);
    w->zst = zst_writer_new(level, to_file, w);
    w->tar = tar_writer_new(to_zst, w);
    w->sha = sha_new();
    w->list = sha_new();
    dx_head_init(&w->head, h->kind);
    w->head.form = h->form;
    for (size_t i = 0; i < h->ntable; i++)
        dx_head_add_table(&w->head, h->table[i]);
    w->count = mem_zero(h->ntable, sizeof *w->count);
    w->end.count = w->count;
    w->origin = mem_text("");
    int rc = dxhead_put(&head, name, h) || put_member(w, "dx.json", &head);
    buf_free(&head);
    if (rc) {
        dx_writer_abort(w);
        return NULL;
    }
    return w;
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
    int rc = put_member(w, member, &w->block);
    free(member);
    buf_clear(&w->block);
    w->at = NULL;
    return rc;
}

/* The number of the head's table with this name and as many columns, or ntable. */
static size_t find_table(const struct dx_writer *w, const struct table *t)
{
    size_t i = 0;
    while (i < w->head.ntable &&
           (strcmp(w->head.table[i]->name, t->name) != 0 || w->head.table[i]->ncol != t->ncol))
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
    if (i == w->head.ntable)
        return fail(ERR_REFUSED, "%s: table %s is not in the archive's head", w->name, t->name);
    changeset_put_table(&w->block, w->head.table[i], w->head.form);
    w->at = t;
    w->at_index = i;
    return 0;
}

/* Whether the last header in the block is of this layout; another one may have come to stand at its address. */
static bool same_table(const struct dx_writer *w, const struct table *t)
{
    return w->at == t && strcmp(w->head.table[w->at_index]->name, t->name) == 0;
}

static int turn_origin(struct dx_writer *w, const char *origin)
{
    if (*origin && !dxhead_is_node(origin))
        return fail(ERR_REFUSED, "%s: origin '%.100s' is not the name of a node", w->name, origin);
    if (flush_block(w))
        return -1;
    dx_head_set(&w->origin, origin);
    return 0;
}

static int too_large(const struct dx_writer *w, const char *which, size_t n)
{
    return fail(ERR_REFUSED, "%s: %s: a change of %zu bytes, %d MiB are the most an archive carries", w->name,
                which, n, DX_CHANGE_MAX >> 20);
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
    size_t start = w->block.n;
    changeset_put_change(&w->block, c, w->head.form);
    if (w->block.n - start > DX_CHANGE_MAX)
        return too_large(w, change_show(c), w->block.n - start);
    count_change(w, w->at_index, c->op);
    return 0;
}

int64_t dx_written(const struct dx_writer *w)
{
    return w->end.changes;
}

/* ---- shared blocks ---- */

struct extent {
    off_t at;
    size_t n;
};

struct dx_block {
    const struct table *table;
    enum changeset_form form;
    struct buf bytes, frame; /* as encoded; compressed, with the tar's padding */
    size_t size;
    struct dx_count count;
    char hex[SHA_HEX];
    uint8_t sum[SHA_BYTES]; /* of the frame */
    int fd;                 /* when spilled: where the frame is */
    off_t at;
    size_t length;
    bool spilled;
    struct extent *extent; /* bytes put aside, which stand before those in memory */
    size_t nextent, parked;
    size_t too_large; /* bytes of a change that no archive carries, 0 when there is none */
    char *which;      /* that one */
};

struct dx_block *dx_block_new(const struct table *t, enum changeset_form form)
{
    struct dx_block *b = mem_zero(1, sizeof *b);
    b->table = t;
    b->form = form;
    changeset_put_table(&b->bytes, t, form);
    return b;
}

void dx_block_add(struct dx_block *b, const struct change *c)
{
    size_t start = b->bytes.n;
    changeset_put_change(&b->bytes, c, b->form);
    if (b->bytes.n - start > DX_CHANGE_MAX && b->too_large == 0) {
        b->too_large = b->bytes.n - start;
        b->which = mem_text(change_show(c));
    }
    *(c->op == CHANGE_INSERT   ? &b->count.inserts
      : c->op == CHANGE_UPDATE ? &b->count.updates
                               : &b->count.deletes) += 1;
}

size_t dx_block_size(const struct dx_block *b)
{
    return b->parked + b->bytes.n;
}

size_t dx_block_memory(const struct dx_block *b)
{
    return b->bytes.room + b->frame.room;
}

static int read_back(int fd, uint8_t *into, size_t n, off_t at)
{
    return pread(fd, into, n, at) == (ssize_t)n ? 0 : fail_errno("temporary file: cannot read a block back");
}

/* Brings back what was put aside. */
static int unpark(struct dx_block *b)
{
    struct buf all = {0};
    int rc = 0;
    if (b->nextent == 0)
        return 0;
    buf_reserve(&all, b->parked + b->bytes.n);
    for (size_t i = 0; rc == 0 && i < b->nextent; all.n += b->extent[i++].n)
        rc = read_back(b->fd, all.p + all.n, b->extent[i].n, b->extent[i].at);
    buf_add(&all, b->bytes.p, b->bytes.n);
    buf_free(&b->bytes);
    b->bytes = all;
    b->nextent = b->parked = 0;
    return rc;
}

int dx_block_end(struct dx_block *b, int level)
{
    enum { RECORD = 512 };
    if (unpark(b))
        return -1;
    b->size = b->bytes.n;
    sha_hex(b->bytes.p, b->size, b->hex);
    size_t pad = (RECORD - b->size % RECORD) % RECORD;
    memset(buf_reserve(&b->bytes, pad), 0, pad);
    zst_frame(level, b->bytes.p, b->size + pad, &b->frame, b->sum);
    b->frame.p = mem_grow(b->frame.p, b->frame.n, 1); /* there was room for what cannot be compressed */
    b->frame.room = b->frame.n;
    buf_free(&b->bytes);
    return 0;
}

/* Appends to the temporary file. */
static int put_aside(int fd, const struct buf *bytes, off_t *at, const char *name)
{
    *at = lseek(fd, 0, SEEK_END);
    return *at < 0 ? fail_errno("%s: cannot seek", name) : file_write(fd, bytes->p, bytes->n, name);
}

int dx_block_park(struct dx_block *b, int fd, const char *name)
{
    if (b->bytes.n == 0)
        return 0;
    b->fd = fd;
    b->extent = mem_grow(b->extent, b->nextent + 1, sizeof *b->extent);
    struct extent *x = &b->extent[b->nextent++];
    x->n = b->bytes.n;
    int rc = put_aside(fd, &b->bytes, &x->at, name);
    b->parked += x->n;
    buf_free(&b->bytes);
    return rc;
}

int dx_block_spill(struct dx_block *b, int fd, const char *name)
{
    b->fd = fd;
    b->length = b->frame.n;
    int rc = put_aside(fd, &b->frame, &b->at, name);
    buf_free(&b->frame);
    b->spilled = true;
    return rc;
}

/* Copies a block's compressed bytes to the archive. */
static int put_frame(struct dx_writer *w, const struct dx_block *b)
{
    if (!b->spilled)
        return zst_write_frame(w->zst, b->frame.p, b->frame.n, b->sum);
    buf_clear(&w->block); /* empty, between two members */
    if (read_back(b->fd, buf_reserve(&w->block, b->length), b->length, b->at))
        return -1;
    return zst_write_frame(w->zst, w->block.p, b->length, b->sum);
}

void dx_block_free(struct dx_block *b)
{
    if (b == NULL)
        return;
    buf_free(&b->bytes);
    buf_free(&b->frame);
    free(b->extent);
    free(b->which);
    free(b);
}

int dx_write_block(struct dx_writer *w, const struct dx_block *b)
{
    size_t i = find_table(w, b->table);
    if (i == w->head.ntable)
        return fail(ERR_REFUSED, "%s: table %s is not in the archive's head", w->name, b->table->name);
    if (b->too_large)
        return too_large(w, b->which, b->too_large);
    if (flush_block(w))
        return -1;
    char *member = next_member(w, "");
    account(w, member, b->size, b->hex);
    int rc = tar_begin(w->tar, member, b->size) || put_frame(w, b) || tar_end_unsaid(w->tar);
    free(member);
    w->count[i].inserts += b->count.inserts;
    w->count[i].updates += b->count.updates;
    w->count[i].deletes += b->count.deletes;
    w->end.changes += b->count.inserts + b->count.updates + b->count.deletes;
    return rc ? -1 : 0;
}

/* ---- the end ---- */

int dx_writer_close(struct dx_writer *w)
{
    char digest[SHA_HEX];
    return dx_writer_end(w, digest);
}

int dx_writer_end(struct dx_writer *w, char digest[SHA_HEX])
{
    struct buf end = {0};
    int rc = flush_block(w);
    sha_end(w->list, w->end.sha256);
    memcpy(digest, w->end.sha256, SHA_HEX);
    dxhead_put_end(&end, &w->head, &w->end);
    rc = rc || put_member(w, "end.json", &end) || tar_finish(w->tar) || zst_seal(w->zst) || flush_out(w);
    buf_free(&end);
    dx_writer_abort(w);
    return rc ? -1 : 0;
}

void dx_writer_abort(struct dx_writer *w)
{
    if (w == NULL)
        return;
    tar_writer_free(w->tar);
    zst_writer_free(w->zst);
    sha_free(w->sha);
    sha_free(w->list);
    dx_head_free(&w->head);
    buf_free(&w->block);
    buf_free(&w->out);
    free(w->count);
    free(w->origin);
    free(w->name);
    free(w);
}
