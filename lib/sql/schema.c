/* schema: see sql/schema.h. What a statement would do is asked of SQLite's authorizer, which sees it before it runs. */
#include "sql/schema.h"

#include "base/err.h"
#include "base/mem.h"
#include "sql/layout.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* SQLite's authorizer codes of the two statements that may pass, and of what comes with them. */
enum { CREATE_INDEX = 1, CREATE_TABLE = 2, TRANSACTION = 22, REINDEX = 27 };

struct look {
    int action;  /* the statement's own: the first that is seen */
    char *table; /* that it makes, or is about */
    bool odd;    /* something else would be touched */
};

static bool is_schema(const char *table)
{
    return strcasecmp(table, "sqlite_master") == 0 || strcasecmp(table, "sqlite_schema") == 0;
}

static bool reserved(const char *name)
{
    return strncasecmp(name, "dx_", 3) == 0 || strncasecmp(name, "sqlite_", 7) == 0;
}

static void first_touch(struct look *l, int action, const char *a, const char *b)
{
    l->action = action;
    l->table = mem_text(action == CREATE_INDEX ? b : a);
    l->odd = (action != CREATE_TABLE && action != CREATE_INDEX) || reserved(l->table) || reserved(a);
}

static void on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through)
{
    struct look *l = ctx;
    (void)through;
    bool main_only = database == NULL || strcmp(database, "main") == 0;
    bool row = action == DB_ACTION_INSERT || action == DB_ACTION_UPDATE || action == DB_ACTION_DELETE ||
               action == DB_ACTION_READ;
    if (row && is_schema(a) && main_only)
        return; /* what every CREATE does */
    if (l->table == NULL) {
        first_touch(l, action, a, b);
        l->odd |= !main_only;
        return;
    }
    bool fine = action == DB_ACTION_FUNCTION || action == REINDEX || action == CREATE_INDEX ||
                (action == DB_ACTION_READ && strcasecmp(a, l->table) == 0) ||
                strcmp(a, "sqlite_sequence") == 0;
    l->odd |= !fine || !main_only;
}

static int refuse(struct db *db, const char *sql)
{
    return fail(ERR_REFUSED,
                "%s: the archive's schema holds a statement that makes no ordinary table or index: %.120s",
                db_path(db), sql);
}

/* Whether it is one CREATE TABLE or CREATE INDEX, and nothing behind it. */
static bool is_create(const char *sql, const struct token *t, size_t n)
{
    static const char *const kinds[] = {"TABLE", "INDEX", NULL};
    size_t at = n > 1 && token_is(sql, &t[1], "UNIQUE") ? 2 : 1;
    bool create = n > at && token_is(sql, &t[0], "CREATE") && token_in(sql, &t[at], kinds);
    for (size_t i = 0; create && i < n; i++)
        create = !token_is(sql, &t[i], ";");
    return create;
}

/* Whether it calls what loads code or touches files: SQLite does not let that act here, but may in the application. */
static bool calls_banned(const char *sql, const struct token *t, size_t n)
{
    static const char *const banned[] = {"load_extension", "readfile", "writefile", "fts3_tokenizer"};
    bool calls = false;
    for (size_t i = 0; i + 1 < n && !calls; i++) {
        char *name = token_is(sql, &t[i + 1], "(") ? token_name(sql, &t[i]) : NULL;
        for (size_t k = 0; name && k < sizeof banned / sizeof *banned; k++)
            calls |= strcasecmp(name, banned[k]) == 0;
        free(name);
    }
    return calls;
}

static bool is_sound(const char *sql)
{
    size_t n;
    struct token *t = tokens_of(sql, &n);
    bool sound = is_create(sql, t, n) && !calls_banned(sql, t, n);
    free(t);
    return sound;
}

static bool is_index(const char *sql)
{
    size_t n;
    struct token *t = tokens_of(sql, &n);
    bool index = n > 2 && !token_is(sql, &t[1], "TABLE");
    free(t);
    return index;
}

/* Whether the statement's table or index is there: 1, 0, -1. SQLite keeps the text of what it was made with. */
static int there(struct db *db, const struct look *l, const char *sql)
{
    int64_t n;
    if (l->action == CREATE_TABLE)
        return db_get_int(
                   db, &n,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                   l->table)
                   ? -1
                   : n > 0;
    return db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE sql = %Q", sql) ? -1 : n > 0;
}

/* ALTER TABLE main."table" ADD COLUMN ... */
static void put_add_column(struct buf *sql, const char *table, const struct layout *l, size_t i)
{
    const struct layout_column *c = &l->column[i];
    buf_puts(sql, "ALTER TABLE main.");
    buf_name(sql, table);
    buf_puts(sql, " ADD COLUMN ");
    buf_name(sql, l->table->col[i]);
    buf_addf(sql, " %s", c->type);
    if (strcasecmp(c->collation, "BINARY") != 0) {
        buf_puts(sql, " COLLATE ");
        buf_name(sql, c->collation);
    }
    if (c->notnull)
        buf_puts(sql, " NOT NULL");
    if (c->value)
        buf_addf(sql, " DEFAULT (%s)", c->value);
}

static int add_column(struct db *db, const struct layout *l, size_t i)
{
    struct buf sql = {0};
    put_add_column(&sql, l->table->name, l, i);
    struct stmt *s = db_prepare(db, buf_text(&sql));
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    buf_free(&sql);
    return rc;
}

/* Whether SQLite adds such a column to a table with rows: no NOT NULL without a default, no default that is not
 * constant. 1, 0, -1. */
static int can_add(const struct layout *l, size_t i)
{
    struct db *apart = db_open(":memory:", DB_CREATE);
    struct buf sql = {0};
    buf_puts(&sql, "CREATE TABLE p (\"dx p\"); INSERT INTO p VALUES (1); ");
    put_add_column(&sql, "p", l, i);
    int rc = apart == NULL ? -1 : db_exec(apart, buf_text(&sql)) == 0;
    buf_free(&sql);
    db_close(apart);
    return rc;
}

/* What the statement would make, made in a database of its own; NULL on failure. */
struct layout *schema_layout(const char *table, const char *sql)
{
    struct db *apart = db_open(":memory:", DB_CREATE);
    struct stmt *s = apart ? db_prepare(apart, sql) : NULL;
    struct layout *l = s && stmt_run(s) == 0 ? layout_of(apart, table) : NULL;
    stmt_free(s);
    db_close(apart);
    return l;
}

/* Gives the table the columns that the statement, run in a database of its own, would have given it. */
static int widen(struct db *db, const char *table, const char *sql)
{
    struct layout *new = schema_layout(table, sql);
    struct layout *old = new ? layout_of(db, table) : NULL;
    int rc = old ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < new->table->ncol; i++)
        if (table_column(old->table, new->table->col[i]) < 0)
            rc = add_column(db, new, i);
    layout_free(new);
    layout_free(old);
    return rc;
}

static int make(struct db *db, const char *sql, bool indexes)
{
    struct look l = {0};
    if (!is_sound(sql))
        return refuse(db, sql);
    int known = there(db, &l, sql);
    if (known)
        return known < 0 ? -1 : 0;
    /* An error here may be that the table is there already; what was seen up to it says which. */
    int rc = db_touches(db, sql, on_touch, &l);
    known = l.action == CREATE_TABLE ? there(db, &l, sql) : 0;
    if (known < 0)
        rc = -1;
    else if (l.odd || (rc == 0 && l.table == NULL))
        rc = refuse(db, sql);
    else if (known)
        rc = indexes ? 0 : widen(db, l.table, sql);
    else if (rc == 0 && (l.action == CREATE_INDEX) == indexes) {
        struct stmt *s = db_prepare(db, sql); /* the first statement only: that which was looked at */
        rc = s ? stmt_run(s) : -1;
        stmt_free(s);
    } else if (rc && l.action == 0 && !indexes)
        rc = is_index(sql) ? 0 : refuse(db, sql); /* an index whose table is not made yet: its turn comes */
    free(l.table);
    return rc;
}

int schema_make(struct db *db, char *const *sql, size_t n, bool indexes)
{
    if (n)
        db_trust_schema(db); /* each is looked at, and may use JSON */
    for (size_t i = 0; i < n; i++)
        if (make(db, sql[i], indexes))
            return -1;
    return 0;
}

/* ---- tables that differ ---- */

static bool same_key(const struct table *a, const struct table *b)
{
    bool same = a->nkey == b->nkey;
    for (size_t k = 0; same && k < a->nkey; k++)
        same = strcasecmp(a->col[a->key[k]], b->col[b->key[k]]) == 0;
    return same;
}

static int compare_column(const struct layout *old, const struct layout *new, size_t i, struct buf *why)
{
    const char *name = new->table->col[i];
    int at = table_column(old->table, name);
    if (at < 0) {
        int can = can_add(new, i);
        if (can == 0)
            buf_addf(why, "column %s cannot be added to rows that are there", name);
        return can < 0 ? -1 : 0;
    }
    const struct layout_column *a = &old->column[at], *b = &new->column[i];
    if (strcasecmp(a->type, b->type) != 0)
        buf_addf(why, "column %s is declared %s now, not %s", name, *b->type ? b->type : "without a type",
                 *a->type ? a->type : "without one");
    else if (strcasecmp(a->collation, b->collation) != 0)
        buf_addf(why, "column %s compares by %s now, not by %s", name, b->collation, a->collation);
    else if (a->notnull != b->notnull)
        buf_addf(why, "column %s is %s now", name, b->notnull ? "NOT NULL" : "no longer NOT NULL");
    return 0;
}

static int compare_layouts(const struct layout *old, const struct layout *new, struct buf *why)
{
    int rc = 0;
    if (!same_key(old->table, new->table))
        buf_puts(why, "it has another primary key now");
    else if (old->without_rowid != new->without_rowid || old->strict != new->strict)
        buf_puts(why, "it is another kind of table now (WITHOUT ROWID, STRICT)");
    for (size_t i = 0; rc == 0 && why->n == 0 && i < new->table->ncol; i++)
        rc = compare_column(old, new, i, why);
    return rc;
}

int schema_differs(const struct layout *old, const char *table, const char *sql, struct buf *why)
{
    struct layout *new = schema_layout(table, sql);
    int rc = new ? compare_layouts(old, new, why) : -1;
    layout_free(new);
    return rc;
}

int schema_fit(struct db *db, const char *sql, enum schema_fit *fit, char **table, struct buf *why)
{
    struct look l = {0};
    *fit = SCHEMA_FITS;
    *table = NULL;
    buf_clear(why);
    if (!is_sound(sql))
        return refuse(db, sql);
    db_touches(db, sql, on_touch, &l); /* an error may be that the table is there already */
    int known = l.action == CREATE_TABLE && !l.odd ? there(db, &l, sql) : 0;
    int rc = known < 0 ? -1 : l.odd ? refuse(db, sql) : 0;
    if (rc == 0 && l.action == CREATE_TABLE)
        *table = mem_text(l.table);
    if (rc == 0 && known) {
        struct layout *new = schema_layout(l.table, sql), *old = new ? layout_of(db, l.table) : NULL;
        rc = old ? compare_layouts(old, new, why) : -1;
        *fit = why->n ? SCHEMA_DIFFERS : SCHEMA_FITS;
        layout_free(old);
        layout_free(new);
    }
    free(l.table);
    return rc;
}

/* The indexes, or triggers, on a table that are not ours, as SQL. */
static int gather_own(struct db *db, const char *table, const char *type, char ***sql, size_t *n)
{
    struct stmt *s =
        db_preparef(db,
                    "SELECT sql FROM main.sqlite_schema WHERE tbl_name = %Q COLLATE NOCASE AND type = %Q "
                    "AND sql IS NOT NULL AND name NOT GLOB 'dx_*' ORDER BY rowid",
                    table, type);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *sql = mem_grow(*sql, *n + 1, sizeof **sql);
        (*sql)[(*n)++] = mem_text(stmt_text(s, 0));
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static void free_texts(char **text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(text[i]);
    free(text);
}

static int copy_rows(struct db *db, const struct layout *old, const struct layout *new, const char *was)
{
    struct buf list = {0};
    for (size_t i = 0; i < new->table->ncol; i++)
        if (table_column(old->table, new->table->col[i]) >= 0) {
            buf_puts(&list, list.n ? ", " : "");
            buf_name(&list, new->table->col[i]);
        }
    /* A row that the new table does not take comes with the archive. */
    int rc = db_execf(db, "INSERT OR IGNORE INTO main.\"%w\" (%s) SELECT %s FROM main.\"%w\"",
                      new->table->name, buf_text(&list), buf_text(&list), was);
    buf_free(&list);
    return rc;
}

static int make_again(struct db *db, const char *sql, const struct layout *old, const bool *extra, bool rows)
{
    static const char was[] = "dx_remade";
    if (db_execf(db, "ALTER TABLE main.\"%w\" RENAME TO %s", old->table->name, was))
        return -1;
    struct stmt *s = db_prepare(db, sql);
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    struct layout *new = rc ? NULL : layout_of(db, old->table->name);
    rc = new ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < old->table->ncol; i++)
        if (extra[i] && table_column(new->table, old->table->col[i]) < 0)
            rc = add_column(db, old, i);
    layout_free(new);
    new = rc ? NULL : layout_of(db, old->table->name);
    rc = new &&rows ? copy_rows(db, old, new, was) : new ? 0 : -1;
    layout_free(new);
    return rc || db_execf(db, "DROP TABLE main.%s", was) ? -1 : 0;
}

/* An index on columns that are gone goes with them; a trigger may do what somebody relies on. */
static int put_back(struct db *db, const char *table, char **index, size_t nindex, char **trigger,
                    size_t ntrigger)
{
    for (size_t i = 0; i < nindex; i++)
        if (db_exec(db, index[i]) && err_code() != ERR_REFUSED)
            return -1;
    for (size_t i = 0; i < ntrigger; i++)
        if (db_exec(db, trigger[i]))
            return fail_in(
                "%s: table %s is made again, and a trigger of its own does not fit it; drop that first",
                db_path(db), table);
    return 0;
}

int schema_remake(struct db *db, const char *sql, const char *table, const bool *extra, bool rows)
{
    char **index = NULL, **trigger = NULL;
    size_t nindex = 0, ntrigger = 0;
    struct layout *old = layout_of(db, table);
    db_trust_schema(db);
    int rc = old == NULL || gather_own(db, table, "index", &index, &nindex) ||
                     gather_own(db, table, "trigger", &trigger, &ntrigger)
                 ? -1
                 : 0;
    /* References of other tables keep the name. */
    if (rc == 0)
        rc = db_exec(db, "PRAGMA legacy_alter_table = ON") || make_again(db, sql, old, extra, rows) ||
                     put_back(db, table, index, nindex, trigger, ntrigger)
                 ? -1
                 : 0;
    if (db_exec(db, "PRAGMA legacy_alter_table = OFF"))
        rc = -1;
    free_texts(index, nindex);
    free_texts(trigger, ntrigger);
    layout_free(old);
    return rc;
}
