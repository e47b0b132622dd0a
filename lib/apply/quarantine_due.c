/* quarantine_due: see apply/quarantine_due.h. */
#include "apply/quarantine_due.h"

#include "apply/quarantine.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "sql/key.h"

#include <stdlib.h>
#include <string.h>

enum {
    TURN = 20,   /* entries of others that are tried without a reason */
    OF_ROW = 100 /* entries of one row that are tried together, the oldest ones */
};

/* A row that an entry waits for. Entries that are not here wait for something else. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_quarantine_parent (entry INTEGER PRIMARY KEY, tbl TEXT NOT NULL COLLATE "
    "NOCASE, key);"
    "CREATE INDEX IF NOT EXISTS dx_quarantine_parent_row ON dx_quarantine_parent (tbl, key)";
static const char sql_await[] =
    "INSERT OR REPLACE INTO dx_quarantine_parent (entry, tbl, key) VALUES (?1, ?2, ?3)";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q";
static const char sql_all[] = "SELECT id FROM dx_quarantine";
static const char sql_own[] = "SELECT id FROM dx_quarantine WHERE origin = ?1";
/* Of rows that were not taken, when somebody has decided about them. */
static const char sql_decided[] = "SELECT r.entry FROM dx_rejected_change AS r JOIN dx_conflict AS c"
                                  " ON c.id = r.conflict WHERE c.resolved IS NOT NULL";
static const char sql_turn[] =
    "SELECT id FROM dx_quarantine WHERE id > ?2 AND origin IS NOT ?1 ORDER BY id LIMIT ?3";
/* What came before of its row, too: a change is not tried ahead of those. */
static const char sql_of_row[] =
    "SELECT b.id FROM dx_quarantine AS a JOIN dx_quarantine AS b"
    " ON b.origin IS a.origin AND b.tbl = a.tbl AND b.key IS a.key WHERE a.id = ?1 ORDER BY b.id LIMIT ?2";
static const char sql_waiting[] = "SELECT entry FROM dx_quarantine_parent WHERE tbl = ?1 AND key IS ?2";
static const char sql_parents[] = "SELECT DISTINCT tbl, key FROM dx_quarantine_parent";

struct quarantine_due {
    struct targets *targets;
    struct stmt *waiting; /* NULL: no entry waits for a row */
    struct stmt *of_row;
    size_t n;
    int64_t *id;
};

static int present(struct db *db, const char *table)
{
    int64_t n;
    return db_get_int(db, &n, sql_present, table) ? -1 : n > 0;
}

static void add(struct quarantine_due *d, int64_t id)
{
    d->id = mem_append(d->id, d->n, sizeof *d->id);
    d->id[d->n++] = id;
}

/* Adds what the statement, which is freed, finds. */
static int add_all(struct quarantine_due *d, struct stmt *s)
{
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add(d, stmt_int(s, 0));
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* Adds the entries of that one's row, the oldest ones, `most` at most. */
static int add_row_of(struct quarantine_due *d, int64_t id, size_t most)
{
    enum step step;
    stmt_bind_int(d->of_row, 1, id);
    stmt_bind_int(d->of_row, 2, (int64_t)most);
    while ((step = stmt_step(d->of_row)) == STEP_ROW)
        add(d, stmt_int(d->of_row, 0));
    stmt_reset(d->of_row);
    return step == STEP_DONE ? 0 : -1;
}

/* ---- rows that came ---- */

static int came(struct quarantine_due *d, const char *table, const struct val *key)
{
    enum step step;
    int rc = 0;
    stmt_bind_text(d->waiting, 1, table);
    stmt_bind(d->waiting, 2, key);
    while (rc == 0 && (step = stmt_step(d->waiting)) == STEP_ROW)
        rc = add_row_of(d, stmt_int(d->waiting, 0), OF_ROW);
    stmt_reset(d->waiting);
    return rc || step == STEP_ERROR ? -1 : 0;
}

int quarantine_due_inserted(struct quarantine_due *d, const struct change *c)
{
    if (d->waiting == NULL)
        return 0;
    struct buf room = {0};
    struct val key = change_packed_key(c, &room);
    int rc = came(d, c->table->name, &key);
    buf_free(&room);
    return rc;
}

/* By what the journal holds from `after` to `upto`. */
static int look_in_journal(struct quarantine_due *d, int64_t after, int64_t upto)
{
    struct journal_reader *r = journal_read(d->targets->db, after, upto);
    struct change c;
    int got = -1;
    while (r && (got = journal_next(r, &c)) > 0)
        if (c.op == CHANGE_INSERT && quarantine_due_inserted(d, &c)) {
            got = -1;
            break;
        }
    journal_reader_close(r);
    return got;
}

static int is_here(struct targets *ts, const char *table, const struct val *packed)
{
    struct target *t = targets_named(ts, table);
    if (t == NULL) /* it may be gone, or be another kind of table by now */
        return 0;
    struct val *row = mem_zero(t->table->ncol, sizeof *row), *key = mem_zero(t->table->nkey, sizeof *key);
    struct change c = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
    int here = 0;
    if (key_unpack(packed, t->table->nkey, key)) {
        for (size_t i = 0; i < t->table->nkey; i++)
            row[t->table->key[i]] = key[i];
        here = target_row(t, &c, NULL);
    }
    free(row);
    free(key);
    return here;
}

/* By the rows themselves. */
static int look_at_rows(struct quarantine_due *d)
{
    struct stmt *s = db_prepare(d->targets->db, sql_parents);
    enum step step = STEP_ERROR;
    int here = 0;
    while (s && here >= 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct val key = stmt_val(s, 1);
        here = is_here(d->targets, stmt_text(s, 0), &key);
        if (here > 0 && came(d, stmt_text(s, 0), &key))
            here = -1;
    }
    stmt_free(s);
    return here < 0 || step == STEP_ERROR ? -1 : 0;
}

/* What others than merges have written since the last merge: what the journal holds of it, or, where that is more than
 * there are rows to ask for or trimmed in part, the rows. */
static int look_at_writes(struct quarantine_due *d, int64_t written)
{
    struct db *db = d->targets->db;
    int64_t seen, first, rows;
    if (d->waiting == NULL)
        return 0;
    if (meta_get_int(db, "quarantine_seen", &seen) ||
        db_get_int(db, &first, "SELECT min(seq) FROM dx_journal") ||
        db_get_int(db, &rows, "SELECT count(*) FROM dx_quarantine_parent"))
        return -1;
    if (seen == written)
        return 0;
    bool whole = seen > 0 && seen < written && first <= seen + 1;
    return whole && written - seen < rows ? look_in_journal(d, seen, written) : look_at_rows(d);
}

/* ---- what is due at first ---- */

static struct stmt *of_sender(struct quarantine_due *d, const char *sql, const char *sender)
{
    struct stmt *s = db_prepare(d->targets->db, sql);
    if (s)
        stmt_bind_text(s, 1, sender);
    return s;
}

/* Adds others' entries behind `turn` until `*left` are added; *turn is the last one then. */
static int add_turn(struct quarantine_due *d, const char *sender, int64_t *turn, size_t *left)
{
    struct stmt *s = of_sender(d, sql_turn, sender);
    enum step step = STEP_ERROR;
    size_t most = d->n + *left;
    if (s) {
        stmt_bind_int(s, 2, *turn);
        stmt_bind_int(s, 3, (int64_t)*left);
    }
    while (s && d->n < most && (step = stmt_step(s)) == STEP_ROW) {
        *turn = stmt_int(s, 0);
        if (add_row_of(d, *turn, most - d->n))
            step = STEP_ERROR;
        if (step == STEP_ERROR)
            break;
    }
    *left = d->n < most ? most - d->n : 0;
    stmt_free(s);
    return step == STEP_ERROR ? -1 : 0;
}

static int add_some(struct quarantine_due *d, const char *sender)
{
    struct db *db = d->targets->db;
    int64_t turn;
    size_t left = TURN;
    if (meta_get_int(db, "quarantine_turn", &turn))
        return -1;
    int64_t before = turn;
    if (add_turn(d, sender, &turn, &left))
        return -1;
    if (left && before) { /* round again */
        turn = 0;
        if (add_turn(d, sender, &turn, &left))
            return -1;
    }
    if (left) /* that was all */
        turn = 0;
    return turn == before ? 0 : meta_set_int(db, "quarantine_turn", turn);
}

static int begin(struct quarantine_due *d, const char *sender, int64_t written)
{
    struct db *db = d->targets->db;
    int awaited = present(db, "dx_quarantine_parent"), rejected = present(db, "dx_rejected_change");
    if (awaited < 0 || rejected < 0 || quarantine_make(db) ||
        (d->of_row = db_prepare(db, sql_of_row)) == NULL ||
        (awaited && (d->waiting = db_prepare(db, sql_waiting)) == NULL))
        return -1;
    if (add_all(d, of_sender(d, sql_own, sender)) || (rejected && add_all(d, db_prepare(db, sql_decided))))
        return -1;
    return add_some(d, sender) || look_at_writes(d, written) ? -1 : 0;
}

struct quarantine_due *quarantine_due_open(struct targets *ts, const char *sender, int64_t written)
{
    struct quarantine_due *d = mem_zero(1, sizeof *d);
    d->targets = ts;
    int there = present(ts->db, "dx_quarantine");
    if (there > 0)
        there = sender ? begin(d, sender, written) : add_all(d, db_prepare(ts->db, sql_all));
    if (there == 0)
        return d;
    quarantine_due_close(d);
    return NULL;
}

void quarantine_due_close(struct quarantine_due *d)
{
    if (d == NULL)
        return;
    stmt_free(d->waiting);
    stmt_free(d->of_row);
    free(d->id);
    free(d);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t *quarantine_due_take(struct quarantine_due *d, size_t *n)
{
    int64_t *id = d->id;
    *n = 0;
    if (d->n)
        qsort(id, d->n, sizeof *id, by_id);
    for (size_t i = 0; i < d->n; i++)
        if (*n == 0 || id[*n - 1] != id[i])
            id[(*n)++] = id[i];
    d->id = NULL;
    d->n = 0;
    return id;
}

/* ---- notes ---- */

int quarantine_due_await(struct db *db, int64_t entry, const char *table, const struct val *key)
{
    struct stmt *s = db_prepare(db, sql_await);
    if (s == NULL && db_exec(db, sql_make) == 0)
        s = db_prepare(db, sql_await);
    if (s == NULL)
        return -1;
    stmt_bind_int(s, 1, entry);
    stmt_bind_text(s, 2, table);
    stmt_bind(s, 3, key);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int quarantine_due_remove(struct db *db, int64_t entry)
{
    int awaited = present(db, "dx_quarantine_parent");
    if (awaited < 0 ||
        (awaited && db_execf(db, "DELETE FROM dx_quarantine_parent WHERE entry = %lld", (long long)entry)))
        return -1;
    return quarantine_remove(db, entry);
}

int quarantine_due_seen(struct db *db)
{
    int64_t end;
    int awaited = meta_present(db) > 0 ? present(db, "dx_quarantine_parent") : 0;
    if (awaited <= 0)
        return awaited;
    return journal_end(db, &end) ? -1 : meta_set_int(db, "quarantine_seen", end);
}
