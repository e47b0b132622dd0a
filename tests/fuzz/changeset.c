/*
 * changeset: the decoder of SQLite's changeset and patchset formats, over bytes as they come. What it decodes is
 * encoded again, and that must decode to the same change: decoder and encoder agree on every change there is.
 */
#include "data/changeset.h"
#include "base/mem.h"
#include "target.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = 40 };

struct values {
    struct val old[COLUMNS], new[COLUMNS];
};

/* A layout for the header, with made-up column names; NULL when it is none that an archive could have. */
static struct table *layout(const struct changeset_table *header)
{
    char names[COLUMNS][24];
    const char *name[COLUMNS];
    unsigned places = 0, keys = 0;

    if (header->ncol == 0 || header->ncol > COLUMNS)
        return NULL;
    for (size_t i = 0; i < header->ncol; i++) {
        snprintf(names[i], sizeof names[i], "c%zu", i);
        name[i] = names[i];
        /* The key's places are 1 to their number, each once; so says dx.json, where layouts come from. */
        if (header->pk[i] > 31 || (header->pk[i] && (places & 1u << header->pk[i])))
            return NULL;
        if (header->pk[i])
            places |= 1u << header->pk[i], keys++;
    }
    if (keys == 0 || places != (1u << (keys + 1)) - 2)
        return NULL;
    return table_new(header->name, header->ncol, name, header->pk);
}

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz changeset: %s\n", what);
    abort();
}

/* Old values are the same, but that the encoder writes NULL for one not told of a column that changed, and leaves
 * out one of a column that did not. */
static bool same_old(const struct change *c, const struct change *d, size_t i)
{
    if (c->op == CHANGE_UPDATE && !c->table->pk[i] && c->new[i].type == VAL_NONE)
        return d->old[i].type == VAL_NONE;
    if (c->op == CHANGE_UPDATE && c->old[i].type == VAL_NONE && c->new[i].type != VAL_NONE)
        return d->old[i].type == VAL_NULL || d->old[i].type == VAL_NONE;
    return val_same(&c->old[i], &d->old[i]);
}

static void round_trip(const struct change *c, enum changeset_form form)
{
    struct values again;
    struct change d = {.table = c->table, .old = again.old, .new = again.new};
    struct buf bytes = {0};

    changeset_put_change(&bytes, c, form);
    struct wire w = wire_over(bytes.p, bytes.n);
    changeset_get_change(&w, form, &d);
    require(w.state == WIRE_OK && w.p == w.end, "what was encoded does not decode");
    require(d.op == c->op, "another operation after a round trip");
    for (size_t i = 0; i < c->table->ncol; i++) {
        require(same_old(c, &d, i), "another old value after a round trip");
        require(val_same(&c->new[i], &d.new[i]), "another new value after a round trip");
    }
    buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire w = wire_over(data, size);
    struct table *t = NULL;
    struct changeset_table header = {0};
    struct values v;

    while (w.state == WIRE_OK && w.p < w.end) {
        if (*w.p == CHANGESET_FULL || *w.p == CHANGESET_PATCH) {
            table_free(t);
            t = NULL;
            changeset_get_table(&w, &header);
            if (w.state != WIRE_OK || (t = layout(&header)) == NULL)
                break;
        } else if (t == NULL) {
            break;
        } else {
            struct change c = {.table = t, .old = v.old, .new = v.new};

            changeset_get_change(&w, header.form, &c);
            if (w.state == WIRE_OK)
                round_trip(&c, header.form);
        }
    }
    table_free(t);
    return 0;
}
