/* rekey_client: see apply/rekey_client.h. */
#include "apply/rekey_client.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/rekey_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An entry of the journal is pending when it is newer than what the server has judged, and not from the server. */
#define PENDING "seq > ?1 AND origin IS NOT '" STORE_UPSTREAM "' AND what BETWEEN ?2 AND ?2 + 7"

struct renaming {
    struct apply_context *w;
    const struct dx_rekey *rekey;
    struct val old, new; /* what becomes what now */
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
    stmt_bind(s, 3, &r->old);
    stmt_bind(s, 4, &r->new);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

/* Where a layout of the journal has the table's column; -1 where it is of another table, or lacks it. */
static int column_in(const struct journal_table *l, const char *table, const char *column)
{
    return strcasecmp(l->table->name, table) == 0 ? table_column(l->table, column) : -1;
}

/* The name of the table's key, which is one column. */
static const char *key_column(const struct target *t)
{
    return t->table->col[t->table->key[0]];
}

static int rename_entries(struct renaming *r, const char *table, const char *column)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct journal_table *l = &r->layout[i];
        int at = column_in(l, table, column);
        if (at >= 0 && (set_column(r, l, 'c', at) || set_column(r, l, 'd', at)))
            return -1;
    }
    return 0;
}

/* ---- rows ---- */

/* Notes for a companion's nodes that the row went. */
static int note_gone(struct renaming *r, struct target *t, struct val *row)
{
    struct val *none = mem_zero(t->table->ncol, sizeof *none);
    struct change gone = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row, .new = none};
    int rc = change_log_note(&r->w->effect, t, &gone);
    free(none);
    return rc;
}

/* ... and that one column of it is another: where that belongs to its key, the row is another one then. */
static int note_column(struct renaming *r, struct target *t, struct val *row, int column)
{
    struct val *old = mem_zero(t->table->ncol, sizeof *old), *new = mem_zero(t->table->ncol, sizeof *new);
    struct change set = {.table = t->table, .op = CHANGE_UPDATE, .origin = "", .old = old, .new = new};
    struct change come = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = old, .new = new};
    int rc;
    if (t->table->pk[column]) {
        memcpy(new, row, t->table->ncol * sizeof *new);
        new[column] = r->new;
        rc = note_gone(r, t, row) || change_log_note(&r->w->effect, t, &come) ? -1 : 0;
    } else {
        memcpy(old, row, t->table->ncol * sizeof *old);
        new[column] = r->new;
        rc = change_log_note(&r->w->effect, t, &set);
    }
    free(old);
    free(new);
    return rc;
}

/* UPDATE t SET column = ?1 WHERE key, or DELETE: 1 done, 0 a constraint does not let it be, -1. */
static int write_row(struct renaming *r, const struct target *t, const struct val *row, int column,
                     bool delete)
{
    struct buf sql = {0};
    buf_puts(&sql, delete ? "DELETE FROM main." : "UPDATE OR ABORT main.");
    buf_name(&sql, t->table->name);
    if (!delete) {
        buf_puts(&sql, " SET ");
        buf_name(&sql, t->table->col[column]);
        buf_puts(&sql, " = ?1");
    }
    buf_puts(&sql, " WHERE ");
    layout_where_key(&sql, t->table, delete ? 1 : 2);
    struct stmt *s = db_prepare(r->w->db, buf_text(&sql));
    buf_free(&sql);
    if (s == NULL)
        return -1;
    if (!delete)
        stmt_bind(s, 1, &r->new);
    for (size_t k = 0; k < t->table->nkey; k++)
        stmt_bind(s, (delete ? 1 : 2) + (int)k, &row[t->table->key[k]]);
    enum step step = stmt_step(s);
    stmt_free(s);
    return step == STEP_CONSTRAINT ? 0 : step == STEP_ERROR ? -1 : 1;
}

/* The row refers to another row, or has another key: written, and noted for a companion's nodes. Where there is a row like
 * that already, this one means the same, and goes. */
static int change_row(struct renaming *r, struct target *t, const struct change *c, int column)
{
    int here = target_row(t, c, NULL);
    if (here <= 0 || !val_same(&t->now[column], &r->old))
        return here < 0 ? -1 : 0;
    struct val *row = vals_copy(t->now, t->table->ncol);
    int rc = write_row(r, t, row, column, false);
    if (rc > 0)
        rc = note_column(r, t, row, column);
    else if (rc == 0)
        rc = write_row(r, t, row, column, true) < 0 ? -1 : note_gone(r, t, row);
    free(row);
    return rc;
}

/* Whether a pending entry says that its row refers to the old key: in what it sets, or in its row's own key. */
static bool refers(const struct renaming *r, const struct change *c, int column)
{
    const struct val *v = c->op == CHANGE_UPDATE && c->table->pk[column] ? &c->old[column] : &c->new[column];
    return strcmp(c->origin, STORE_UPSTREAM) != 0 && c->op != CHANGE_DELETE && val_same(v, &r->old);
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

/* The row of the target with the old key, as a delete tells it: key is room for a row. */
static struct change old_row(const struct renaming *r, const struct target *t, struct val *key)
{
    key[t->table->key[0]] = r->old;
    return (struct change){.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = key};
}

/* The server's own image of the row, which follows, changes nothing any more: it is this note that a companion's router
 * goes by. */
static int rename_key(struct renaming *r, struct target *t)
{
    struct val *key = mem_zero(t->table->ncol, sizeof *key), *row = NULL;
    struct change c = old_row(r, t, key);
    int column = (int)t->table->key[0], here = target_row(t, &c, NULL), rc = here < 0 ? -1 : 0;
    if (here > 0) {
        row = vals_copy(t->now, t->table->ncol);
        int done = write_row(r, t, row, column, false);
        rc = done > 0    ? note_column(r, t, row, column)
             : done == 0 ? fail(ERR_REFUSED, "%s: table %s: %s cannot get the key that the server gave it",
                                r->w->name, t->table->name, change_show(&c))
                         : -1;
    }
    free(row);
    free(key);
    return rc ? -1 : 0;
}

/* What refers to the old value, in rows and in what is pending. */
static int rename_all_references(struct renaming *r)
{
    const struct dx_rekey *k = r->rekey;
    for (size_t i = 0; i < k->nref; i++)
        if (rename_references(r, k->ref[2 * i], k->ref[2 * i + 1]))
            return -1;
    for (size_t i = 0; i < k->nref; i++)
        if (rename_entries(r, k->ref[2 * i], k->ref[2 * i + 1]))
            return -1;
    return 0;
}

/* Whether the rekey is one that follows another: of a row whose key is its reference (1:1, the table of a subtype). */
static bool follows(const struct renaming *r, const struct target *t)
{
    const char *key = key_column(t);
    for (size_t i = 0; i < r->w->head->nrekey; i++) {
        const struct dx_rekey *k = &r->w->head->rekey[i];
        if (k->adopt || !val_same(&k->old, &r->old) || !val_same(&k->new, &r->new))
            continue;
        for (size_t j = 0; j < k->nref; j++)
            if (strcasecmp(k->ref[2 * j], t->table->name) == 0 && strcasecmp(k->ref[2 * j + 1], key) == 0)
                return true;
    }
    return false;
}

/* Whether the row with the old key was made here, as far back as the server had not acknowledged when the archive came: 1, 0,
 * -1. */
static int made_here(const struct renaming *r, const struct target *t)
{
    int made = 0;
    for (size_t i = 0; i < r->n && made == 0; i++) {
        const struct journal_table *l = &r->layout[i];
        int at = column_in(l, t->table->name, key_column(t));
        if (at < 0)
            continue;
        struct stmt *s = db_preparef(
            r->w->db,
            "SELECT EXISTS (SELECT 1 FROM dx_journal WHERE seq > ?1 AND origin IS NOT '" STORE_UPSTREAM
            "' AND (what = ?2 AND c%d IS ?4 OR what = ?3 AND d%d IS ?4))",
            at, at);
        if (s == NULL)
            return -1;
        stmt_bind_int(s, 1, r->w->settled_before);
        stmt_bind_int(s, 2, l->id * JOURNAL_WHAT + JOURNAL_INSERT);
        stmt_bind_int(s, 3, l->id * JOURNAL_WHAT + JOURNAL_REKEY);
        stmt_bind(s, 4, &r->old);
        made = stmt_step(s) == STEP_ROW ? stmt_int(s, 0) != 0 : -1;
        stmt_free(s);
    }
    return made;
}

static int rename_one(struct renaming *r, struct target *t)
{
    const struct dx_rekey *k = r->rekey;
    int own = follows(r, t) ? made_here(r, t) : 1;
    if (own < 0)
        return -1;
    if (own == 0) /* the row is the server's; a node of this one may have its own */
        return r->companion ? rekey_pass(r->w->db, k) : 0;
    for (size_t i = 0; i < k->nref; i++)
        if (rename_references(r, k->ref[2 * i], k->ref[2 * i + 1]))
            return -1;
    if (rename_key(r, t) || rename_entries(r, k->table, key_column(t)))
        return -1;
    for (size_t i = 0; i < k->nref; i++)
        if (rename_entries(r, k->ref[2 * i], k->ref[2 * i + 1]))
            return -1;
    return r->companion ? rekey_pass(r->w->db, k) : 0;
}

/* ---- rows that another row has taken the place of ---- */

/* A pending delete was of the row that goes anyway, and must not be of the one that stays. */
static int drop_deletes(struct renaming *r, const struct target *t)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct journal_table *l = &r->layout[i];
        int at = column_in(l, t->table->name, key_column(t));
        if (at < 0)
            continue;
        struct stmt *s =
            db_preparef(r->w->db,
                        "DELETE FROM dx_journal WHERE seq > ?1 AND origin IS NOT '" STORE_UPSTREAM
                        "' AND what = ?2 AND c%d IS ?3",
                        at);
        if (s == NULL)
            return -1;
        stmt_bind_int(s, 1, r->settled);
        stmt_bind_int(s, 2, l->id * JOURNAL_WHAT + JOURNAL_DELETE);
        stmt_bind(s, 3, &r->old);
        int rc = stmt_run(s);
        stmt_free(s);
        if (rc)
            return -1;
    }
    return 0;
}

/* The row itself goes. */
static int drop_row(struct renaming *r, struct target *t)
{
    struct val *key = mem_zero(t->table->ncol, sizeof *key);
    struct change c = old_row(r, t, key);
    int rc = target_row(t, &c, NULL);
    if (rc > 0) {
        struct val *row = vals_copy(t->now, t->table->ncol);
        rc = write_row(r, t, row, 0, true);
        rc = rc == 0  ? fail(ERR_REFUSED, "%s: table %s: %s cannot make room for the row that means the same",
                             r->w->name, t->table->name, change_show(&c))
             : rc > 0 ? note_gone(r, t, row)
                      : -1;
        free(row);
    }
    free(key);
    return rc;
}

/* Two rows may trade places: so what refers to each gets a value that nobody has first, and then its own. */
static int adopt_first(struct renaming *r, struct target *t, const struct val *between)
{
    r->old = r->rekey->old;
    r->new = *between;
    return rename_all_references(r) || drop_deletes(r, t) || drop_row(r, t) ||
                   rename_entries(r, t->table->name, key_column(t))
               ? -1
               : 0;
}

static int adopt_then(struct renaming *r, struct target *t, const struct val *between)
{
    r->old = *between;
    r->new = r->rekey->new;
    if (rename_all_references(r) || rename_entries(r, t->table->name, key_column(t)))
        return -1;
    return r->companion ? rekey_pass(r->w->db, r->rekey) : 0;
}

/* What was renamed stands there once, whichever archives say it: a snapshot tells all that there ever were. dx_renamed is of
 * before: it knew no numbers. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_renamed (tbl TEXT, new INTEGER, PRIMARY KEY "
    "(tbl, new)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS dx_rekeyed (tbl TEXT, id INTEGER, old, new, adopt INTEGER,"
    " PRIMARY KEY (tbl, id, old, new)) WITHOUT ROWID";

/* Notes it: 1, or 0 when it was noted before. */
static int note(struct apply_context *w, const struct dx_rekey *k)
{
    int64_t known = 0;
    if (!k->adopt &&
        db_get_int(w->db, &known, "SELECT count(*) FROM dx_renamed WHERE tbl = %Q AND new = %lld", k->table,
                   (long long)k->new.i))
        return -1;
    struct stmt *s =
        known ? NULL : db_prepare(w->db, "INSERT OR IGNORE INTO dx_rekeyed VALUES (?1, ?2, ?3, ?4, ?5)");
    if (s == NULL)
        return known ? 0 : -1;
    stmt_bind_text(s, 1, k->table);
    stmt_bind_int(s, 2, k->id);
    stmt_bind(s, 3, &k->old);
    stmt_bind(s, 4, &k->new);
    stmt_bind_int(s, 5, k->adopt);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc ? -1 : db_changes(w->db) > 0;
}

int rekey_client_none(struct apply_context *w)
{
    int rc = w->head->nrekey ? db_exec(w->db, sql_make) : 0;
    for (size_t i = 0; i < w->head->nrekey && rc >= 0; i++)
        rc = note(w, &w->head->rekey[i]);
    return rc < 0 ? -1 : 0;
}

/* The target of the rekey's table; NULL where it is not here (any more) or, *failed, cannot be renamed in. */
static struct target *target_of(struct renaming *r, bool *failed)
{
    const struct dx_rekey *k = r->rekey;
    int64_t there;
    *failed = true;
    if (db_get_int(r->w->db, &there,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                   k->table))
        return NULL;
    struct target *t = there ? targets_named(&r->w->targets, k->table) : NULL;
    if (t && !(k->adopt ? t->table->nkey == 1 : t->layout->rowid_key)) {
        fail(ERR_REFUSED, "%s: the archive gives rows of table %s other integer keys, but it has none",
             r->w->name, k->table);
        return NULL;
    }
    *failed = there && t == NULL;
    return t;
}

/* A value that no key is, one for each. */
static struct val between(const struct dx_rekey *k, size_t i, char room[64])
{
    if (k->old.type == VAL_INT && k->new.type == VAL_INT)
        return val_int(INT64_MIN / 2 + (int64_t)i);
    snprintf(room, 64, "dx between keys %zu", i);
    return (struct val){.type = VAL_TEXT, .p = (const void *)room, .n = strlen(room)};
}

enum pass { RENAME, ADOPT_FIRST, ADOPT_THEN };

static int pass_one(struct renaming *r, size_t i, enum pass pass)
{
    bool failed;
    char room[64];
    struct target *t = target_of(r, &failed);
    if (t == NULL)
        return failed ? -1 : 0;
    struct val b = between(r->rekey, i, room);
    r->old = r->rekey->old;
    r->new = r->rekey->new;
    return pass == RENAME        ? rename_one(r, t)
           : pass == ADOPT_FIRST ? adopt_first(r, t, &b)
                                 : adopt_then(r, t, &b);
}

/* First rows get the new keys that nobody else has, then rows go over to others. */
static int rename_new(struct renaming *r, const bool *new)
{
    const struct dx_head *h = r->w->head;
    for (int pass = RENAME; pass <= ADOPT_THEN; pass++)
        for (size_t i = 0; i < h->nrekey; i++) {
            r->rekey = &h->rekey[i];
            if (new[i] && r->rekey->adopt == (pass != RENAME) && pass_one(r, i, (enum pass)pass))
                return -1;
        }
    return 0;
}

/* Whether it was noted: 1, 0, -1. A companion's own may have gone on to a newer key meanwhile. */
static int knows(struct apply_context *w, const struct dx_rekey *k)
{
    struct stmt *s = db_prepare(
        w->db, "SELECT EXISTS (SELECT 1 FROM dx_rekeyed WHERE tbl = ?1 AND id = ?2 AND old IS ?3) OR"
               " EXISTS (SELECT 1 FROM dx_renamed WHERE tbl = ?1 AND new IS ?4)");
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, k->table);
    stmt_bind_int(s, 2, k->id);
    stmt_bind(s, 3, &k->old);
    stmt_bind(s, 4, &k->new);
    int known = stmt_step(s) == STEP_ROW ? stmt_int(s, 0) != 0 : -1;
    stmt_free(s);
    return known;
}

/* What the snapshot leaves out is known to a copy that knows the first one listed. Another one may call rows by keys that
 * mean other rows now, in what waits on it or on its own nodes: that would be wrong in silence. */
static int check_earlier(struct apply_context *w, int64_t settled, bool companion)
{
    const struct dx_head *h = w->head;
    int64_t waits;
    if (!h->earlier_rekeys || h->nrekey == 0)
        return 0;
    int known = knows(w, &h->rekey[0]);
    if (known ||
        db_get_int(
            w->db, &waits,
            "SELECT EXISTS (SELECT 1 FROM dx_journal WHERE seq > %lld AND origin IS NOT '" STORE_UPSTREAM
            "')",
            (long long)settled))
        return known > 0 ? 0 : -1;
    if (!waits && !companion)
        return 0;
    return fail(
        ERR_REFUSED,
        "%s: this copy is from before many new keys of its rows, which the snapshot does not tell any more, "
        "and %s; nothing was changed. Make a new copy beside it, and take over with syncdiff what only "
        "this one has",
        w->name, waits ? "changes wait on it" : "it feeds copies of its own");
}

int rekey_client_rows(struct apply_context *w, int64_t settled, bool companion)
{
    struct renaming r = {.w = w, .settled = settled, .companion = companion};
    if (w->head->nrekey == 0)
        return 0;
    if (db_exec(w->db, sql_make) || check_earlier(w, settled, companion))
        return -1;
    bool *new = mem_zero(w->head->nrekey, sizeof *new);
    int rc = journal_tables(w->db, &r.layout, &r.n) ? -1 : 0;
    for (size_t i = 0; i < w->head->nrekey && rc == 0; i++) {
        int noted = note(w, &w->head->rekey[i]);
        new[i] = noted > 0;
        w->count->renamed += noted > 0;
        rc = noted < 0 ? -1 : 0;
    }
    rc = rc || rename_new(&r, new) ? -1 : 0;
    journal_tables_free(r.layout, r.n);
    free(new);
    return rc;
}

int rekey_client_each(struct db *db, rekey_client_fn *fn, void *ctx)
{
    int64_t there;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_rekeyed'"))
        return -1;
    if (there == 0)
        return 0;
    struct stmt *s = db_prepare(db, "SELECT tbl, old, new, adopt FROM dx_rekeyed ORDER BY tbl, id");
    enum step step = STEP_ERROR;
    int rc = 0;
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct val old = stmt_val(s, 1), new = stmt_val(s, 2);
        rc = fn(ctx, stmt_text(s, 0), &old, &new, stmt_int(s, 3) != 0);
    }
    stmt_free(s);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}
