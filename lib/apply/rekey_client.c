/* rekey_client: see apply/rekey_client.h. */
#include "apply/rekey_client.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/rekey_map.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An entry of the journal is pending when it is newer than what the server has judged, and not from the server. */
#define PENDING "seq > ?1 AND origin IS NOT '" STORE_UPSTREAM "' AND what BETWEEN ?2 AND ?2 + 7"

struct renaming {
    struct apply_context *w;
    const struct dx_rekey *rekey;
    int64_t settled;
    struct journal_table *layout;
    size_t n;
    bool companion;
};

/* ---- the journal ---- */

/* Sets one column of the journal where it holds the old key, in pending entries of the layout. */
static int set_column(struct renaming *r, const struct journal_table *l, char side, int column)
{
    struct buf sql = {0};
    buf_addf(&sql, "UPDATE dx_journal SET %c%d = ?4 WHERE " PENDING " AND %c%d = ?3", side, column, side,
             column);
    struct stmt *s = db_prepare(r->w->db, buf_text(&sql));
    buf_free(&sql);
    if (s == NULL)
        return -1;
    stmt_bind_int(s, 1, r->settled);
    stmt_bind_int(s, 2, l->id * JOURNAL_WHAT);
    stmt_bind_int(s, 3, r->rekey->old);
    stmt_bind_int(s, 4, r->rekey->new);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

static int rename_entries(struct renaming *r, const char *table, const char *column)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct journal_table *l = &r->layout[i];
        int at = strcasecmp(l->table->name, table) == 0 ? table_column(l->table, column) : -1;
        if (at >= 0 && (set_column(r, l, 'c', at) || set_column(r, l, 'd', at)))
            return -1;
    }
    return 0;
}

/* ---- rows ---- */

/* The row has another key or refers to another row: written, and told to a companion's nodes. */
static int change_row(struct renaming *r, struct target *t, const struct change *c, int column)
{
    struct val *old = mem_zero(t->table->ncol, sizeof *old), *new = mem_zero(t->table->ncol, sizeof *new);
    struct change set = {.table = t->table, .op = CHANGE_UPDATE, .origin = "", .old = old, .new = new};
    struct change gone = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = old, .new = new};
    struct change come = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = old, .new = new};
    int here = target_row(t, c, NULL), rc = here < 0 ? -1 : 0;
    if (here > 0 && t->now[column].type == VAL_INT && t->now[column].i == r->rekey->old) {
        struct val *row = vals_copy(t->now, t->table->ncol);
        struct buf sql = {0};
        memcpy(old, row, t->table->ncol * sizeof *old);
        buf_puts(&sql, "UPDATE OR ABORT main.");
        buf_name(&sql, t->table->name);
        buf_puts(&sql, " SET ");
        buf_name(&sql, t->table->col[column]);
        buf_puts(&sql, " = ?1 WHERE ");
        layout_where_key(&sql, t->table, 2);
        struct stmt *s = db_prepare(r->w->db, buf_text(&sql));
        buf_free(&sql);
        rc = s ? 0 : -1;
        if (s)
            stmt_bind_int(s, 1, r->rekey->new);
        for (size_t k = 0; s && k < t->table->nkey; k++)
            stmt_bind(s, 2 + (int)k, &row[t->table->key[k]]);
        rc = rc || stmt_run(s) ? -1 : 0;
        stmt_free(s);
        if (rc == 0 && t->table->pk[column]) {
            rc = change_log_note(&r->w->effect, t, &gone);
            memset(old, 0, t->table->ncol * sizeof *old);
            memcpy(new, row, t->table->ncol * sizeof *new);
            new[column] = val_int(r->rekey->new);
            rc = rc || change_log_note(&r->w->effect, t, &come) ? -1 : 0;
        } else if (rc == 0) {
            new[column] = val_int(r->rekey->new);
            rc = change_log_note(&r->w->effect, t, &set);
        }
        free(row);
    }
    free(old);
    free(new);
    return rc;
}

/* Whether a pending entry says that its row refers to the old key: in what it sets, or in its row's own key. */
static bool refers(const struct renaming *r, const struct change *c, int column)
{
    const struct val *v = c->op == CHANGE_UPDATE && c->table->pk[column] ? &c->old[column] : &c->new[column];
    return strcmp(c->origin, STORE_UPSTREAM) != 0 && c->op != CHANGE_DELETE && v->type == VAL_INT &&
           v->i == r->rekey->old;
}

/* The rows that refer to the old key by a pending change. What refers to it otherwise speaks of the row that has it
 * rightly, or has been rewritten by the server, which sends it. */
static int rename_references(struct renaming *r, const char *table, const char *name)
{
    int64_t end, there;
    if (db_get_int(r->w->db, &there,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                   table))
        return -1;
    struct target *t = there ? targets_named(&r->w->targets, table) : NULL;
    int column = t ? table_column(t->table, name) : -1;
    if (column < 0)
        return there && t == NULL ? -1 : 0;
    if (journal_end(r->w->db, &end))
        return -1;
    struct journal_reader *j = journal_read(r->w->db, r->settled, end);
    struct change c, mapped;
    int got = -1;
    while (j && (got = journal_next(j, &c)) > 0) {
        if (strcasecmp(c.table->name, table) != 0)
            continue;
        int rc = targets_for(&r->w->targets, c.table) ? 0 : -1;
        if (rc == 0) {
            target_map(t, c.table, &c, &mapped);
            rc = refers(r, &mapped, column) ? change_row(r, t, &mapped, column) : 0;
        }
        targets_forget(&r->w->targets, c.table);
        if (rc) {
            got = -1;
            break;
        }
    }
    journal_reader_close(j);
    return got;
}

static int rename_key(struct renaming *r, struct target *t)
{
    const char *key = t->table->col[t->table->key[0]];
    return db_execf(r->w->db, "UPDATE OR ABORT main.\"%w\" SET \"%w\" = %lld WHERE \"%w\" = %lld",
                    t->table->name, key, (long long)r->rekey->new, key, (long long)r->rekey->old);
}

static int rename_one(struct renaming *r)
{
    const struct dx_rekey *k = r->rekey;
    struct target *t = targets_named(&r->w->targets, k->table);
    if (t == NULL || !t->layout->rowid_key)
        return t ? fail(ERR_REFUSED,
                        "%s: the archive gives rows of table %s other integer keys, but it has none",
                        r->w->name, k->table)
                 : -1;
    for (size_t i = 0; i < k->nref; i++)
        if (rename_references(r, k->ref[2 * i], k->ref[2 * i + 1]))
            return -1;
    if (rename_key(r, t) || rename_entries(r, k->table, t->table->col[t->table->key[0]]))
        return -1;
    for (size_t i = 0; i < k->nref; i++)
        if (rename_entries(r, k->ref[2 * i], k->ref[2 * i + 1]))
            return -1;
    return r->companion ? rekey_pass(r->w->db, k) : 0;
}

/* What was renamed stands there once, whichever archives say it: a snapshot tells all that there ever were. Nobody else
 * has the new key, so that it tells them apart. */
static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_renamed (tbl TEXT, new INTEGER, PRIMARY KEY "
                               "(tbl, new)) WITHOUT ROWID";

/* Notes it: 1, or 0 when it was noted before. */
static int note(struct apply_context *w, const struct dx_rekey *k)
{
    if (db_execf(w->db, "INSERT OR IGNORE INTO dx_renamed (tbl, new) VALUES (%Q, %lld)", k->table,
                 (long long)k->new))
        return -1;
    return db_changes(w->db) > 0;
}

int rekey_client_none(struct apply_context *w)
{
    int rc = w->head->nrekey ? db_exec(w->db, sql_make) : 0;
    for (size_t i = 0; i < w->head->nrekey && rc >= 0; i++)
        rc = note(w, &w->head->rekey[i]);
    return rc < 0 ? -1 : 0;
}

/* Renames what is noted for the first time; a table may have left the package since. */
static int rename_new(struct renaming *r)
{
    int64_t there;
    int new = note(r->w, r->rekey);
    if (new <= 0)
        return new;
    if (db_get_int(r->w->db, &there,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                   r->rekey->table))
        return -1;
    return there ? rename_one(r) : 0;
}

int rekey_client_rows(struct apply_context *w, int64_t settled, bool companion)
{
    struct renaming r = {.w = w, .settled = settled, .companion = companion};
    if (w->head->nrekey == 0)
        return 0;
    int rc = db_exec(w->db, sql_make) || journal_tables(w->db, &r.layout, &r.n) ? -1 : 0;
    if (db_triggers(w->db, false))
        rc = -1;
    for (size_t i = 0; i < w->head->nrekey && rc == 0; i++) {
        r.rekey = &w->head->rekey[i];
        rc = rename_new(&r);
    }
    if (db_triggers(w->db, true))
        rc = -1;
    journal_tables_free(r.layout, r.n);
    return rc;
}
