/* repack: see archive/repack.h. */
#include "archive/repack.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Adds the tables of one head to another's. What both have must be the same. */
static int add_tables(struct dx_head *all, const struct dx_head *h, const char *name)
{
    for (size_t i = 0; i < h->ntable; i++) {
        const struct table *known = dx_head_table(all, h->table[i]->name);
        if (known == NULL)
            dx_head_add_table(all, h->table[i]);
        else if (!table_same(known, h->table[i]))
            return fail(ERR_REFUSED,
                        "%s: table %s has other columns, or another key, than in the archive before", name,
                        known->name);
    }
    return 0;
}

static void copy_texts(struct dx_head *to, const struct dx_head *from)
{
    dx_head_set(&to->from, from->from);
    dx_head_set(&to->to, from->to);
    dx_head_set(&to->epoch, from->epoch);
    dx_head_set(&to->package, from->package);
    dx_head_set(&to->continues, from->continues);
    dx_head_set(&to->follows, from->follows);
}

/* ---- join ---- */

static int joinable(const struct dx_head *h, const char *name)
{
    if (h->kind != DX_CHANGES || h->nschema)
        return fail(ERR_REFUSED, "%s: %s: only logs of changes can be joined", name, dx_kind_name(h->kind));
    if (h->number)
        return fail(
            ERR_REFUSED,
            "%s: number %lld of a row: each is applied by itself; put them one behind the other: cat A B",
            name, (long long)h->number);
    return 0;
}

static int follows(const struct dx_head *all, const struct dx_head *h, const char *name)
{
    if (strcmp(all->from, h->from) != 0 || strcmp(all->to, h->to) != 0 || strcmp(all->epoch, h->epoch) != 0 ||
        strcmp(all->package, h->package) != 0 || all->form != h->form)
        return fail(ERR_REFUSED,
                    "%s: another sender, receiver, epoch, package or encoding than the archive before", name);
    if (h->after != all->upto)
        return fail(ERR_REFUSED,
                    "%s: goes on after %lld, but the archive before ends at %lld; something is missing", name,
                    (long long)h->after, (long long)all->upto);
    return 0;
}

/* Reads one input to its end, adding to what is known of all. *any: a head was read before. */
static int survey(struct dx_head *all, bool *any, const struct repack_input *in)
{
    const struct dx_head *h;
    struct dx_reader *r = dx_reader_open(in->fd, in->name);
    int got;
    while ((got = dx_next(r, &h)) > 0) {
        if (joinable(h, in->name) || (*any && follows(all, h, in->name)) || add_tables(all, h, in->name) ||
            dx_skip(r)) {
            got = -1;
            break;
        }
        if (!*any) {
            copy_texts(all, h);
            all->form = h->form;
            all->after = h->after;
        }
        all->upto = h->upto;
        *any = true;
    }
    dx_reader_close(r);
    return got;
}

static int copy_changes(struct dx_writer *w, const struct repack_input *in)
{
    const struct dx_head *h;
    struct dx_reader *r = dx_reader_open(in->fd, in->name);
    int got;
    while ((got = dx_next(r, &h)) > 0) {
        struct change c;
        while ((got = dx_read(r, &c)) > 0)
            if (dx_write(w, &c)) {
                got = -1;
                break;
            }
        if (got < 0)
            break;
    }
    dx_reader_close(r);
    return got;
}

static int write_joined(const struct repack_input *in, size_t n, const struct dx_head *all, int out,
                        int level)
{
    struct dx_writer *w = dx_writer_open(out, "stdout", all, level);
    if (w == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (copy_changes(w, &in[i])) {
            dx_writer_abort(w);
            return -1;
        }
    return dx_writer_close(w);
}

int repack_join(const struct repack_input *in, size_t n, int out, int level)
{
    struct repack_input *again = mem_zero(n, sizeof *again);
    off_t *start = mem_zero(n, sizeof *start);
    struct dx_head all;
    bool any = false;
    int rc = 0;
    dx_head_init(&all, DX_CHANGES);
    for (size_t i = 0; i < n && rc == 0; i++) {
        again[i] = (struct repack_input){spool_of(in[i].fd, in[i].name, &start[i]), in[i].name};
        rc = again[i].fd < 0 || survey(&all, &any, &again[i]) ? -1 : 0;
    }
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = spool_seek(again[i].fd, start[i], again[i].name);
    if (rc == 0)
        rc = write_joined(again, n, &all, out, level);
    for (size_t i = 0; i < n; i++)
        if (again[i].name && again[i].fd >= 0 && again[i].fd != in[i].fd)
            close(again[i].fd);
    dx_head_free(&all);
    free(again);
    free(start);
    return rc;
}

/* ---- invert ---- */

/* Changes as they came, in blocks of about DX_BLOCK on a spool: each the number of its table, its origin with a NUL,
 * and its changeset encoding. */
struct reversal {
    struct dx_head head; /* the tables of all archives */
    int spool;
    struct buf block;
    size_t nblock;
    off_t *end; /* of each block on the spool */
};

static int flush_block(struct reversal *v)
{
    if (v->block.n == 0)
        return 0;
    v->end = mem_grow(v->end, v->nblock + 1, sizeof *v->end);
    v->end[v->nblock] = (v->nblock ? v->end[v->nblock - 1] : 0) + (off_t)v->block.n;
    v->nblock++;
    int rc = file_write(v->spool, v->block.p, v->block.n, "temporary file");
    buf_clear(&v->block);
    return rc;
}

static int keep_change(struct reversal *v, const struct change *c)
{
    size_t t = 0;
    while (strcmp(v->head.table[t]->name, c->table->name) != 0)
        t++;
    wire_put_varint(&v->block, t);
    buf_add(&v->block, c->origin, strlen(c->origin) + 1);
    changeset_put_change(&v->block, c, CHANGESET_FULL);
    return v->block.n >= DX_BLOCK ? flush_block(v) : 0;
}

/* Whether a change tells all that its inverse needs: an update's old value of each new one, a deleted row. */
static bool tells_all(const struct change *c)
{
    for (size_t i = 0; c->op != CHANGE_INSERT && i < c->table->ncol; i++)
        if (c->old[i].type == VAL_NONE && (c->op == CHANGE_DELETE || c->new[i].type != VAL_NONE))
            return false;
    return true;
}

static int invertible(const struct dx_head *h, const char *name)
{
    if (h->kind != DX_CHANGES && h->kind != DX_UPLOAD)
        return fail(ERR_REFUSED, "%s: %s: nothing in it can be taken back", name, dx_kind_name(h->kind));
    if (h->form != CHANGESET_FULL)
        return fail(ERR_REFUSED,
                    "%s: has no old values, so it cannot be taken back; `dxapply --undo` can write "
                    "what does",
                    name);
    return 0;
}

static int keep_all(struct reversal *v, struct dx_reader *r, const char *name)
{
    const struct dx_head *h;
    struct change c;
    int got;
    while ((got = dx_next(r, &h)) > 0) {
        if (invertible(h, name) || add_tables(&v->head, h, name))
            return -1;
        dx_head_set(&v->head.from, h->from);
        while ((got = dx_read(r, &c)) > 0)
            if (!tells_all(&c))
                return fail(ERR_REFUSED, "%s: %s: %s tells not all old values, so it cannot be taken back",
                            name, dx_member(r), change_show(&c));
            else if (keep_change(v, &c))
                return -1;
        if (got < 0)
            return -1;
    }
    return got ? -1 : flush_block(v);
}

/* Reads what keep_change wrote; old and new have room for the widest table. */
static void get_kept(const struct reversal *v, struct wire *w, struct change *c)
{
    const struct table *t = v->head.table[wire_varint(w)];
    const char *origin = wire_text(w);
    *c = (struct change){.table = t, .origin = origin, .old = c->old, .new = c->new};
    changeset_get_change(w, CHANGESET_FULL, c);
}

/* Writes the changes of the block at hand, the last first. */
static int write_block(const struct reversal *v, struct dx_writer *out, struct val *old, struct val *new)
{
    struct wire w = wire_over(v->block.p, v->block.n);
    struct change c = {.old = old, .new = new};
    size_t n = 0, *start = NULL;
    int rc = 0;
    while (w.p < w.end) {
        start = mem_grow(start, n + 1, sizeof *start);
        start[n++] = (size_t)(w.p - v->block.p);
        get_kept(v, &w, &c);
    }
    while (n-- > 0 && rc == 0) {
        w = wire_over(v->block.p + start[n], v->block.n - start[n]);
        c = (struct change){.old = old, .new = new};
        get_kept(v, &w, &c);
        change_invert(&c);
        rc = dx_write(out, &c);
    }
    free(start);
    return rc;
}

static int load_block(struct reversal *v, size_t b)
{
    off_t from = b ? v->end[b - 1] : 0;
    size_t n = (size_t)(v->end[b] - from);
    buf_clear(&v->block);
    if (spool_seek(v->spool, from, "temporary file"))
        return -1;
    ssize_t got = file_read(v->spool, buf_reserve(&v->block, n), n, "temporary file");
    if (got != (ssize_t)n)
        return got < 0 ? -1 : fail(ERR_SYSTEM, "temporary file: cut off");
    v->block.n = n;
    return 0;
}

static int write_reversed(struct reversal *v, int out, int level)
{
    size_t width = 1;
    for (size_t i = 0; i < v->head.ntable; i++)
        width = v->head.table[i]->ncol > width ? v->head.table[i]->ncol : width;
    struct val *old = mem_zero(width, sizeof *old), *new = mem_zero(width, sizeof *new);
    struct dx_writer *w = dx_writer_open(out, "stdout", &v->head, level);
    int rc = w ? 0 : -1;
    for (size_t b = v->nblock; b-- > 0 && rc == 0;)
        rc = load_block(v, b) || write_block(v, w, old, new) ? -1 : 0;
    if (rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    free(old);
    free(new);
    return rc;
}

int repack_invert(const struct repack_input *in, int out, int level)
{
    struct reversal v = {.spool = spool_new()};
    dx_head_init(&v.head, DX_CHANGES);
    struct dx_reader *r = dx_reader_open(in->fd, in->name);
    int rc = v.spool < 0 || keep_all(&v, r, in->name) || write_reversed(&v, out, level);
    dx_reader_close(r);
    if (v.spool >= 0)
        close(v.spool);
    buf_free(&v.block);
    free(v.end);
    dx_head_free(&v.head);
    return rc ? -1 : 0;
}
