/* verify: see compare/verify.h. */
#include "compare/verify.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/mem.h"
#include "compare/at_archive.h"
#include "compare/diffside.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- rows held here, as (key, hash) ---- */

struct mine {
    const struct table *row;
    struct table *keys;
    struct changekey *by;
    struct stmt *rows;
    struct val *whole, *at; /* at: NULL at the end */
};

/* The change key of whole rows: every column outside the key; a hash where there is none. */
static struct changekey *whole_key(const struct table *t)
{
    char **col = mem_zero(t->ncol, sizeof *col);
    size_t n = 0;
    for (size_t i = 0; i < t->ncol; i++)
        if (!t->pk[i])
            col[n++] = t->col[i];
    struct changekey *k = changekey_new(t, n, col);
    free(col);
    return k;
}

static struct mine mine_of(const struct scope *h, bool whole)
{
    struct mine m = {.row = h->table, .by = whole ? whole_key(h->table) : changekey_new(h->table, 0, NULL)};
    m.keys = changekey_table(m.by, h->table);
    m.whole = mem_zero(h->table->ncol, sizeof *m.whole);
    m.at = mem_zero(m.keys->ncol, sizeof *m.at);
    return m;
}

static void mine_free(struct mine *m)
{
    stmt_free(m->rows);
    changekey_free(m->by);
    table_free(m->keys);
    free(m->whole);
    free(m->at);
}

/* The next row into m->at: 1, 0, -1. */
static int mine_next(struct mine *m)
{
    enum step step = stmt_step(m->rows);
    if (step != STEP_ROW)
        return step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < m->row->ncol; i++)
        m->whole[i] = stmt_val(m->rows, (int)i);
    for (size_t i = 0; i < m->row->nkey; i++)
        m->at[i] = m->whole[m->row->key[i]];
    changekey_get(m->by, m->whole, &m->at[m->row->nkey]);
    return 1;
}

/* ---- writing ---- */

static int put_rows(struct db *db, const struct scope *h, struct mine *m, struct dx_writer *w)
{
    struct val *old = mem_zero(m->keys->ncol, sizeof *old);
    struct change c = {.table = m->keys, .op = CHANGE_INSERT, .old = old, .new = m->at};
    int got = (m->rows = scope_rows(db, h)) ? 1 : -1;
    while (got > 0 && (got = mine_next(m)) > 0)
        if (dx_write(w, &c))
            got = -1;
    free(old);
    return got;
}

static int write_archive(struct db *db, const struct scope *held, size_t n, bool whole, struct dx_head *head,
                         int fd, const char *name)
{
    struct mine *mine = mem_zero(n, sizeof *mine);
    for (size_t i = 0; i < n; i++) {
        mine[i] = mine_of(&held[i], whole);
        dx_head_add_table(head, mine[i].keys);
    }
    struct dx_writer *w = dx_writer_open(fd, name, head, DX_LEVEL_PIPE);
    int rc = w ? 0 : -1;
    for (size_t i = 0; i < n; i++) {
        rc = rc || put_rows(db, &held[i], &mine[i], w) ? -1 : 0;
        mine_free(&mine[i]);
    }
    free(mine);
    if (rc == 0)
        return dx_writer_close(w);
    dx_writer_abort(w);
    return -1;
}

static int list(struct db *db, const struct verify_of *of, struct scope **held, size_t *n, char **epoch)
{
    if (of->at && at_archive_open(db, of->node, of->number, epoch))
        return -1;
    return scope_list(db, of->node, held, n) || scope_only(*held, n, of->name, of->nname) ? -1 : 0;
}

int verify_write(struct db *db, const struct verify_of *of, int fd, const char *name)
{
    struct dx_head head;
    struct scope *held = NULL;
    size_t n = 0;
    char *epoch = NULL;
    int rc = list(db, of, &held, &n, &epoch);
    dx_head_init(&head, DX_KEYS);
    dx_head_set(&head.to, of->node);
    dx_head_set(&head.epoch, epoch);
    head.number = of->at ? of->number : 0;
    if (rc == 0)
        rc = write_archive(db, held, n, of->whole, &head, fd, name);
    dx_head_free(&head);
    scope_free(held, n);
    free(epoch);
    return rc;
}

int verify_digest(struct db *db, const struct verify_of *of, struct digest *d)
{
    struct scope *held = NULL;
    size_t n = 0;
    char *epoch = NULL;
    int rc = list(db, of, &held, &n, &epoch);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = digest_add(d, db, held[i].table, held[i].select);
    scope_free(held, n);
    free(epoch);
    return rc;
}

/* ---- comparing ---- */

/* Which of two rows comes first: below 0 mine, above 0 theirs, 0 both. There is at least one. */
static int order_of(const struct val *mine, const struct val *theirs, size_t nkey)
{
    return mine == NULL ? 1 : theirs == NULL ? -1 : vals_compare(mine, theirs, nkey);
}

static int compare_rows(struct mine *m, struct diff_side *side, const struct verify *p)
{
    int64_t alike = 0, count[PROOF_WHATS] = {0};
    const size_t nkey = m->keys->nkey;
    const struct val *theirs;
    int here = mine_next(m), there = here < 0 ? -1 : diff_side_next(side, &theirs);
    while (here >= 0 && there >= 0 && here + there > 0) {
        int order = order_of(here ? m->at : NULL, there ? theirs : NULL, nkey);
        if (order == 0 && vals_compare(&m->at[nkey], &theirs[nkey], 1) == 0)
            alike++;
        else {
            enum proof_what what = order == 0 ? PROOF_DIFFERS : order < 0 ? PROOF_HERE : PROOF_THERE;
            count[what]++;
            p->row(p->ctx, m->keys, order <= 0 ? m->at : theirs, what);
        }
        if (order <= 0)
            here = mine_next(m);
        if (order >= 0 && here >= 0)
            there = diff_side_next(side, &theirs);
    }
    if (here < 0 || there < 0)
        return -1;
    p->table(p->ctx, m->keys->name, alike, count);
    return 0;
}

static int compare_table(struct db *db, const struct scope *h, struct diff_side *side, const struct verify *p)
{
    const struct table *theirs = diff_side_find(side, h->table->name);
    struct mine m = mine_of(h, false);
    int rc = 0;
    if (theirs == NULL)
        p->lone(p->ctx, h->table->name, PROOF_HERE);
    else if (!table_same(theirs, m.keys))
        p->lone(p->ctx, h->table->name, PROOF_DIFFERS);
    else {
        m.rows = scope_rows(db, h);
        rc = m.rows && diff_side_begin(side, h->table->name) == 0 ? compare_rows(&m, side, p) : -1;
    }
    mine_free(&m);
    return rc;
}

/* The archive is of the same numbering, or of that of the copy before, which goes on until this one has reported back; and
 * the copy here is at the archive whose number it has. */
static int check_stand(struct db *db, const struct diff_side *side)
{
    char *epoch, *before = NULL;
    const struct dx_head *h = diff_side_head(side);
    if (h == NULL)
        return fail(ERR_REFUSED, "%s: a database; digests of its rows are meant: txnlog digest --rows",
                    diff_side_name(side));
    if (*h->epoch == 0)
        return 0;
    int rc = at_archive_open(db, NULL, h->number, &epoch);
    if (meta_get_text(db, "server_before", &before))
        rc = -1;
    else if (epoch && strcmp(epoch, h->epoch) != 0 && (before == NULL || strcmp(before, h->epoch) != 0))
        rc = fail(ERR_REFUSED, "%s: digests of epoch %s, but %s is a copy of epoch %s; make it again",
                  diff_side_name(side), h->epoch, db_path(db), epoch);
    free(before);
    free(epoch);
    return rc;
}

static bool wanted(const char *table, char *const *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table, name[i]) == 0)
            return true;
    return n == 0;
}

static int check_names(const struct scope *held, size_t n, const struct diff_side *side, char *const *name,
                       size_t nname)
{
    for (size_t i = 0; i < nname; i++) {
        size_t k = 0;
        while (k < n && strcmp(held[k].table->name, name[i]) != 0)
            k++;
        if (k == n && diff_side_find(side, name[i]) == NULL)
            return fail(ERR_REFUSED, "no table %s, neither here nor in %s", name[i], diff_side_name(side));
    }
    return 0;
}

/* Both sides have their tables by name. */
static int compare_tables(struct db *db, const struct scope *held, size_t n, struct diff_side *side,
                          char *const *name, size_t nname, const struct verify *p)
{
    size_t i = 0, k = 0, theirs = diff_side_tables(side);
    while (i < n || k < theirs) {
        const char *there = k < theirs ? diff_side_table(side, k)->name : NULL;
        const char *here = i < n ? held[i].table->name : NULL;
        int order = here == NULL ? 1 : there == NULL ? -1 : strcmp(here, there);
        if (!wanted(order <= 0 ? here : there, name, nname))
            ;
        else if (order > 0)
            p->lone(p->ctx, there, PROOF_THERE);
        else if (compare_table(db, &held[i], side, p))
            return -1;
        i += order <= 0;
        k += order >= 0;
    }
    return diff_side_finish(side);
}

int verify_compare(struct db *db, const char *path, char *const *name, size_t nname, const struct verify *p)
{
    struct scope *held = NULL;
    size_t n = 0;
    struct diff_side *side = diff_side_open(path, NULL);
    int rc = side == NULL || check_stand(db, side) || scope_list(db, NULL, &held, &n) ||
                     check_names(held, n, side, name, nname) ||
                     compare_tables(db, held, n, side, name, nname, p)
                 ? -1
                 : 0;
    scope_free(held, n);
    diff_side_close(side);
    return rc;
}
