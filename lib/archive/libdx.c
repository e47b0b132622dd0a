/* libdx: see archive/libdx.h. */
#include "archive/libdx.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct libdx {
    struct dx_reader *reader;
    const struct dx_head *head; /* of the archive at hand, or NULL */
    struct change change;       /* of the row at hand */
    bool row, ended;
};

libdx *libdx_open(int fd, const char *name)
{
    struct dx_reader *r = dx_reader_open(fd, name);
    if (r == NULL)
        return NULL;
    libdx *x = mem_zero(1, sizeof *x);
    x->reader = r;
    return x;
}

void libdx_close(libdx *x)
{
    if (x == NULL)
        return;
    dx_reader_close(x->reader);
    free(x);
}

int libdx_next(libdx *x)
{
    x->head = NULL;
    x->row = x->ended = false;
    return dx_next(x->reader, &x->head);
}

const char *libdx_head_text(const libdx *x, const char *name)
{
    const struct dx_head *h = x->head;
    if (h == NULL)
        return NULL;
    const struct {
        const char *name, *value;
    } texts[] = {{"kind", dx_kind_name(h->kind)},
                 {"from", h->from},
                 {"to", h->to},
                 {"epoch", h->epoch},
                 {"package", h->package}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0)
            return texts[i].value;
    return NULL;
}

int64_t libdx_head_number(const libdx *x, const char *name)
{
    const struct dx_head *h = x->head;
    if (h == NULL)
        return -1;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"number", h->number},
                   {"after", h->after},
                   {"upto", h->upto},
                   {"ack", h->ack},
                   {"applied", h->applied}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i].name) == 0)
            return numbers[i].value;
    return -1;
}

int libdx_row(libdx *x)
{
    if (x->head == NULL)
        return fail(ERR_USAGE, "no archive: libdx_next comes first");
    if (x->ended)
        return 0;
    int got = dx_read(x->reader, &x->change);
    x->row = got == 1;
    x->ended = got == 0;
    return got;
}

const char *libdx_table(const libdx *x)
{
    return x->row ? x->change.table->name : NULL;
}

const char *libdx_op(const libdx *x)
{
    return x->row ? change_op_name(x->change.op) : NULL;
}

const char *libdx_origin(const libdx *x)
{
    return x->row ? x->change.origin : NULL;
}

size_t libdx_columns(const libdx *x)
{
    return x->row ? x->change.table->ncol : 0;
}

const char *libdx_column(const libdx *x, size_t i)
{
    return i < libdx_columns(x) ? x->change.table->col[i] : NULL;
}

int libdx_key(const libdx *x, size_t i)
{
    return i < libdx_columns(x) ? x->change.table->pk[i] : 0;
}

static const struct val *value(const libdx *x, enum libdx_side side, size_t i)
{
    static const struct val none = {.type = VAL_NONE};
    const struct val *row = side == LIBDX_OLD ? x->change.old : x->change.new;
    bool has_row = side == LIBDX_OLD ? x->change.op != CHANGE_INSERT : x->change.op != CHANGE_DELETE;
    return i < libdx_columns(x) && has_row ? &row[i] : &none;
}

enum libdx_type libdx_type_of(const libdx *x, enum libdx_side side, size_t i)
{
    switch (value(x, side, i)->type) {
    case VAL_INT:
        return LIBDX_INT;
    case VAL_REAL:
        return LIBDX_REAL;
    case VAL_TEXT:
        return LIBDX_TEXT;
    case VAL_BLOB:
        return LIBDX_BLOB;
    case VAL_NULL:
        return LIBDX_NULL;
    default:
        return LIBDX_NONE;
    }
}

int64_t libdx_int(const libdx *x, enum libdx_side side, size_t i)
{
    const struct val *v = value(x, side, i);
    return v->type == VAL_INT ? v->i : 0;
}

double libdx_real(const libdx *x, enum libdx_side side, size_t i)
{
    const struct val *v = value(x, side, i);
    return v->type == VAL_REAL ? v->r : 0;
}

const void *libdx_bytes(const libdx *x, enum libdx_side side, size_t i, size_t *n)
{
    const struct val *v = value(x, side, i);
    bool bytes = v->type == VAL_TEXT || v->type == VAL_BLOB;
    *n = bytes ? v->n : 0;
    return bytes ? v->p : NULL;
}

int libdx_verify(libdx *x)
{
    int got;
    while ((got = libdx_row(x)) == 1)
        continue;
    return got;
}

const char *libdx_digest(const libdx *x)
{
    return x->ended ? dx_end(x->reader)->sha256 : "";
}

const char *libdx_error(void)
{
    return err_message();
}
