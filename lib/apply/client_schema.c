/* client_schema: see apply/client_schema.h. */
#include "apply/client_schema.h"

#include "apply/pending.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/capture.h"
#include "journal/client_tables.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "sql/schema.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The tables of the copy as the archive before declared them. */
struct copy {
    struct table **table;
    size_t n;
};

static const struct table *copy_table(const struct copy *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcasecmp(c->table[i]->name, name) == 0)
            return c->table[i];
    return NULL;
}

static int is_here(struct db *db, const char *table, int64_t *here)
{
    return db_get_int(db, here,
                      "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                      table);
}

/* ---- what the archive may speak of ---- */

static int declares(struct apply_context *w, const char *table)
{
    int rc = 0;
    struct buf why = {0};
    for (size_t i = 0; rc == 0 && i < w->head->nschema; i++) {
        enum schema_fit fit;
        char *made = NULL;
        rc = schema_fit(w->db, w->head->schema[i], &fit, &made, &why);
        if (rc == 0 && made && strcasecmp(made, table) == 0)
            rc = 1;
        free(made);
    }
    buf_free(&why);
    return rc;
}

static int refuse_table(struct apply_context *w, const char *table)
{
    return fail(ERR_REFUSED,
                "%s: the archive speaks of table %s, which is no part of this copy; nothing was changed",
                w->name, table);
}

/* Whether it is no table of this database, or one that the archive's changes may be of: 1, 0, -1. */
static int is_ours(struct apply_context *w, const struct copy *copy, const char *table)
{
    int64_t here;
    if (copy_table(copy, table))
        return 1;
    return is_here(w->db, table, &here) ? -1 : here ? declares(w, table) : 1;
}

/* A row gets another key in the tables of the archive only; and what refers to it is in these. */
static int check_rekey(struct apply_context *w, const struct dx_rekey *k)
{
    int64_t here = 0;
    const char *table = k->table;
    for (size_t i = 0;; i += 2) {
        if (dx_head_table(w->head, table) == NULL && is_here(w->db, table, &here))
            return -1;
        if (dx_head_table(w->head, table) == NULL && here)
            return refuse_table(w, table);
        if (i == 2 * k->nref)
            return 0;
        table = k->ref[i];
    }
}

int client_schema_check(struct apply_context *w)
{
    struct copy copy;
    if (client_tables_load(w->db, &copy.table, &copy.n))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->head->ntable; i++) {
        int ours = is_ours(w, &copy, w->head->table[i]->name);
        rc = ours < 0 ? -1 : ours ? 0 : refuse_table(w, w->head->table[i]->name);
    }
    for (size_t i = 0; rc == 0 && i < w->head->nrekey; i++)
        rc = check_rekey(w, &w->head->rekey[i]);
    client_tables_free(copy.table, copy.n);
    return rc;
}

/* ---- what the application has by names that the server sends now ---- */

/* Columns and tables that are here before the server sends them: what is in them is pending, so that it is neither
 * overwritten nor forgotten. */
struct met {
    struct {
        char *table, *column; /* column NULL: all rows */
    } * at;
    size_t n;
};

static void met_add(struct met *m, const char *table, const char *column)
{
    m->at = mem_grow(m->at, m->n + 1, sizeof *m->at);
    m->at[m->n].table = mem_text(table);
    m->at[m->n++].column = mem_text(column);
}

static void met_free(struct met *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->at[i].table);
        free(m->at[i].column);
    }
    free(m->at);
}

static int meet_columns(struct apply_context *w, const struct table *was, const struct table *is,
                        struct met *m)
{
    struct layout *l = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < is->ncol; i++) {
        if (table_column(was, is->col[i]) >= 0)
            continue;
        if (l == NULL && (l = layout_of(w->db, is->name)) == NULL)
            rc = -1;
        else if (table_column(l->table, is->col[i]) >= 0)
            met_add(m, is->name, is->col[i]);
    }
    layout_free(l);
    return rc;
}

static int meet(struct apply_context *w, const struct copy *copy, struct met *m)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->head->ntable; i++) {
        const struct table *is = w->head->table[i], *was = copy_table(copy, is->name);
        int64_t here;
        if ((rc = is_here(w->db, is->name, &here)) != 0 || here == 0)
            continue;
        if (was)
            rc = meet_columns(w, was, is, m);
        else
            met_add(m, is->name, NULL);
    }
    return rc;
}

static int journal_met(struct apply_context *w, const struct met *m)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < m->n; i++)
        rc = m->at[i].column ? capture_journal_column(w->db, m->at[i].table, m->at[i].column)
                             : capture_journal_rows(w->db, m->at[i].table);
    return rc;
}

/* Makes what is declared and not here, and captures it. */
static int add_all(struct apply_context *w, const struct copy *copy)
{
    const struct dx_head *h = w->head;
    struct met met = {0};
    const char **name = mem_zero(h->ntable, sizeof *name);
    for (size_t i = 0; i < h->ntable; i++)
        name[i] = h->table[i]->name;
    int rc = meet(w, copy, &met) || schema_make(w->db, h->schema, h->nschema, false) ||
                     (h->ntable && capture_attach(w->db, name, h->ntable, NULL)) || journal_met(w, &met)
                 ? -1
                 : 0;
    met_free(&met);
    free(name);
    return rc;
}

/* ---- a download ---- */

static int ask_again(struct apply_context *w, const char *table, const char *why)
{
    return fail(
        ERR_AGAIN,
        "%s: archive %lld: table %s: %s; make the copy again, what was not sent is kept: initsync %s SITE "
        "--node %s",
        w->name, (long long)w->head->number, table, why, w->name, w->head->to);
}

static bool same_key(const struct table *a, const struct table *b)
{
    bool same = a->nkey == b->nkey;
    for (size_t k = 0; same && k < a->nkey; k++)
        same = strcasecmp(a->col[a->key[k]], b->col[b->key[k]]) == 0;
    return same;
}

/* What was sent before and is not any more stays as it was for ever, if it stays. A table that is not sent any more has its
 * rows removed. */
static int check_sent(struct apply_context *w, const struct copy *copy)
{
    int rc = 0;
    struct buf why = {0};
    for (size_t i = 0; rc == 0 && i < w->head->ntable; i++) {
        const struct table *is = w->head->table[i], *was = copy_table(copy, is->name);
        if (was == NULL)
            continue;
        if (!same_key(was, is))
            rc = ask_again(w, is->name, "it has another primary key now");
        for (size_t k = 0; rc == 0 && k < was->ncol; k++)
            if (table_column(is, was->col[k]) < 0) {
                buf_addf(&why, "column %s is not sent any more", was->col[k]);
                rc = ask_again(w, is->name, buf_text(&why));
            }
    }
    buf_free(&why);
    return rc;
}

/* Calls fn for each column of the archive's tables that is not here; column NULL: the table is not. */
typedef int absent_fn(struct apply_context *w, void *ctx, const struct table *t, const char *column);

static int each_absent(struct apply_context *w, absent_fn *fn, void *ctx)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->head->ntable; i++) {
        const struct table *t = w->head->table[i];
        struct layout *l = NULL;
        int64_t here;
        if (is_here(w->db, t->name, &here) || (here && (l = layout_of(w->db, t->name)) == NULL))
            return -1;
        rc = here ? 0 : fn(w, ctx, t, NULL);
        for (size_t k = 0; rc == 0 && l && k < t->ncol; k++)
            rc = table_column(l->table, t->col[k]) < 0 ? fn(w, ctx, t, t->col[k]) : 0;
        layout_free(l);
    }
    return rc;
}

/* A line for it, behind a newline. */
static char *absent_line(const struct table *t, const char *column)
{
    return mem_printf("\n%s.%s\n", t->name, column ? column : "");
}

static int put_absent(struct apply_context *w, void *out, const struct table *t, const char *column)
{
    (void)w;
    char *line = absent_line(t, column);
    buf_puts(out, line);
    free(line);
    return 0;
}

int client_schema_note_absent(struct apply_context *w)
{
    struct buf absent = {0};
    int rc = each_absent(w, put_absent, &absent) ||
             meta_set_text(w->db, "absent_columns", absent.n ? buf_text(&absent) : NULL);
    buf_free(&absent);
    return rc ? -1 : 0;
}

struct places {
    const struct copy *copy;
    const char *known; /* not here when the copy was made */
};

static int check_place(struct apply_context *w, void *ctx, const struct table *t, const char *column)
{
    const struct places *p = ctx;
    const struct table *was = copy_table(p->copy, t->name);
    if (was == NULL || (column && table_column(was, column) < 0))
        return 0; /* it is new */
    struct buf why = {0};
    char *line = absent_line(t, column);
    buf_addf(&why, "%s%s is not in this copy any more", column ? "column " : "it", column ? column : "");
    int rc = strstr(p->known, line) ? 0 : ask_again(w, t->name, buf_text(&why));
    free(line);
    buf_free(&why);
    return rc;
}

/* What was sent before, and was here when the copy was made, has a place here still: a column that somebody has dropped from
 * the copy would be missing in it for ever. */
static int check_places(struct apply_context *w, const struct copy *copy)
{
    char *known = NULL;
    if (meta_get_text(w->db, "absent_columns", &known))
        return -1;
    struct places p = {copy, known ? known : ""};
    int rc = each_absent(w, check_place, &p);
    free(known);
    return rc;
}

static int check_declared(struct apply_context *w)
{
    int rc = 0;
    struct buf why = {0};
    for (size_t i = 0; rc == 0 && i < w->head->nschema; i++) {
        enum schema_fit fit;
        char *table = NULL;
        rc = schema_fit(w->db, w->head->schema[i], &fit, &table, &why);
        if (rc == 0 && fit == SCHEMA_DIFFERS)
            rc = ask_again(w, table, buf_text(&why));
        free(table);
    }
    buf_free(&why);
    return rc;
}

int client_schema_add(struct apply_context *w)
{
    struct copy copy;
    if (client_tables_load(w->db, &copy.table, &copy.n))
        return -1;
    int rc = check_sent(w, &copy) || check_places(w, &copy) ? -1 : 0;
    if (rc == 0 && w->head->nschema)
        rc = check_declared(w) || add_all(w, &copy) ? -1 : 0;
    client_tables_free(copy.table, copy.n);
    return rc;
}

/* ---- a snapshot over a copy ---- */

/* One table that is made again. */
struct again {
    const char *name, *sql;
    const struct table *was, *is; /* as it was sent, and is; was NULL: it was not */
    struct layout *here;
    bool *extra; /* per column here: the application's own */
    bool other_key;
};

/* Whether the change says something of a column that is gone. */
static bool has_no_place(const struct again *a, const struct change *c)
{
    if (a->other_key)
        return true;
    for (size_t i = 0; i < c->table->ncol; i++)
        if (c->new[i].type != VAL_NONE && c->new[i].type != VAL_NULL && !a->extra[i] &&
            table_column(a->is, c->table->col[i]) < 0)
            return true;
    return false;
}

static struct dx_writer *open_save(struct apply_context *w, const struct again *a, struct dx_head *h,
                                   struct file_new **file)
{
    if (w->options->save == NULL) {
        fail(ERR_REFUSED,
             "%s: table %s: changes that were not sent have no place any more in the new copy; say where to "
             "save them "
             "(--save FILE), as initsync does",
             w->name, a->name);
        return NULL;
    }
    if (w->count->saved) {
        fail(ERR_REFUSED, "%s: changes of more than one table have no place any more; send them first",
             w->name);
        return NULL;
    }
    dx_head_init(h, DX_CHANGES);
    dx_head_add_table(h, a->here->table);
    *file = file_new_open(w->options->save);
    return *file ? dx_writer_open(file_new_fd(*file), w->options->save, h, DX_LEVEL_SLOW_LINE) : NULL;
}

/* Saves the pending changes of the table that have no place any more. */
static int save_pending(struct apply_context *w, const struct again *a, int64_t settled, int64_t end)
{
    struct dx_head h = {0};
    struct file_new *file = NULL;
    struct dx_writer *save = NULL;
    struct journal_net *net = journal_net(w->db, a->name, settled, end, JOURNAL_OWN);
    struct change c;
    int64_t saved = 0;
    int got = net ? 0 : -1;
    while (got >= 0 && (got = journal_net_next(net, &c)) > 0) {
        if (!has_no_place(a, &c))
            continue;
        c.origin = "";
        if ((save == NULL && (save = open_save(w, a, &h, &file)) == NULL) || dx_write(save, &c))
            got = -1;
        saved++;
    }
    journal_net_close(net);
    if (save && got == 0) {
        got = dx_writer_close(save) || file_new_commit(file) ? -1 : 0;
        file = NULL;
    } else
        dx_writer_abort(save);
    file_new_abort(file);
    dx_head_free(&h);
    w->count->saved += got == 0 ? saved : 0;
    return got;
}

/* Entries under another key say nothing of rows as they are now: they are no longer sent as made here. */
static int forget_pending(struct apply_context *w, const struct again *a, int64_t settled)
{
    return db_execf(w->db,
                    "UPDATE dx_journal SET origin = '" STORE_UPSTREAM
                    "' WHERE seq > %lld AND what / %d IN (SELECT id "
                    "FROM dx_table WHERE name = %Q)",
                    (long long)settled, JOURNAL_WHAT, a->here->table->name);
}

static int take_care(struct apply_context *w, const struct again *a)
{
    int64_t settled, end, captured;
    if (db_get_int(w->db, &captured, "SELECT count(*) FROM dx_table WHERE name = %Q AND current",
                   a->here->table->name))
        return -1;
    if (captured == 0)
        return 0;
    if (pending_settled(w->db, &settled) || journal_end(w->db, &end) || save_pending(w, a, settled, end))
        return -1;
    return a->other_key ? forget_pending(w, a, settled) : 0;
}

static int remake(struct apply_context *w, struct again *a)
{
    a->extra = mem_zero(a->here->table->ncol, sizeof *a->extra);
    a->other_key = !same_key(a->here->table, a->is);
    for (size_t i = 0; i < a->here->table->ncol; i++) {
        const char *column = a->here->table->col[i];
        a->extra[i] = table_column(a->is, column) < 0 && (a->was == NULL || table_column(a->was, column) < 0);
        if (a->extra[i] && a->other_key)
            return fail(
                ERR_REFUSED,
                "%s: table %s has another primary key now, and a column of the application's own, %s, whose "
                "values would be lost; copy them elsewhere and drop the column",
                w->name, a->name, column);
    }
    if (take_care(w, a) || schema_remake(w->db, a->sql, a->here->table->name, a->extra, !a->other_key))
        return -1;
    return capture_renew(w->db, a->here->table->name);
}

/* Whether a column that was sent is not any more. */
static bool loses_column(const struct table *was, const struct table *is)
{
    for (size_t i = 0; was && i < was->ncol; i++)
        if (table_column(is, was->col[i]) < 0)
            return true;
    return false;
}

/* Takes one statement: a table that is here, and otherwise, is made again. */
static int replace_one(struct apply_context *w, const struct copy *copy, const char *sql)
{
    struct again a = {.sql = sql};
    struct buf why = {0};
    enum schema_fit fit;
    char *table = NULL;
    int64_t here = 0;
    int rc = schema_fit(w->db, sql, &fit, &table, &why) || (table && is_here(w->db, table, &here)) ? -1 : 0;
    a.is = rc == 0 && table ? dx_head_table(w->head, table) : NULL;
    a.was = a.is ? copy_table(copy, table) : NULL;
    if (rc == 0 && here && a.is && (fit == SCHEMA_DIFFERS || loses_column(a.was, a.is))) {
        a.name = table;
        a.here = layout_of(w->db, table);
        rc = a.here ? remake(w, &a) : -1;
    }
    free(a.extra);
    layout_free(a.here);
    free(table);
    buf_free(&why);
    return rc;
}

int client_schema_replace(struct apply_context *w)
{
    struct copy copy;
    if (client_tables_load(w->db, &copy.table, &copy.n) || db_triggers(w->db, false))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->head->nschema; i++)
        rc = replace_one(w, &copy, w->head->schema[i]);
    if (rc == 0)
        rc = add_all(w, &copy);
    client_tables_free(copy.table, copy.n);
    return db_triggers(w->db, true) || rc ? -1 : 0;
}

/* ---- indexes ---- */

/* A unique index that rows of here violate, pending ones: it waits until the server has decided on them. */
static const char sql_make_due[] =
    "CREATE TABLE IF NOT EXISTS dx_index_due (sql TEXT PRIMARY KEY) WITHOUT ROWID";

static int make_index(struct apply_context *w, char *sql)
{
    if (schema_make(w->db, &sql, 1, true) == 0)
        return db_execf(w->db, "DELETE FROM dx_index_due WHERE sql = %Q", sql);
    if (err_code() != ERR_REFUSED)
        return -1;
    w->count->indexes_due++;
    return db_execf(w->db, "INSERT OR IGNORE INTO dx_index_due (sql) VALUES (%Q)", sql);
}

/* Those that waited; gathered first, for a table is not changed under a scan. */
static int make_due(struct apply_context *w)
{
    char **sql = NULL;
    size_t n = 0;
    struct stmt *s = db_prepare(w->db, "SELECT sql FROM dx_index_due ORDER BY sql");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        sql = mem_grow(sql, n + 1, sizeof *sql);
        sql[n++] = mem_text(stmt_text(s, 0));
    }
    stmt_free(s);
    int rc = step == STEP_DONE ? 0 : -1;
    for (size_t i = 0; i < n; i++) {
        rc = rc || make_index(w, sql[i]) ? -1 : 0;
        free(sql[i]);
    }
    free(sql);
    w->indexed |= n > 0;
    return rc;
}

int client_schema_indexes(struct apply_context *w)
{
    int64_t due;
    if (db_get_int(w->db, &due, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_index_due'"))
        return -1;
    if (!due && w->head->nschema == 0)
        return 0;
    db_rest(w->db); /* nothing reads a table whose index is made */
    w->indexed = w->head->nschema > 0;
    if (db_exec(w->db, sql_make_due) || make_due(w))
        return -1;
    w->count->indexes_due = 0;
    for (size_t i = 0; i < w->head->nschema; i++)
        if (make_index(w, w->head->schema[i]))
            return -1;
    return db_get_int(w->db, &w->count->indexes_due, "SELECT count(*) FROM dx_index_due");
}

int client_schema_attach(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    if (!w->indexed || h->ntable == 0)
        return 0;
    const char **name = mem_zero(h->ntable, sizeof *name);
    for (size_t i = 0; i < h->ntable; i++)
        name[i] = h->table[i]->name;
    int rc = capture_attach(w->db, name, h->ntable, NULL);
    free(name);
    return rc;
}
