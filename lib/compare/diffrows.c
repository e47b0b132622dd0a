/* diffrows: see compare/diffrows.h. */
#include "compare/diffrows.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/diffside.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

static int put_keys(struct diff_side *side, const struct table *t, struct dx_writer *w)
{
    const struct val *row;
    struct val *old = mem_zero(t->ncol, sizeof *old), *new = mem_zero(t->ncol, sizeof *new);
    struct change c = {.table = t, .op = CHANGE_INSERT, .old = old, .new = new};
    int got = diff_side_begin(side, t->name) ? -1 : 1;
    while (got > 0 && (got = diff_side_next(side, &row)) > 0) {
        memcpy(new, row, t->ncol * sizeof *row);
        if (dx_write(w, &c))
            got = -1;
    }
    free(old);
    free(new);
    return got;
}

int diff_keys(const char *path, const struct conf *conf, int fd, const char *name,
              void (*left_out)(const char *line))
{
    struct diff_side *side = diff_side_open(path, conf);
    size_t nleft;
    if (side == NULL)
        return -1;
    char *const *line = diff_side_left_out(side, &nleft);
    for (size_t i = 0; i < nleft; i++)
        left_out(line[i]);
    struct dx_head head;
    dx_head_init(&head, DX_KEYS);
    for (size_t i = 0; i < diff_side_tables(side); i++)
        dx_head_add_table(&head, diff_side_table(side, i));
    struct dx_writer *w = dx_writer_open(fd, name, &head, DX_LEVEL_PIPE);
    int rc = w ? 0 : -1;
    for (size_t i = 0; i < head.ntable && rc == 0; i++)
        rc = put_keys(side, diff_side_table(side, i), w);
    if (rc == 0)
        rc = diff_side_finish(side);
    if (rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    dx_head_free(&head);
    diff_side_close(side);
    return rc == 0 && nleft > 0 ? 1 : rc;
}

/* ---- rows ---- */

/* One table of the plan, with what fetches its rows. */
struct fetch {
    struct table *out; /* as the archive of rows has it */
    const struct diff_object *object;
    struct changekey *by;
    struct stmt *select;
    struct val *row, *change_key, *old, *new;
};

static struct table *rows_table(const struct diff_object *o, const struct changekey *by)
{
    size_t n = o->row->ncol;
    const char **col = mem_zero(n + 1, sizeof *col);
    uint8_t *pk = mem_zero(n + 1, 1);
    for (size_t i = 0; i < n; i++) {
        col[i] = o->row->col[i];
        pk[i] = o->row->pk[i];
    }
    col[n] = by->name[0];
    struct table *t = table_new(o->row->name, n + by->hashed, col, pk);
    free(col);
    free(pk);
    return t;
}

static bool same_key(const struct table *a, const struct table *b)
{
    bool same = a->nkey == b->nkey;
    for (size_t i = 0; same && i < a->nkey; i++)
        same = strcmp(a->col[i], b->col[i]) == 0;
    return same;
}

static int begin_fetch(struct fetch *f, struct db *db, const struct diff_set *set, const struct table *plan)
{
    struct buf sql = {0};
    f->object = diff_set_object(set, plan->name);
    if (f->object == NULL)
        return fail(ERR_REFUSED, "%s: no table %s with a key; is this the database the plan was made for?",
                    db_path(db), plan->name);
    f->by = changekey_of_keys(plan, f->object->row);
    if (f->by == NULL)
        return -1;
    if (!same_key(plan, f->object->keys))
        return fail(ERR_REFUSED, "%s: table %s has another key than the plan says", db_path(db), plan->name);
    f->out = rows_table(f->object, f->by);
    f->row = mem_zero(f->out->ncol, sizeof *f->row);
    f->old = mem_zero(f->out->ncol, sizeof *f->old);
    f->new = mem_zero(f->out->ncol, sizeof *f->new);
    f->change_key = mem_zero(f->by->n, sizeof *f->change_key);
    diff_object_select(f->object, &sql);
    buf_puts(&sql, " WHERE ");
    layout_where_key(&sql, f->object->row, 1);
    f->select = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return f->select ? 0 : -1;
}

static void end_fetch(struct fetch *f)
{
    stmt_free(f->select);
    changekey_free(f->by);
    table_free(f->out);
    free(f->row);
    free(f->old);
    free(f->new);
    free(f->change_key);
}

/* The row as it is now: 1, 0 when it is not there, -1. Its values live until the statement's reset. */
static int get_row(struct fetch *f, const struct val *key)
{
    for (size_t i = 0; i < f->object->row->nkey; i++)
        stmt_bind(f->select, (int)i + 1, &key[i]);
    enum step step = stmt_step(f->select);
    if (step != STEP_ROW)
        return step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < f->object->row->ncol; i++)
        f->row[i] = stmt_val(f->select, (int)i);
    changekey_get(f->by, f->row, f->change_key);
    return 1;
}

/* Puts a key, and the change key that the receiver must have, where the archive of rows wants them. */
static void set_expected(struct fetch *f, const struct change *plan)
{
    size_t nkey = f->out->nkey;
    for (size_t i = 0; i < nkey; i++)
        f->old[f->out->key[i]] = plan->old[i];
    for (size_t i = 0; i < f->by->n; i++)
        f->old[f->by->hashed ? f->out->ncol - 1 : (size_t)f->by->column[i]] = plan->old[nkey + i];
}

static void set_new(struct fetch *f, enum change_op op)
{
    for (size_t i = 0; i < f->object->row->ncol; i++)
        if (op == CHANGE_INSERT || !f->out->pk[i])
            f->new[i] = f->row[i];
    if (f->by->hashed)
        f->new[f->out->ncol - 1] = f->change_key[0];
}

static int put_row(struct fetch *f, const struct change *plan, struct dx_writer *w, diff_issue_fn *issue,
                   void *ctx)
{
    static const struct val none = {.type = VAL_NONE};
    const struct val *key = plan->op == CHANGE_INSERT ? plan->new : plan->old;
    bool wanted = plan->op != CHANGE_DELETE;
    int got = get_row(f, key);
    if (got < 0)
        return -1;
    if ((got > 0) != wanted) {
        issue(ctx, wanted ? DIFF_VANISHED : DIFF_CAME_BACK, plan, NULL);
        stmt_reset(f->select);
        return 0;
    }
    for (size_t i = 0; i < f->out->ncol; i++)
        f->old[i] = f->new[i] = none;
    if (plan->op != CHANGE_INSERT)
        set_expected(f, plan);
    if (wanted)
        set_new(f, plan->op);
    struct change c = {.table = f->out, .op = plan->op, .old = f->old, .new = f->new};
    int rc = dx_write(w, &c);
    stmt_reset(f->select);
    return rc;
}

static struct fetch *fetch_of(struct fetch *f, const struct dx_head *plan, const struct table *t)
{
    size_t i = 0;
    while (plan->table[i] != t)
        i++;
    return &f[i];
}

static int put_rows(struct fetch *f, struct dx_reader *r, const struct dx_head *plan, struct dx_writer *w,
                    diff_issue_fn *issue, void *ctx)
{
    struct change c;
    int got;
    while ((got = dx_read(r, &c)) > 0)
        if (put_row(fetch_of(f, plan, c.table), &c, w, issue, ctx))
            return -1;
    return got;
}

/* Whether the key comes first in all tables, as plans have it. */
static int check_plan(const struct dx_head *plan)
{
    if (plan->kind != DX_KEYS || plan->form != CHANGESET_FULL)
        return fail(ERR_REFUSED, "an archive of %s, not a plan; make one with syncdiff compare",
                    dx_kind_name(plan->kind));
    for (size_t i = 0; i < plan->ntable; i++)
        for (size_t k = 0; k < plan->table[i]->nkey; k++)
            if (plan->table[i]->key[k] != k)
                return fail(ERR_REFUSED, "table %s of the plan is not key, then change key",
                            plan->table[i]->name);
    return 0;
}

int diff_rows(struct db *db, const struct diff_set *set, struct dx_reader *r, const struct dx_head *plan,
              int fd, const char *name, diff_issue_fn *issue, void *ctx)
{
    if (check_plan(plan))
        return -1;
    struct fetch *f = mem_zero(plan->ntable, sizeof *f);
    struct dx_head head;
    struct dx_writer *w = NULL;
    int rc = 0;
    dx_head_init(&head, DX_ROWS);
    for (size_t i = 0; i < plan->ntable && rc == 0; i++) {
        rc = begin_fetch(&f[i], db, set, plan->table[i]);
        if (rc == 0)
            dx_head_add_table(&head, f[i].out);
    }
    if (rc == 0)
        rc = (w = dx_writer_open(fd, name, &head, DX_LEVEL_PIPE)) ? put_rows(f, r, plan, w, issue, ctx) : -1;
    if (rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    for (size_t i = 0; i < plan->ntable; i++)
        end_fetch(&f[i]);
    free(f);
    dx_head_free(&head);
    return rc;
}
