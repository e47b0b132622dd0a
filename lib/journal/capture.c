/* capture: see journal/capture.h. */
#include "journal/capture.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sha.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "journal/trigger.h"
#include "journal/upgrade.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Triggers first: what is made on a table goes with it. */
static const char sql_ours[] = "SELECT type, name FROM main.sqlite_schema "
                               "WHERE type = 'trigger' AND name GLOB 'dx_[a-z]*_[0-9]*' UNION ALL "
                               "SELECT type, name FROM main.sqlite_schema "
                               "WHERE type = 'table' AND name GLOB 'dx_replaced_[0-9]*'";

static const char sql_later_trigger[] =
    "SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = %Q COLLATE NOCASE "
    "AND name NOT GLOB 'dx_[a-z]*_[0-9]*' AND rowid > "
    "(SELECT min(rowid) FROM main.sqlite_schema WHERE type = 'trigger' AND name GLOB 'dx_[a-z]*_%lld')";

static const char sql_trigger_table[] =
    "SELECT tbl_name FROM main.sqlite_schema WHERE type = 'trigger' AND name = %Q";

static const char sql_trigger[] = "SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND name = %Q";

/* What is made on a table is dropped with it; a table made again under its name comes behind dx_replaced_ID in the schema,
 * also after VACUUM, and any program that restores our triggers on it. */
static const char sql_same_table[] =
    "SELECT count(*) FROM main.sqlite_schema AS r JOIN main.sqlite_schema AS t ON t.rowid < r.rowid "
    "WHERE r.type = 'table' AND r.name = 'dx_replaced_%lld' AND t.type = 'table' AND t.name = %Q COLLATE "
    "NOCASE";

/* A collation of a table's indexes, or the one given, that is not SQLite's own. */
static const char sql_collation[] =
    "SELECT coll FROM (SELECT x.coll FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS x UNION "
    "ALL SELECT ?2) WHERE coll COLLATE NOCASE NOT IN ('BINARY', 'NOCASE', 'RTRIM') LIMIT 1";

static const char sql_exists[] =
    "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE";

/* Tables of a node's copy that were written without capture, and where the journal ended when they were captured again:
 * what was changed in them up to there is found by comparison (compare/uncaptured.h). */
static const char sql_make_uncaptured[] = "CREATE TABLE IF NOT EXISTS dx_uncaptured ("
                                          " name TEXT PRIMARY KEY, upto INTEGER NOT NULL) WITHOUT ROWID";

static const char gone[] = "the table is gone";

/* What is amiss with the capture of a table. */
struct amiss {
    struct buf text; /* empty: nothing */
    bool gone;       /* there is no such table */
    bool gap;        /* it was, or may have been, changed without an entry in the journal */
    bool upgraded;   /* given: its triggers are of an older format, with one for all updates */
};

/* ---- one table as it is ---- */

/* A table's layout and indexes, from which its triggers follow. */
struct subject {
    struct layout *l;
    struct unique u;
};

static int subject_open(struct subject *s, struct db *db, const char *table)
{
    *s = (struct subject){.l = layout_of(db, table)};
    return s->l == NULL || unique_of(db, s->l, &s->u) ? -1 : 0;
}

static void subject_close(struct subject *s)
{
    unique_free(&s->u);
    layout_free(s->l);
}

/* Whether a trigger that the table needs is there, on this table. */
static int check_present(struct db *db, const struct subject *s, int64_t id, int number, struct amiss *amiss)
{
    char *name = trigger_name(number, id), *want = trigger_sql(number, s->l, &s->u, id), *table = NULL;
    int rc = want ? db_get_text(db, &table, sql_trigger_table, name) : 0;
    bool elsewhere = table && number != TRIGGER_SETTLE && strcasecmp(table, s->l->table->name) != 0;
    if (rc == 0 && want && (table == NULL || elsewhere)) {
        buf_addf(&amiss->text, "trigger %s is missing", name);
        amiss->gap = true;
    }
    free(table);
    free(want);
    free(name);
    return rc;
}

/* Whether the triggers know of every index by which an insert with REPLACE may delete a row now. */
static int knows_indexes(struct db *db, const struct subject *s, int64_t id)
{
    char *name = trigger_name(TRIGGER_COLLIDE, id), *have = NULL;
    int rc = db_get_text(db, &have, sql_trigger, name);
    bool knows = have != NULL;
    for (size_t i = 0; knows && i < s->u.n; i++)
        knows = strstr(have, s->u.collides[i]) != NULL;
    free(have);
    free(name);
    return rc ? -1 : knows;
}

/* Whether rows of the table came, or changed in what is unique, since capture was last found whole. */
static int written_since(struct db *db, const struct subject *s, int64_t id, bool *written)
{
    int64_t whole, found;
    struct buf sql = {0};
    if (meta_get_int(db, "captured_upto", &whole))
        return -1;
    buf_addf(&sql, "SELECT EXISTS (SELECT 1 FROM dx_journal WHERE seq > %lld AND (what IN (%lld, %lld)",
             (long long)whole, (long long)(id * JOURNAL_WHAT + JOURNAL_INSERT),
             (long long)(id * JOURNAL_WHAT + JOURNAL_REKEY));
    for (size_t i = 0; i < s->l->table->ncol; i++)
        if (s->u.decides[i])
            buf_addf(&sql, " OR (what = %lld AND (c%zu IS NOT NULL OR d%zu IS NOT NULL))",
                     (long long)(id * JOURNAL_WHAT + JOURNAL_UPDATE), i, i);
    buf_puts(&sql, "))");
    int rc = db_get_int(db, &found, "%s", buf_text(&sql));
    buf_free(&sql);
    *written = found != 0;
    return rc;
}

/* A trigger is missing, or not as it should be. A new unique index, or a new cascade, is a gap when rows were written since:
 * they may have made others go. */
static int judge_unfit(struct db *db, const struct subject *s, int64_t id, int number, bool missing,
                       struct amiss *amiss)
{
    int knows = knows_indexes(db, s, id);
    if (knows < 0)
        return -1;
    if (!knows || (missing && number == TRIGGER_DOOM))
        return written_since(db, s, id, &amiss->gap);
    amiss->gap = missing;
    return 0;
}

/* Whether the trigger is as it should be. */
static int check_trigger(struct db *db, const struct subject *s, int64_t id, int number, struct amiss *amiss)
{
    char *name = trigger_name(number, id), *want = trigger_sql(number, s->l, &s->u, id), *have = NULL;
    int rc = db_get_text(db, &have, sql_trigger, name);
    if (rc == 0 && (want == NULL ? have != NULL : have == NULL || strcmp(want, have) != 0)) {
        buf_addf(&amiss->text, "trigger %s does not fit the table's columns and indexes", name);
        rc = judge_unfit(db, s, id, number, want && have == NULL, amiss);
    }
    free(have);
    free(want);
    free(name);
    return rc;
}

/* Whether the table, captured as `was`, is still that one, with its triggers on it: columns are another question. */
static int check_identity(struct db *db, const struct subject *s, const struct journal_table *was,
                          struct amiss *amiss)
{
    int64_t same;
    if (db_get_int(db, &same, sql_same_table, (long long)was->id, s->l->table->name))
        return -1;
    if (!same) {
        buf_puts(&amiss->text, "the table was made again after it was captured");
        amiss->gap = true;
    }
    int rc = 0, n = amiss->upgraded ? TRIGGER_UPDATE : trigger_count(was->table);
    for (int i = 0; rc == 0 && amiss->text.n == 0 && i < n; i++)
        if (i != TRIGGER_UNIQUE &&
            i != TRIGGER_DOOM) /* which these columns need, those before may not have */
            rc = check_present(db, s, was->id, i, amiss);
    return rc;
}

static int check_triggers(struct db *db, const struct subject *s, int64_t id, struct amiss *amiss)
{
    int rc = 0, n = trigger_count(s->l->table);
    for (int i = 0; rc == 0 && amiss->text.n == 0 && i < n; i++)
        rc = check_trigger(db, s, id, i, amiss);
    return rc;
}

/* SQLite fires the trigger made last first, and ours must note a change before a trigger of the application's makes
 * another to the same row. */
static int check_order(struct db *db, const struct journal_table *t, struct amiss *amiss)
{
    char *later = NULL;
    int rc = db_get_text(db, &later, sql_later_trigger, t->table->name, (long long)t->id);
    if (later)
        buf_addf(&amiss->text,
                 "trigger %s was made after it was attached, and fires before the change is noted", later);
    free(later);
    return rc;
}

static void check_columns(const struct table *was, const struct table *is, struct buf *amiss)
{
    const char *and = amiss->n ? ", and " : "";
    size_t before = amiss->n;
    for (size_t i = 0; i < is->ncol && amiss->n == before; i++)
        if (table_column(was, is->col[i]) < 0)
            buf_addf(amiss, "%scolumn %s is new and not captured", and, is->col[i]);
    for (size_t i = 0; i < was->ncol && amiss->n == before; i++)
        if (table_column(is, was->col[i]) < 0)
            buf_addf(amiss, "%scolumn %s is gone", and, was->col[i]);
    if (amiss->n == before && !table_same(was, is))
        buf_addf(amiss, "%sits columns or key have another order", and);
}

/* Finds what is amiss with a captured table: whether it is the same table with its triggers, and its columns, are looked
 * at apart from each other. */
static int check_table(struct db *db, const struct journal_table *t, struct amiss *amiss)
{
    int64_t exists;
    if (db_get_int(db, &exists, sql_exists, t->table->name))
        return -1;
    if (exists == 0) {
        buf_puts(&amiss->text, gone);
        amiss->gone = true;
        return 0;
    }
    struct subject s;
    int rc = subject_open(&s, db, t->table->name);
    if (rc == 0)
        rc = check_identity(db, &s, t, amiss);
    if (rc == 0) {
        check_columns(t->table, s.l->table, &amiss->text);
        if (amiss->text.n == 0)
            rc = check_triggers(db, &s, t->id, amiss);
        if (rc == 0 && amiss->text.n == 0)
            rc = check_order(db, t, amiss);
    }
    subject_close(&s);
    return rc;
}

/* ---- what was found whole ---- */

static int schema_version(struct db *db, int64_t *version)
{
    return db_get_int(db, version, "PRAGMA main.schema_version");
}

int capture_note_whole(struct db *db)
{
    int64_t version, known, end;
    if (schema_version(db, &version) || meta_get_int(db, "captured_schema", &known) || journal_end(db, &end))
        return -1;
    if (version != known && meta_set_int(db, "captured_schema", version))
        return -1;
    return meta_set_int(db, "captured_upto", end);
}

/* Whether nothing in the schema has changed since all was found whole: 1, 0, -1. */
static int known_whole(struct db *db)
{
    int64_t version, known;
    if (schema_version(db, &version) || meta_get_int(db, "captured_schema", &known))
        return -1;
    return version == known;
}

/* ---- tables written without capture ---- */

int capture_uncaptured(struct db *db, struct uncaptured **out, size_t *n)
{
    int64_t there;
    *out = NULL;
    *n = 0;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_uncaptured'"))
        return -1;
    if (there == 0)
        return 0;
    struct stmt *s = db_prepare(db, "SELECT name, upto FROM dx_uncaptured ORDER BY name");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *out = mem_grow(*out, *n + 1, sizeof **out);
        (*out)[(*n)++] = (struct uncaptured){mem_text(stmt_text(s, 0)), stmt_int(s, 1)};
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

void capture_uncaptured_free(struct uncaptured *u, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(u[i].table);
    free(u);
}

int capture_compared(struct db *db, const char *table)
{
    return db_execf(db, "DELETE FROM dx_uncaptured WHERE name = %Q", table);
}

/* A copy of a node has something to be compared with: 1, 0, -1. */
static int is_copy(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "SELECT count(*) FROM dx_meta WHERE name = 'server'") ? -1 : n > 0;
}

static int refuse_uncaptured(struct db *db)
{
    struct uncaptured *u;
    size_t n;
    if (capture_uncaptured(db, &u, &n))
        return -1;
    int rc = 0;
    if (n)
        rc = fail(
            ERR_AGAIN,
            "%s: table %s was changed while it was not captured; what was changed is found by comparing it "
            "with the server: run remotesync (see `txnlog recover` in txnlog(1))",
            db_path(db), u[0].table);
    capture_uncaptured_free(u, n);
    return rc;
}

static int check_tables(struct db *db)
{
    struct journal_table *tables;
    size_t n, current = 0;
    if (journal_tables(db, &tables, &n))
        return -1;
    int rc = 0;
    struct amiss amiss = {0};
    for (size_t i = 0; rc == 0 && i < n; i++) {
        current += tables[i].current;
        if (tables[i].current)
            rc = check_table(db, &tables[i], &amiss);
        if (rc == 0 && amiss.text.n)
            rc = fail(ERR_REFUSED, "%s: table %s: %s; run `txnlog attach` again", db_path(db),
                      tables[i].table->name, buf_text(&amiss.text));
    }
    if (rc == 0 && current == 0)
        rc = fail(ERR_REFUSED, "%s: no table is captured; run `txnlog attach`", db_path(db));
    buf_free(&amiss.text);
    journal_tables_free(tables, n);
    return rc;
}

int capture_check(struct db *db)
{
    if (meta_require(db))
        return -1;
    int whole = known_whole(db);
    if (whole < 0 || (whole == 0 && check_tables(db)))
        return -1;
    return refuse_uncaptured(db);
}

/* ---- taking away ---- */

/* Drops our triggers and tables whose name matches the pattern. */
static int drop_ours(struct db *db, const char *glob)
{
    struct stmt *s = db_preparef(db, "SELECT type, name FROM (%s) WHERE name GLOB %Q", sql_ours, glob);
    if (s == NULL)
        return -1;
    struct buf drops = {0};
    enum step step;
    while ((step = stmt_step(s)) == STEP_ROW)
        buf_addf(&drops, "DROP %s main.%s;", stmt_text(s, 0), stmt_text(s, 1));
    stmt_free(s);
    int rc = step == STEP_DONE ? db_exec(db, buf_text(&drops)) : -1;
    buf_free(&drops);
    return rc;
}

static int drop_layout(struct db *db, int64_t id)
{
    char *glob = mem_printf("dx_*_%lld", (long long)id);
    int rc = drop_ours(db, glob);
    free(glob);
    return rc ? -1 : db_execf(db, "UPDATE dx_table SET current = 0 WHERE id = %lld", (long long)id);
}

int capture_detach(struct db *db)
{
    if (meta_require(db) || db_begin_write(db))
        return -1;
    if (drop_ours(db, "*") || db_exec(db, "UPDATE dx_table SET current = 0")) {
        db_rollback(db);
        return -1;
    }
    return db_commit(db);
}

int capture_forget(struct db *db)
{
    struct stmt *s = db_preparef(db, "SELECT type, name FROM (%s) WHERE type = 'table'", sql_ours);
    if (s == NULL)
        return -1;
    struct buf clear = {0};
    enum step step;
    /* Dead before they are deleted, so that they are not settled. */
    while ((step = stmt_step(s)) == STEP_ROW)
        buf_addf(&clear, "UPDATE main.%s SET seq = NULL; DELETE FROM main.%s;", stmt_text(s, 1),
                 stmt_text(s, 1));
    stmt_free(s);
    int rc = step == STEP_DONE ? db_exec(db, buf_text(&clear)) : -1;
    buf_free(&clear);
    return rc;
}

/* ---- attaching ---- */

struct attach {
    struct db *db;
    bool upgraded; /* its tables were of an older format, and so are its triggers */
    struct capture_report *report;
    struct journal_table *was; /* layouts before */
    size_t nwas;
    bool gap;  /* the journal lacks what was changed meanwhile */
    bool copy; /* of a node: what it lacks is found by comparison with the server */
};

static const struct journal_table *find_current(const struct journal_table *t, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].current && strcasecmp(t[i].table->name, name) == 0)
            return &t[i];
    return NULL;
}

/* A key with NULL names no row, and SQLite lets some tables have it. */
static int refuse_null_keys(struct db *db, const struct layout *l)
{
    const struct table *t = l->table;
    struct buf where = {0};
    for (size_t k = 0; k < t->nkey && !l->rowid_key && !l->without_rowid; k++) {
        buf_puts(&where, k ? " OR " : "");
        buf_name(&where, t->col[t->key[k]]);
        buf_puts(&where, " IS NULL");
    }
    int64_t rows = 0;
    int rc = where.n == 0 ? 0
                          : db_get_int(db, &rows, "SELECT count(*) FROM main.\"%w\" WHERE %s", t->name,
                                       buf_text(&where));
    buf_free(&where);
    if (rc == 0 && rows)
        rc = fail(ERR_REFUSED,
                  "%s: table %s holds %lld rows with NULL in the primary key, which cannot be told apart; "
                  "give them "
                  "keys or delete them, and attach again",
                  db_path(db), t->name, (long long)rows);
    return rc;
}

/* Who writes a table needs the collations of its columns and indexes; those of an application are not known here. */
static int refuse_collations(struct db *db, const struct layout *l)
{
    struct stmt *s = db_prepare(db, sql_collation);
    if (s == NULL)
        return -1;
    enum step step = STEP_DONE;
    struct val none = {.type = VAL_NULL}, own;
    int rc = 0;
    stmt_bind_text(s, 1, l->table->name);
    for (size_t i = 0; rc == 0 && i <= l->table->ncol; i++) { /* the last time for the indexes */
        own = i < l->table->ncol ? val_text(l->column[i].collation) : none;
        stmt_bind(s, 2, &own);
        step = stmt_step(s);
        if (step == STEP_ROW)
            rc = fail(
                ERR_REFUSED,
                "%s: table %s uses the collation %s, which only the application knows; use BINARY, NOCASE "
                "or RTRIM, and attach again",
                db_path(db), l->table->name, stmt_text(s, 0));
        stmt_reset(s);
        rc = step == STEP_ERROR ? -1 : rc;
    }
    stmt_free(s);
    return rc;
}

static int refuse_reserved(struct db *db, const char *table)
{
    if (strncasecmp(table, "dx_", 3) == 0 || strncasecmp(table, "sqlite_", 7) == 0)
        return fail(ERR_REFUSED, "%s: table %s is not the application's own and cannot be captured",
                    db_path(db), table);
    return 0;
}

static int create(struct db *db, const struct subject *s, int64_t id)
{
    char *sql = trigger_table_sql(s->l, id);
    int rc = db_exec(db, sql);
    free(sql);
    for (int i = trigger_count(s->l->table) - 1; rc == 0 && i >= 0; i--) {
        sql = trigger_sql(i, s->l, &s->u, id);
        rc = sql ? db_exec(db, sql) : 0;
        free(sql);
    }
    return rc;
}

/* Journals what rows hold in a column that was added and not captured until now: as an update from its default. */
static int journal_added_column(struct attach *a, const struct layout *l, int64_t id, size_t column)
{
    const struct table *t = l->table;
    struct buf sql = {0};
    const char *value = l->column[column].value ? l->column[column].value : "NULL";
    buf_puts(&sql, "INSERT INTO dx_journal (what");
    for (size_t k = 0; k < t->nkey; k++)
        buf_addf(&sql, ", c%zu", t->key[k]);
    buf_addf(&sql, ", c%zu, d%zu) SELECT %lld, ", column, column,
             (long long)(id * JOURNAL_WHAT + JOURNAL_UPDATE));
    layout_keys(&sql, t, "");
    buf_addf(&sql, ", (%s\n), ", value);
    buf_name(&sql, t->col[column]);
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, t->name);
    buf_puts(&sql, " WHERE ");
    buf_name(&sql, t->col[column]);
    buf_addf(&sql, " IS NOT (%s\n) ORDER BY ", value);
    layout_keys(&sql, t, "");
    int rc = db_exec(a->db, buf_text(&sql));
    buf_free(&sql);
    if (rc == 0 && db_changes(a->db))
        buf_addf(&a->report->text,
                 "table %s: column %s is new; what %lld rows hold in it is now journalled\n", t->name,
                 t->col[column], (long long)db_changes(a->db));
    return rc;
}

static int journal_added_columns(struct attach *a, const struct table *was, const struct layout *l,
                                 int64_t id)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->table->ncol; i++)
        if (!l->table->pk[i] && table_column(was, l->table->col[i]) < 0)
            rc = journal_added_column(a, l, id, i);
    return rc;
}

/* Says what was found, and what it takes to have all changes again. */
static void tell(struct attach *a, const char *table, struct amiss *amiss)
{
    const char *then = "";
    if (amiss->gone || (amiss->gap && !a->copy))
        then = ", but what was changed meanwhile is not in the journal: extract the copies again";
    else if (amiss->gap)
        then = "; what was changed meanwhile is found by comparison with the server: run remotesync";
    buf_addf(&a->report->text, "table %s: %s; mended%s\n", table, buf_text(&amiss->text), then);
    a->report->lost |= amiss->gone || amiss->gap;
    a->gap |= amiss->gap;
}

static int note_uncaptured(struct attach *a, const char *table)
{
    return db_exec(a->db, sql_make_uncaptured) ||
                   db_execf(a->db, "INSERT OR IGNORE INTO dx_uncaptured (name, upto) VALUES (%Q, -1)", table)
               ? -1
               : 0;
}

/* compared: all values are to be compared with the server's. */
static int attach_subject(struct attach *a, const struct subject *s, const struct journal_table *was,
                          bool compared)
{
    int64_t id;
    if (refuse_collations(a->db, s->l) || refuse_null_keys(a->db, s->l) ||
        (was && drop_layout(a->db, was->id)))
        return -1;
    if (was && table_same(was->table, s->l->table)) /* the layout stands */
        return db_execf(a->db, "UPDATE dx_table SET current = 1 WHERE id = %lld", (long long)was->id) ||
               create(a->db, s, was->id);
    if (journal_add_table(a->db, s->l->table, &id) || create(a->db, s, id))
        return -1;
    return was && !compared ? journal_added_columns(a, was->table, s->l, id) : 0;
}

static int attach_table(struct attach *a, const char *table)
{
    struct subject s = {0};
    struct amiss amiss = {.upgraded = a->upgraded};
    int rc = refuse_reserved(a->db, table);
    rc = rc || subject_open(&s, a->db, table);
    const struct journal_table *was = rc ? NULL : find_current(a->was, a->nwas, s.l->table->name);
    if (was) {
        rc = check_table(a->db, was, &amiss);
        bool only_older = a->upgraded && !amiss.gap && table_same(was->table, s.l->table);
        if (rc == 0 && amiss.text.n && !only_older)
            tell(a, was->table->name, &amiss);
        if (rc == 0 && amiss.gap && a->copy)
            rc = note_uncaptured(a, was->table->name);
    }
    if (rc == 0 && (was == NULL || amiss.text.n))
        rc = attach_subject(a, &s, was, amiss.gap && a->copy);
    subject_close(&s);
    buf_free(&amiss.text);
    return rc ? -1 : 0;
}

/* Tables to attach, gathered before the schema is changed: SQLite drops nothing while it is being read. */
struct names {
    struct attach *a;
    char **name;
    size_t n;
};

static int gather_name(void *ctx, const char *table, bool has_key)
{
    struct names *names = ctx;
    if (!has_key) {
        buf_addf(
            &names->a->report->text,
            "table %s has no primary key, nor a UNIQUE over columns that are NOT NULL, and is not captured\n",
            table);
        return 0;
    }
    names->name = mem_grow(names->name, names->n + 1, sizeof *names->name);
    names->name[names->n++] = mem_text(table);
    return 0;
}

/* A table that is refused keeps no other from being captured, if it was not captured before: then changes would be lost. */
static int leave_out(struct attach *a, const char *table)
{
    if (err_code() != ERR_REFUSED || find_current(a->was, a->nwas, table))
        return -1;
    buf_addf(&a->report->text, "%s; it is not captured\n", err_message());
    a->report->left_out = true;
    return 0;
}

static int attach_every(struct attach *a)
{
    struct names names = {.a = a};
    int rc = layout_each(a->db, gather_name, &names);
    for (size_t i = 0; i < names.n; i++) {
        if (rc == 0 && (rc = attach_table(a, names.name[i])) != 0)
            rc = leave_out(a, names.name[i]);
        free(names.name[i]);
    }
    free(names.name);
    return rc ? -1 : 0;
}

/* Forgets captured tables that are no more. */
static int release_gone(struct attach *a)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < a->nwas; i++) {
        int64_t exists;
        if (!a->was[i].current)
            continue;
        rc = db_get_int(a->db, &exists, sql_exists, a->was[i].table->name);
        if (rc == 0 && exists == 0) {
            struct amiss amiss = {.gone = true};
            buf_puts(&amiss.text, gone);
            tell(a, a->was[i].table->name, &amiss);
            buf_free(&amiss.text);
            rc = drop_layout(a->db, a->was[i].id);
        }
    }
    return rc;
}

static bool detached(const struct attach *a)
{
    for (size_t i = 0; i < a->nwas; i++)
        if (a->was[i].current)
            return false;
    return a->nwas > 0;
}

/* Whoever read before a gap does not know what happened in it. */
static int new_epoch_after_gap(struct attach *a)
{
    char epoch[17];
    int64_t end;
    if (!a->gap)
        return 0;
    sha_random_hex(8, epoch);
    if (meta_set_text(a->db, "epoch", epoch) || journal_end(a->db, &end))
        return -1;
    return a->copy && db_exec(a->db, sql_make_uncaptured) == 0
               ? db_execf(a->db, "UPDATE dx_uncaptured SET upto = %lld WHERE upto < 0", (long long)end)
               : 0;
}

/* While a copy was detached, any of its tables may have been written. */
static int note_detached(struct attach *a)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < a->nwas; i++) {
        bool last = true;
        for (size_t k = i + 1; k < a->nwas; k++)
            last &= strcasecmp(a->was[k].table->name, a->was[i].table->name) != 0;
        if (last)
            rc = note_uncaptured(a, a->was[i].table->name);
    }
    return rc;
}

static int attach_all(struct attach *a, const char *const *table, size_t ntable)
{
    int copy = is_copy(a->db);
    int rc = copy < 0 ? -1 : 0;
    a->copy = copy > 0;
    a->gap = detached(a);
    if (rc == 0 && a->gap && a->copy)
        rc = note_detached(a);
    for (size_t i = 0; rc == 0 && i < ntable; i++)
        rc = attach_table(a, table[i]);
    if (rc == 0 && ntable == 0)
        rc = release_gone(a) || attach_every(a) ? -1 : 0;
    if (rc || new_epoch_after_gap(a))
        return -1;
    /* Of those named, the others are not known. */
    return ntable ? 0 : capture_note_whole(a->db);
}

/* Makes or upgrades the toolkit's own tables. */
static int own_tables(struct attach *a)
{
    int64_t from;
    if (upgrade_tables(a->db, &from))
        return -1;
    a->upgraded = from && from < UPGRADE_FORMAT;
    if (a->upgraded)
        buf_addf(&a->report->text, "its dx_ tables were of format %lld and are of format %d now\n",
                 (long long)from, UPGRADE_FORMAT);
    return meta_init(a->db);
}

int capture_attach(struct db *db, const char *const *table, size_t ntable, struct capture_report *report)
{
    struct capture_report own = {0};
    struct attach a = {.db = db, .report = report ? report : &own};
    *a.report = own;
    int rc = own_tables(&a) || journal_tables(db, &a.was, &a.nwas) ? -1 : attach_all(&a, table, ntable);
    journal_tables_free(a.was, a.nwas);
    buf_free(&own.text);
    return rc;
}

int capture_again(struct db *db, struct capture_report *report)
{
    struct journal_table *t;
    size_t n, nname = 0;
    int64_t exists;
    if (meta_require(db) || journal_tables(db, &t, &n))
        return -1;
    const char **name = mem_zero(n, sizeof *name);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = t[i].current ? db_get_int(db, &exists, sql_exists, t[i].table->name) : 0;
        if (rc == 0 && t[i].current && exists)
            name[nname++] = t[i].table->name;
    }
    if (rc == 0 && nname)
        rc = capture_attach(db, name, nname, report);
    free(name);
    journal_tables_free(t, n);
    return rc;
}

/* The layout that the triggers use now. Its number is 0 when the table is not captured. */
static int current_layout(struct db *db, const char *table, int64_t *id)
{
    return db_get_int(db, id, "SELECT id FROM dx_table WHERE name = %Q COLLATE NOCASE AND current", table);
}

int capture_renew(struct db *db, const char *table)
{
    struct subject s;
    int64_t was, id;
    int rc = subject_open(&s, db, table) || current_layout(db, table, &was) ||
                     (was && drop_layout(db, was)) || journal_add_table(db, s.l->table, &id) ||
                     create(db, &s, id)
                 ? -1
                 : 0;
    subject_close(&s);
    return rc;
}

int capture_journal_column(struct db *db, const char *table, const char *column)
{
    struct capture_report report = {0};
    struct attach a = {.db = db, .report = &report};
    struct layout *l = layout_of(db, table);
    int64_t id;
    int rc = l == NULL || current_layout(db, table, &id) ? -1 : 0;
    int at = l ? table_column(l->table, column) : -1;
    if (rc == 0 && id && at >= 0)
        rc = journal_added_column(&a, l, id, (size_t)at);
    buf_free(&report.text);
    layout_free(l);
    return rc;
}

int capture_journal_rows(struct db *db, const char *table)
{
    struct layout *l = layout_of(db, table);
    struct buf sql = {0};
    int64_t id;
    int rc = l == NULL || current_layout(db, table, &id) ? -1 : 0;
    if (rc == 0 && id) {
        buf_puts(&sql, "INSERT INTO dx_journal (what");
        for (size_t i = 0; i < l->table->ncol; i++)
            buf_addf(&sql, ", c%zu", i);
        buf_addf(&sql, ") SELECT %lld, ", (long long)(id * JOURNAL_WHAT + JOURNAL_INSERT));
        layout_columns(&sql, l->table, "");
        buf_puts(&sql, " FROM main.");
        buf_name(&sql, l->table->name);
        buf_puts(&sql, " ORDER BY ");
        layout_keys(&sql, l->table, "");
        rc = db_exec(db, buf_text(&sql));
    }
    buf_free(&sql);
    layout_free(l);
    return rc;
}

/* ---- looking ---- */

struct looking {
    struct db *db;
    const struct journal_table *tables;
    size_t n;
    capture_each_fn *fn;
    void *ctx;
};

static int look_at(void *ctx, const char *table, bool has_key)
{
    struct looking *k = ctx;
    const struct journal_table *t = find_current(k->tables, k->n, table);
    struct amiss amiss = {0};
    int rc = 0;
    if (t)
        rc = check_table(k->db, t, &amiss);
    else
        buf_puts(&amiss.text, has_key ? "not attached" : "no key");
    if (rc == 0)
        rc = k->fn(k->ctx, table, t != NULL, buf_text(&amiss.text));
    buf_free(&amiss.text);
    return rc;
}

int capture_each(struct db *db, capture_each_fn *fn, void *ctx)
{
    struct journal_table *tables;
    size_t n;
    if (journal_tables(db, &tables, &n))
        return -1;
    struct looking k = {.db = db, .tables = tables, .n = n, .fn = fn, .ctx = ctx};
    int rc = layout_each(db, look_at, &k);
    journal_tables_free(tables, n);
    return rc;
}

int capture_each_gone(struct db *db, capture_each_fn *fn, void *ctx)
{
    struct journal_table *tables;
    size_t n;
    int64_t exists;
    if (journal_tables(db, &tables, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const char *name = tables[i].table->name;
        rc = tables[i].current ? db_get_int(db, &exists, sql_exists, name) : 0;
        if (rc == 0 && tables[i].current && !exists)
            rc = fn(ctx, name, true, gone);
    }
    journal_tables_free(tables, n);
    return rc;
}
