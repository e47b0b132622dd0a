/* planfile: see compare/planfile.h. */
#include "compare/planfile.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/diffout.h"
#include "sql/changekey.h"

#include <stdio.h>
#include <stdlib.h>

enum { HASH_BYTES = 16 };

struct writing {
    struct work *work;
    struct diff_out *out;
    struct table **keys; /* per object */
    int side;
};

static struct table *keys_of(const struct spec *s)
{
    char **name = mem_zero(s->nchange, sizeof *name);
    for (size_t i = 0; i < s->nchange; i++)
        name[i] = s->row->col[s->change[i]];
    struct changekey *by = changekey_new(s->row, s->nchange, name);
    struct table *t = by ? changekey_table(by, s->row) : NULL;
    changekey_free(by);
    free(name);
    return t;
}

/* Key and change key of a side, in row; hex holds a hash. False where the side has no row. */
static bool key_of(const struct spec *s, const struct item *i, int side, struct val *row, char *hex)
{
    const struct val *v = &i->version[side];
    if (v->type != VAL_BLOB)
        return false;
    for (size_t k = 0; k < s->row->nkey; k++)
        row[k] = i->key[k];
    if (s->nchange == 0) {
        for (size_t k = 0; k < HASH_BYTES && k < v->n; k++)
            snprintf(hex + 2 * k, 3, "%02x", ((const uint8_t *)v->p)[k]);
        row[s->row->nkey] = val_text(hex);
        return true;
    }
    struct wire w = wire_over(v->p, v->n);
    for (size_t k = 0; k < s->nchange; k++)
        row[s->row->nkey + k] = val_get(&w);
    return w.state == WIRE_OK;
}

static int write_one(void *ctx, struct item *i)
{
    struct writing *w = ctx;
    const struct spec *s = &w->work->specs->spec[i->object];
    size_t n = w->keys[i->object]->ncol;
    char hex[SIDES][2 * HASH_BYTES + 1] = {"", ""};
    struct val *row = mem_zero(2 * n, sizeof *row);
    if (i->out || i->fresh[w->side]) {
        free(row);
        return fail(ERR_REFUSED, "%s %s: a plan of keys cannot say it; use syncdiff sync", s->name,
                    vals_show(i->key, s->row->nkey));
    }
    bool here = key_of(s, i, w->side, row, hex[0]), there = key_of(s, i, !w->side, row + n, hex[1]);
    int rc =
        diff_out_add(w->out, w->keys[i->object], i->op[w->side], here ? row : NULL, there ? row + n : NULL);
    free(row);
    return rc;
}

int planfile_write(struct work *work, int side, const char *path)
{
    const struct specs *specs = work->specs;
    struct writing w = {.work = work,
                        .side = side,
                        .out = diff_out_new(path, false),
                        .keys = mem_zero(specs->n, sizeof *w.keys)};
    char *condition = mem_printf("op%d <> 0 ORDER BY id", side);
    int rc = 0;
    for (size_t i = 0; i < specs->n && rc == 0; i++) {
        if (specs->spec[i].by_column && specs->spec[i].nchange == 0)
            rc = fail(ERR_REFUSED, "%s: fields = changed: a plan of keys cannot say it; use syncdiff sync",
                      specs->spec[i].name);
        rc = rc || (w.keys[i] = keys_of(&specs->spec[i])) == NULL ? -1 : 0;
    }
    if (rc == 0)
        rc = diff_out_begin(w.out, (const struct table *const *)w.keys, specs->n);
    if (rc == 0)
        rc = work_each(work, write_one, &w, condition);
    if (diff_out_close(w.out, rc == 0))
        rc = -1;
    for (size_t i = 0; i < specs->n; i++)
        table_free(w.keys[i]);
    free(w.keys);
    free(condition);
    return rc;
}
