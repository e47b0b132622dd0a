/* uncaptured: see compare/uncaptured.h.
 *
 * Three lists in the order of the key are merged for each table: the rows as they are here, the rows that the server holds,
 * and the net changes of the journal that the server may not have merged yet. The second with the third upon it is what the
 * rows here would be, had nothing been changed without capture. */
#include "compare/uncaptured.h"

#include "apply/quarantine.h"
#include "apply/rowset.h"
#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "compare/diffside.h"
#include "data/arena.h"
#include "journal/capture.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "sql/key.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A key that another row has got, and a column that refers to it: the download renames both. */
struct renamed {
    char *table, *column;
    struct val old, new; /* the arena's */
};

/* A row in quarantine: it is not as the server's for a reason that is known. */
struct set_aside {
    char *table;
    struct val key;
};

struct settling {
    struct db *db;
    struct diff_side *side; /* the server's rows */
    char *before;           /* meta.h, server_before */
    struct targets targets;
    struct rowset touched; /* by the downloads */
    struct renamed *renamed;
    size_t nrenamed;
    struct set_aside *aside;
    size_t naside;
    struct arena arena; /* of the keys set aside, and renamed */
    struct journal_writer *journal;
    const char *path; /* of the file for what is saved */
    struct file_new *file;
    struct dx_head head;
    struct dx_writer *save;
    struct uncaptured_count *count;
};

/* One table, while it is compared. Rows are in the columns of the table here. */
struct comparing {
    struct settling *x;
    struct target *t;
    const struct table *table;
    int *there; /* column -> column of the server's rows, or -1: ours alone */
    size_t nthere;
    struct stmt *rows;
    struct journal_net *net;
    struct change pending;     /* the net change at hand */
    bool here, server, change; /* whether there is one of each at hand */
    struct val *row, *key[3];  /* as it is here; the keys at hand, by LIST_... */
    struct val *theirs;        /* the server's row */
    struct val *expected;      /* what the row here would be */
    struct val *none;
};

enum { LIST_HERE, LIST_SERVER, LIST_CHANGE, LISTS };

/* ---- the downloads ---- */

static bool of_table(const struct settling *x, const char *table)
{
    return diff_side_find(x->side, table) != NULL;
}

static int touch_key(struct settling *x, const char *table, const struct val *key)
{
    struct target *t = targets_named(&x->targets, table);
    if (t == NULL || t->table->nkey != 1)
        return t ? 0 : -1;
    struct val *old = mem_zero(t->table->ncol, sizeof *old), *new = mem_zero(t->table->ncol, sizeof *new);
    struct change c = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = old, .new = new};
    old[t->table->key[0]] = *key;
    rowset_mark(&x->touched, t, &c);
    free(old);
    free(new);
    return 0;
}

static int take_rekeys(struct settling *x, const struct dx_head *h)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < h->nrekey; i++) {
        const struct dx_rekey *r = &h->rekey[i];
        if (of_table(x, r->table))
            rc = touch_key(x, r->table, &r->old) || touch_key(x, r->table, &r->new) ? -1 : 0;
        for (size_t k = 0; k < r->nref; k++) {
            x->renamed = mem_grow(x->renamed, x->nrenamed + 1, sizeof *x->renamed);
            x->renamed[x->nrenamed++] =
                (struct renamed){mem_text(r->ref[2 * k]), mem_text(r->ref[2 * k + 1]),
                                 arena_val(&x->arena, &r->old), arena_val(&x->arena, &r->new)};
        }
    }
    return rc;
}

static int take_changes(struct settling *x, struct dx_reader *r)
{
    struct change c, mapped;
    int got;
    while ((got = dx_read(r, &c)) > 0) {
        struct target *t = of_table(x, c.table->name) ? targets_for(&x->targets, c.table) : NULL;
        if (of_table(x, c.table->name) && t == NULL)
            return -1;
        if (t == NULL)
            continue;
        target_map(t, c.table, &c, &mapped);
        rowset_mark(&x->touched, t, &mapped);
    }
    return got;
}

/* One archive; *number is the newest that is applied or was taken. */
static int take_archive(struct settling *x, struct dx_reader *r, const struct dx_head *h, int64_t *number)
{
    bool numbered = strcmp(h->epoch, diff_side_head(x->side)->epoch) == 0 ||
                    (x->before && strcmp(h->epoch, x->before) == 0);
    if (!numbered || h->number > *number + 1)
        return fail(ERR_AGAIN,
                    "%s: is archive %lld, but archive %lld of this numbering comes next; sync again",
                    dx_reader_name(r), (long long)h->number, (long long)*number + 1);
    if (h->number <= *number)
        return dx_skip(r);
    int rc = take_rekeys(x, h) || take_changes(x, r) ? -1 : 0;
    *number = h->number;
    for (size_t i = 0; i < h->ntable; i++)
        targets_forget(&x->targets, h->table[i]);
    return rc;
}

/* The archives of a file. */
static int take_download(struct settling *x, const char *path, int64_t *number)
{
    const char *name;
    const struct dx_head *h;
    int fd = dx_open_input(path, &name), got = -1;
    struct dx_reader *r = fd < 0 ? NULL : dx_reader_open(fd, name);
    while (r && (got = dx_next(r, &h)) > 0)
        if (take_archive(x, r, h, number)) {
            got = -1;
            break;
        }
    dx_reader_close(r);
    return got;
}

static int take_downloads(struct settling *x, char *const *download, size_t n)
{
    const struct dx_head *h = diff_side_head(x->side);
    char *server = NULL;
    int64_t number;
    if (h == NULL || *h->epoch == 0)
        return fail(ERR_REFUSED,
                    "%s: not what a server holds for a node after an archive; that is told by "
                    "txnlog digest --node NODE --at NUMBER --rows --whole",
                    diff_side_name(x->side));
    if (meta_get_text(x->db, "server", &server) || meta_get_text(x->db, "server_before", &x->before) ||
        meta_get_int(x->db, "applied", &number)) {
        free(server);
        return -1;
    }
    int rc = 0;
    if (server == NULL || strcmp(server, h->epoch) != 0)
        rc = fail(ERR_REFUSED, "%s: rows of epoch %s, but %s is a copy of epoch %s", diff_side_name(x->side),
                  h->epoch, db_path(x->db), server ? server : "none");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = take_download(x, download[i], &number);
    if (rc == 0 && number != h->number)
        rc = fail(ERR_AGAIN, "%s: rows after archive %lld, but those here lead to archive %lld; sync again",
                  diff_side_name(x->side), (long long)h->number, (long long)number);
    free(server);
    return rc;
}

static int take_aside(void *ctx, const struct quarantined *q)
{
    struct settling *x = ctx;
    x->aside = mem_grow(x->aside, x->naside + 1, sizeof *x->aside);
    x->aside[x->naside++] = (struct set_aside){mem_text(q->table), arena_val(&x->arena, &q->key)};
    return 0;
}

/* ---- what is saved ---- */

static int open_save(struct settling *x)
{
    struct uncaptured *u;
    size_t n;
    if (x->save)
        return 0;
    if (x->path == NULL)
        return fail(ERR_USAGE,
                    "%s: rows here differ from the server's, and both may have changed them: say where to "
                    "save those here (--save FILE)",
                    db_path(x->db));
    if (capture_uncaptured(x->db, &u, &n))
        return -1;
    dx_head_init(&x->head, DX_CHANGES);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct target *t = targets_named(&x->targets, u[i].table);
        rc = t ? 0 : -1;
        if (t)
            dx_head_add_table(&x->head, t->table);
    }
    capture_uncaptured_free(u, n);
    if (rc || (x->file = file_new_open(x->path)) == NULL)
        return -1;
    x->save = dx_writer_open(file_new_fd(x->file), x->path, &x->head, DX_LEVEL_SLOW_LINE);
    return x->save ? 0 : -1;
}

static int close_save(struct settling *x, int rc)
{
    if (x->save && rc == 0) {
        rc = dx_writer_close(x->save);
        rc = rc ? rc : file_new_commit(x->file);
        x->file = NULL;
    } else
        dx_writer_abort(x->save);
    file_new_abort(x->file);
    dx_head_free(&x->head);
    return rc;
}

/* ---- one table ---- */

static bool same_key_columns(const struct table *a, const struct table *b)
{
    bool same = a->nkey == b->nkey;
    for (size_t k = 0; same && k < a->nkey; k++)
        same = strcasecmp(a->col[a->key[k]], b->col[b->key[k]]) == 0;
    return same;
}

static struct stmt *prepare_rows(struct db *db, const struct table *t)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, t, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, t->name);
    for (size_t k = 0; k < t->nkey; k++) {
        buf_puts(&sql, k ? ", " : " ORDER BY ");
        buf_name(&sql, t->col[t->key[k]]);
        buf_puts(&sql, " COLLATE BINARY");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static void take_key(const struct table *t, const struct val *row, struct val *key)
{
    for (size_t k = 0; k < t->nkey; k++)
        key[k] = row[t->key[k]];
}

static int next_here(struct comparing *c)
{
    enum step step = stmt_step(c->rows);
    c->here = step == STEP_ROW;
    for (size_t i = 0; c->here && i < c->table->ncol; i++)
        c->row[i] = stmt_val(c->rows, (int)i);
    take_key(c->table, c->row, c->key[LIST_HERE]);
    return step == STEP_ERROR ? -1 : 0;
}

static int next_server(struct comparing *c)
{
    const struct val *row;
    int got = diff_side_next(c->x->side, &row);
    c->server = got > 0;
    static const struct val none = {.type = VAL_NONE};
    for (size_t i = 0; c->server && i < c->table->ncol; i++)
        c->theirs[i] = c->there[i] < 0 ? none : row[c->there[i]];
    take_key(c->table, c->theirs, c->key[LIST_SERVER]);
    return got < 0 ? -1 : 0;
}

static int next_change(struct comparing *c)
{
    int got = journal_net_next(c->net, &c->pending);
    c->change = got > 0;
    if (c->change)
        change_key(&c->pending, c->key[LIST_CHANGE]);
    return got < 0 ? -1 : 0;
}

/* Which of the lists have the smallest key that is at hand. */
static void smallest(const struct comparing *c, bool at[LISTS])
{
    const bool have[LISTS] = {c->here, c->server, c->change};
    const struct val *least = NULL;
    for (int i = 0; i < LISTS; i++)
        if (have[i] && (least == NULL || vals_compare(c->key[i], least, c->table->nkey) < 0))
            least = c->key[i];
    for (int i = 0; i < LISTS; i++)
        at[i] = have[i] && vals_compare(c->key[i], least, c->table->nkey) == 0;
}

/* What the row here would be, from the server's and the pending change. Whether there is one. */
static bool expect(struct comparing *c, bool server, bool change)
{
    bool exists = server;
    for (size_t i = 0; i < c->table->ncol; i++)
        c->expected[i] = server ? c->theirs[i] : c->none[i];
    if (change && c->pending.op == CHANGE_DELETE)
        return false;
    if (change && c->pending.op == CHANGE_INSERT)
        exists = true;
    for (size_t i = 0; change && exists && i < c->table->ncol; i++)
        if (c->pending.new[i].type != VAL_NONE)
            c->expected[i] = c->pending.new[i];
    return exists;
}

/* Whether the server's value is that of here with a key renamed, as the download does it. */
static bool only_renamed(const struct comparing *c, size_t i)
{
    const struct settling *x = c->x;
    for (size_t k = 0; k < x->nrenamed; k++) {
        const struct renamed *r = &x->renamed[k];
        if (strcasecmp(r->table, c->table->name) == 0 && strcasecmp(r->column, c->table->col[i]) == 0 &&
            val_same(&c->row[i], &r->old) && val_same(&c->expected[i], &r->new))
            return true;
    }
    return false;
}

static bool is_aside(const struct comparing *c, const struct val *key)
{
    struct buf room = {0};
    struct val packed = key_pack(key, c->table->nkey, &room);
    bool found = false;
    for (size_t i = 0; i < c->x->naside && !found; i++)
        found =
            strcasecmp(c->x->aside[i].table, c->table->name) == 0 && val_same(&c->x->aside[i].key, &packed);
    buf_free(&room);
    return found;
}

static int put(struct comparing *c, struct change *change, bool ambiguous)
{
    struct settling *x = c->x;
    if (!ambiguous) {
        x->count->journalled++;
        return journal_add(x->journal, change, NULL);
    }
    if (open_save(x))
        return -1;
    x->count->saved++;
    return dx_write(x->save, change);
}

/* The row is there on both sides: an update of what differs; what the downloads touch, too, is saved. */
static int put_update(struct comparing *c, const struct rowmark *mark, bool aside)
{
    const struct table *t = c->table;
    struct val *old = mem_zero(t->ncol, sizeof *old), *new = mem_zero(t->ncol, sizeof *new);
    struct change change = {.table = t, .op = CHANGE_UPDATE, .origin = "", .old = old, .new = new};
    int rc = 0;
    for (int ambiguous = 0; rc == 0 && ambiguous < 2; ambiguous++) {
        bool any = false;
        for (size_t i = 0; i < t->ncol; i++) {
            bool touched = aside || (mark && (mark->whole || (mark->columns && mark->columns[i])));
            bool differs = !t->pk[i] && c->there[i] >= 0 && !val_same(&c->row[i], &c->expected[i]) &&
                           !only_renamed(c, i) && touched == (ambiguous != 0);
            old[i] = t->pk[i] || differs ? c->expected[i] : c->none[i];
            new[i] = differs ? c->row[i] : c->none[i];
            any |= differs;
        }
        if (any)
            rc = put(c, &change, ambiguous != 0);
    }
    free(old);
    free(new);
    return rc;
}

/* The row with that key, as it is here and as it would be. */
static int compare_row(struct comparing *c, bool here, bool expected, const struct val *key)
{
    struct change change = {.table = c->table, .origin = "", .old = c->none, .new = c->none};
    if (here == expected && !here)
        return 0;
    change.op = here && !expected ? CHANGE_INSERT : CHANGE_DELETE;
    if (change.op == CHANGE_INSERT)
        change.new = c->row;
    else
        change.old = here ? c->row : c->expected;
    const struct rowmark *mark = rowset_find(&c->x->touched, c->t, &change);
    bool aside = is_aside(c, key);
    if (here && expected)
        return put_update(c, mark, aside);
    if (!here && ((mark && mark->whole) || aside))
        return 0; /* it comes with a download, or waits in quarantine */
    return put(c, &change, mark != NULL || aside);
}

static int compare_rows(struct comparing *c)
{
    bool at[LISTS];
    struct val *key = mem_zero(c->table->nkey, sizeof *key);
    int rc = next_here(c) || next_server(c) || next_change(c) ? -1 : 0;
    while (rc == 0 && (c->here || c->server || c->change)) {
        smallest(c, at);
        bool expected = expect(c, at[LIST_SERVER], at[LIST_CHANGE]);
        for (size_t k = 0; k < c->table->nkey; k++)
            key[k] = c->key[at[LIST_HERE] ? LIST_HERE : at[LIST_SERVER] ? LIST_SERVER : LIST_CHANGE][k];
        rc = compare_row(c, at[LIST_HERE], expected, key);
        if (rc == 0)
            rc = (at[LIST_HERE] && next_here(c)) || (at[LIST_SERVER] && next_server(c)) ||
                         (at[LIST_CHANGE] && next_change(c))
                     ? -1
                     : 0;
    }
    free(key);
    return rc;
}

/* Replaces what the journal holds of the table behind `upto` by what the comparison found: net, that is all. */
static int replace_entries(struct comparing *c, int64_t upto)
{
    int64_t end;
    if (journal_end(c->x->db, &end) || compare_rows(c))
        return -1;
    return db_execf(
        c->x->db,
        "DELETE FROM dx_journal WHERE seq > %lld AND seq <= %lld AND origin IS NOT '" STORE_UPSTREAM
        "' AND what / %d IN (SELECT id FROM dx_table WHERE name = %Q)",
        (long long)upto, (long long)end, JOURNAL_WHAT, c->table->name);
}

static int map_columns(struct comparing *c, const struct table *there)
{
    if (!same_key_columns(c->table, there))
        return fail(
            ERR_REFUSED,
            "%s: table %s has another primary key than the server's, so that its rows cannot be compared; "
            "save them: txnlog recover %s --give-up --save FILE, and make the copy again with initsync",
            db_path(c->x->db), c->table->name, db_path(c->x->db));
    c->there = table_map(c->table, there);
    return 0;
}

static int compare_table(struct settling *x, const struct uncaptured *u)
{
    const struct table *there = diff_side_find(x->side, u->table);
    struct comparing c = {.x = x, .t = targets_named(&x->targets, u->table)};
    int64_t settled;
    if (c.t == NULL || meta_get_int(x->db, "settled", &settled))
        return -1;
    c.table = c.t->table;
    struct val **const rows[] = {&c.row, &c.theirs, &c.expected, &c.none, &c.key[0], &c.key[1], &c.key[2]};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i] = mem_zero(c.table->ncol, sizeof **rows[i]);
    int rc = map_columns(&c, there);
    if (rc == 0 && ((c.rows = prepare_rows(x->db, c.table)) == NULL ||
                    (c.net = journal_net(x->db, u->table, settled, u->upto, JOURNAL_OWN)) == NULL))
        rc = -1;
    if (rc == 0)
        rc = diff_side_begin(x->side, u->table) || replace_entries(&c, u->upto) ||
                     capture_compared(x->db, u->table)
                 ? -1
                 : 0;
    stmt_free(c.rows);
    journal_net_close(c.net);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        free(*rows[i]);
    free(c.there);
    return rc;
}

/* ---- all ---- */

static void release(struct settling *x)
{
    journal_writer_close(x->journal);
    diff_side_close(x->side);
    rowset_free(&x->touched);
    targets_free(&x->targets);
    for (size_t i = 0; i < x->nrenamed; i++) {
        free(x->renamed[i].table);
        free(x->renamed[i].column);
    }
    for (size_t i = 0; i < x->naside; i++)
        free(x->aside[i].table);
    free(x->renamed);
    free(x->aside);
    free(x->before);
    arena_free(&x->arena);
}

static int compare_all(struct settling *x, char *const *download, size_t n)
{
    struct uncaptured *u;
    size_t nu;
    if (take_downloads(x, download, n) || quarantine_each(x->db, take_aside, x) ||
        capture_uncaptured(x->db, &u, &nu))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < nu; i++)
        if (of_table(x, u[i].table))
            rc = compare_table(x, &u[i]);
    capture_uncaptured_free(u, nu);
    return rc ? -1 : diff_side_finish(x->side);
}

/* Ends the transaction: the file is there before what it holds is given up. */
static int finish(struct settling *x, int rc)
{
    rc = close_save(x, rc);
    if (rc == 0)
        return db_commit(x->db);
    db_rollback(x->db);
    return -1;
}

int uncaptured_settle(struct db *db, const char *rows, char *const *download, size_t ndownload,
                      const char *save, struct uncaptured_count *count)
{
    struct settling x = {.db = db, .path = save, .count = count};
    *count = (struct uncaptured_count){0};
    if (meta_require(db) || (x.side = diff_side_open(rows, NULL)) == NULL)
        return -1;
    int rc = db_begin_write(db);
    if (rc == 0) {
        targets_init(&x.targets, db);
        x.journal = journal_writer_open(db);
        rc = finish(&x, compare_all(&x, download, ndownload));
    }
    release(&x);
    return rc;
}

static int save_rows(struct settling *x, const char *table)
{
    struct target *t = targets_named(&x->targets, table);
    if (t == NULL)
        return -1;
    struct stmt *s = prepare_rows(x->db, t->table);
    struct val *row = mem_zero(t->table->ncol, sizeof *row), *none = mem_zero(t->table->ncol, sizeof *none);
    struct change c = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = none, .new = row};
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        for (size_t i = 0; i < t->table->ncol; i++)
            row[i] = stmt_val(s, (int)i);
        rc = open_save(x) || dx_write(x->save, &c) ? -1 : 0;
        x->count->saved++;
    }
    stmt_free(s);
    free(row);
    free(none);
    return rc || step == STEP_ERROR || capture_compared(x->db, table) ? -1 : 0;
}

int uncaptured_give_up(struct db *db, const char *save, struct uncaptured_count *count)
{
    struct settling x = {.db = db, .path = save, .count = count};
    struct uncaptured *u = NULL;
    size_t n = 0;
    *count = (struct uncaptured_count){0};
    if (meta_require(db) || db_begin_write(db))
        return -1;
    targets_init(&x.targets, db);
    int rc = capture_uncaptured(db, &u, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = save_rows(&x, u[i].table);
    rc = finish(&x, rc);
    capture_uncaptured_free(u, n);
    release(&x);
    return rc;
}
