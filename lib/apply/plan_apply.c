/* plan_apply: see apply/plan_apply.h. */
#include "apply/plan_apply.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "sql/changekey.h"

#include <stdlib.h>
#include <string.h>

/* The tables of the archive whose rows tell a hash: the hash of a row that is here. */
struct rows_hash {
    const struct table *from;
    struct changekey *by;
    int *column;     /* the archive's columns in the target */
    struct val *row; /* the target's row in the archive's columns */
};

struct plan_apply {
    size_t n;
    struct rows_hash *hash; /* per table of the head; by NULL: its change key is columns */
};

static int begin_hash(struct apply_context *w, struct rows_hash *h, const struct table *from)
{
    h->from = from;
    if (!changekey_is_hash(from->col[from->ncol - 1]))
        return 0;
    struct target *t = targets_for(&w->targets, from);
    h->by = t ? changekey_of_rows(from) : NULL;
    if (h->by == NULL)
        return -1;
    h->column = table_map(from, t->table);
    h->row = mem_zero(from->ncol, sizeof *h->row);
    for (size_t i = 0; i + 1 < from->ncol; i++)
        if (h->column[i] < 0)
            return fail(ERR_REFUSED,
                        "%s: table %s has no column %s, so its rows cannot be compared with those sent",
                        w->name, from->name, from->col[i]);
    return 0;
}

int plan_apply_begin(struct apply_context *w)
{
    if (w->head->form != CHANGESET_FULL)
        return fail(ERR_REFUSED, "%s: an archive of rows must tell old values", w->name);
    int present = meta_present(w->db);
    if (present < 0 || change_log_begin(&w->effect, w->db, present, w->options->undo != NULL))
        return -1;
    w->leave = true;
    w->rows = mem_zero(1, sizeof *w->rows);
    w->rows->n = w->head->ntable;
    w->rows->hash = mem_zero(w->rows->n, sizeof *w->rows->hash);
    for (size_t i = 0; i < w->rows->n; i++)
        if (begin_hash(w, &w->rows->hash[i], w->head->table[i]))
            return -1;
    return 1;
}

int plan_apply_end(struct apply_context *w)
{
    (void)w;
    return 0;
}

void plan_apply_free(struct plan_apply *r)
{
    for (size_t i = 0; r && i < r->n; i++) {
        changekey_free(r->hash[i].by);
        free(r->hash[i].column);
        free(r->hash[i].row);
    }
    if (r)
        free(r->hash);
    free(r);
}

/* ---- one row ---- */

static struct rows_hash *hash_of(struct apply_context *w, const struct table *from)
{
    size_t i = 0;
    while (w->rows->hash[i].from != from)
        i++;
    return &w->rows->hash[i];
}

/* The hash of the row in t->now. */
static struct val hash_now(struct rows_hash *h, const struct target *t)
{
    struct val hash;
    for (size_t i = 0; i + 1 < h->from->ncol; i++)
        h->row[i] = t->now[h->column[i]];
    changekey_get(h->by, h->row, &hash);
    return hash;
}

/* Whether the row in t->now has the change key that one side of the change tells: of the old side, what must still
 * stand; of the new side, in the same columns, what is to come. */
static bool has_change_key(struct apply_context *w, const struct target *t, const struct change *c, bool new)
{
    const struct change *read = &w->read;
    struct rows_hash *h = hash_of(w, read->table);
    if (h->by) {
        struct val now = hash_now(h, t);
        return val_same(&now, &(new ? read->new : read->old)[read->table->ncol - 1]);
    }
    bool compared = false;
    for (size_t i = 0; i < t->table->ncol; i++) {
        if (t->table->pk[i] || c->old[i].type == VAL_NONE)
            continue;
        compared = true;
        if (!val_same(&(new ? c->new : c->old)[i], &t->now[i]))
            return false;
    }
    return compared;
}

/* The change as the journal wants it: only what differs, with its old values. Whether anything is left. */
static bool only_differences(const struct target *t, struct change *c)
{
    bool any = false;
    for (size_t i = 0; i < t->table->ncol; i++) {
        if (t->table->pk[i])
            continue;
        if (c->new[i].type != VAL_NONE && val_same(&c->new[i], &t->now[i]))
            c->new[i].type = VAL_NONE;
        c->old[i] = t->now[i];
        if (c->new[i].type == VAL_NONE)
            c->old[i].type = VAL_NONE;
        any |= c->new[i].type != VAL_NONE;
    }
    return any;
}

static bool same_row(const struct target *t, const struct change *c)
{
    for (size_t i = 0; i < t->table->ncol; i++)
        if (c->new[i].type != VAL_NONE && !val_same(&c->new[i], &t->now[i]))
            return false;
    return true;
}

static int leave(struct apply_context *w)
{
    w->count->left++;
    return 0;
}

int plan_apply_one(struct apply_context *w, struct target *t, struct change *c)
{
    int there = target_row(t, c, NULL);
    if (there < 0)
        return -1;
    if (c->op == CHANGE_INSERT)
        return !there ? apply_change(w, t, c) : same_row(t, c) ? 0 : leave(w);
    if (!there)
        return c->op == CHANGE_DELETE ? 0 : leave(w);
    if (!has_change_key(w, t, c, false))
        return c->op == CHANGE_UPDATE && has_change_key(w, t, c, true) ? 0 : leave(w);
    if (c->op == CHANGE_UPDATE)
        return only_differences(t, c) ? apply_change(w, t, c) : 0;
    memcpy(c->old, t->now, t->table->ncol * sizeof *c->old);
    return apply_change(w, t, c);
}
