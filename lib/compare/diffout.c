/* diffout: see compare/diffout.h. */
#include "compare/diffout.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct diff_out {
    char *path;
    bool even_empty;
    struct file_new *file;
    struct dx_head head;
    struct dx_writer *writer;
    struct val *old, *new;
};

struct diff_out *diff_out_new(const char *path, bool even_empty)
{
    struct diff_out *o = mem_zero(1, sizeof *o);
    o->path = mem_text(path);
    o->even_empty = even_empty;
    return o;
}

int diff_out_begin(struct diff_out *o, const struct table *const *table, size_t n)
{
    if (o->path == NULL)
        return 0;
    size_t widest = 0;
    dx_head_init(&o->head, DX_KEYS);
    for (size_t i = 0; i < n; i++) {
        dx_head_add_table(&o->head, table[i]);
        widest = table[i]->ncol > widest ? table[i]->ncol : widest;
    }
    o->old = mem_zero(widest, sizeof *o->old);
    o->new = mem_zero(widest, sizeof *o->new);
    o->file = file_new_open(o->path);
    o->writer = o->file ? dx_writer_open(file_new_fd(o->file), o->path, &o->head, DX_LEVEL_PIPE) : NULL;
    return o->writer ? 0 : -1;
}

int diff_out_add(struct diff_out *o, const struct table *keys, enum change_op op, const struct val *before,
                 const struct val *after)
{
    static const struct val none = {.type = VAL_NONE};
    if (o->writer == NULL)
        return 0;
    for (size_t i = 0; i < keys->ncol; i++) {
        o->old[i] = op == CHANGE_INSERT ? none : before[i];
        o->new[i] = op == CHANGE_DELETE || (op == CHANGE_UPDATE && keys->pk[i]) ? none : after[i];
    }
    struct change c = {.table = keys, .op = op, .old = o->old, .new = o->new};
    return dx_write(o->writer, &c);
}

static int finish(struct diff_out *o)
{
    bool wanted = o->even_empty || dx_written(o->writer) > 0;
    int rc = dx_writer_close(o->writer);
    o->writer = NULL;
    if (rc == 0 && wanted) {
        rc = file_new_commit(o->file);
        o->file = NULL;
    } else if (rc == 0 && unlink(o->path) && errno != ENOENT)
        rc = fail_errno("%s: cannot remove", o->path);
    return rc;
}

int diff_out_close(struct diff_out *o, bool keep)
{
    int rc = keep && o->writer ? finish(o) : 0;
    dx_writer_abort(o->writer);
    file_new_abort(o->file);
    dx_head_free(&o->head);
    free(o->old);
    free(o->new);
    free(o->path);
    free(o);
    return rc;
}
