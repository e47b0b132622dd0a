/* changeset: see data/changeset.h. */
#include "data/changeset.h"

#include <string.h>

static const struct val none = {.type = VAL_NONE};

void changeset_put_table(struct buf *b, const struct table *t, enum changeset_form form)
{
    buf_byte(b, (uint8_t)form);
    wire_put_varint(b, t->ncol);
    buf_add(b, t->pk, t->ncol);
    buf_add(b, t->name, strlen(t->name) + 1);
}

static void put_record(struct buf *b, const struct val *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        val_put(b, &v[i]);
}

/* The old record of an update in full form: the key, and the old value, where it is known, of what new has. */
static void put_update_old(struct buf *b, const struct change *c)
{
    for (size_t i = 0; i < c->table->ncol; i++) {
        bool given = c->table->pk[i] || c->new[i].type != VAL_NONE;
        val_put(b, given ? &c->old[i] : &none);
    }
}

static void put_patch(struct buf *b, const struct change *c)
{
    for (size_t i = 0; i < c->table->ncol; i++) {
        if (c->table->pk[i])
            val_put(b, &c->old[i]);
        else if (c->op == CHANGE_UPDATE)
            val_put(b, &c->new[i]);
    }
}

void changeset_put_change(struct buf *b, const struct change *c, enum changeset_form form)
{
    buf_byte(b, (uint8_t)c->op);
    buf_byte(b, 0);
    if (c->op == CHANGE_INSERT)
        put_record(b, c->new, c->table->ncol);
    else if (form == CHANGESET_PATCH)
        put_patch(b, c);
    else if (c->op == CHANGE_DELETE)
        put_record(b, c->old, c->table->ncol);
    else {
        put_update_old(b, c);
        put_record(b, c->new, c->table->ncol);
    }
}

void changeset_get_table(struct wire *w, struct changeset_table *out)
{
    uint8_t form = wire_byte(w);
    uint64_t ncol = wire_varint(w);
    if (w->state == WIRE_OK &&
        ((form != CHANGESET_FULL && form != CHANGESET_PATCH) || ncol == 0 || ncol > CHANGESET_COLUMNS_MAX))
        w->state = WIRE_BAD;
    out->form = (enum changeset_form)form;
    out->ncol = (size_t)ncol;
    out->pk = wire_bytes(w, ncol);
    out->name = wire_text(w);
}

static void get_record(struct wire *w, struct val *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = val_get(w);
}

static void clear_record(struct val *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = none;
}

/* A patchset's record: the key goes to old, the rest (updates only) to new. */
static void get_patch(struct wire *w, struct change *c)
{
    for (size_t i = 0; i < c->table->ncol; i++) {
        c->old[i] = c->new[i] = none;
        if (c->table->pk[i])
            c->old[i] = val_get(w);
        else if (c->op == CHANGE_UPDATE)
            c->new[i] = val_get(w);
    }
}

/* Key values there, the key not changed by an update, at least one column given by an update. */
static bool sound(const struct change *c)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    bool given = c->op != CHANGE_UPDATE;
    for (size_t i = 0; i < c->table->ncol; i++) {
        if (c->table->pk[i] && row[i].type == VAL_NONE)
            return false;
        if (c->op == CHANGE_UPDATE && c->new[i].type != VAL_NONE) {
            given = true;
            if (c->table->pk[i])
                return false;
        }
    }
    return given;
}

void changeset_get_change(struct wire *w, enum changeset_form form, struct change *c)
{
    size_t n = c->table->ncol;
    uint8_t op = wire_byte(w);
    uint8_t indirect = wire_byte(w);
    c->op = (enum change_op)op;
    if (w->state == WIRE_OK &&
        (indirect > 1 || (op != CHANGE_INSERT && op != CHANGE_UPDATE && op != CHANGE_DELETE)))
        w->state = WIRE_BAD;
    if (w->state != WIRE_OK)
        return;
    if (op == CHANGE_INSERT) {
        clear_record(c->old, n);
        get_record(w, c->new, n);
    } else if (form == CHANGESET_PATCH)
        get_patch(w, c);
    else {
        get_record(w, c->old, n);
        if (op == CHANGE_UPDATE)
            get_record(w, c->new, n);
        else
            clear_record(c->new, n);
    }
    if (w->state == WIRE_OK && !sound(c))
        w->state = WIRE_BAD;
}
