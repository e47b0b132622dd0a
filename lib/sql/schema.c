/* schema: see sql/schema.h. What a statement would do is asked of SQLite's authorizer, which sees it before it runs. */
#include "sql/schema.h"

#include "base/err.h"
#include "base/mem.h"
#include "sql/layout.h"

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

static int add_column(struct db *db, const struct layout *l, size_t i)
{
    const struct layout_column *c = &l->column[i];
    struct buf sql = {0};
    buf_puts(&sql, "ALTER TABLE main.");
    buf_name(&sql, l->table->name);
    buf_puts(&sql, " ADD COLUMN ");
    buf_name(&sql, l->table->col[i]);
    buf_addf(&sql, " %s", c->type);
    if (strcasecmp(c->collation, "BINARY") != 0) {
        buf_puts(&sql, " COLLATE ");
        buf_name(&sql, c->collation);
    }
    if (c->value)
        buf_addf(&sql, "%s DEFAULT (%s)", c->notnull ? " NOT NULL" : "", c->value);
    struct stmt *s = db_prepare(db, buf_text(&sql));
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    buf_free(&sql);
    return rc;
}

/* Gives the table the columns that the statement, run in a database of its own, would have given it. */
static int widen(struct db *db, const char *table, const char *sql)
{
    struct db *apart = db_open(":memory:", DB_CREATE);
    struct stmt *s = apart ? db_prepare(apart, sql) : NULL;
    bool ran = s && stmt_run(s) == 0;
    struct layout *new = ran ? layout_of(apart, table) : NULL;
    struct layout *old = new ? layout_of(db, table) : NULL;
    int rc = old ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < new->table->ncol; i++)
        if (table_column(old->table, new->table->col[i]) < 0)
            rc = add_column(db, new, i);
    layout_free(new);
    layout_free(old);
    stmt_free(s);
    db_close(apart);
    return rc;
}

static int make(struct db *db, const char *sql, bool indexes)
{
    struct look l = {0};
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
        rc = 0; /* an index whose table is not made yet: its turn comes */
    free(l.table);
    return rc;
}

int schema_make(struct db *db, char *const *sql, size_t n, bool indexes)
{
    for (size_t i = 0; i < n; i++)
        if (make(db, sql[i], indexes))
            return -1;
    return 0;
}
