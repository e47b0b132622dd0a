/* declare: see route/declare.h. */
#include "route/declare.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sha.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

/* What was last sent to the nodes: an object's statements and their SHA-256. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_declared (object INTEGER PRIMARY KEY, sha256 TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS dx_declared_sql (object INTEGER, place INTEGER, sql TEXT NOT NULL, PRIMARY "
    "KEY "
    "(object, place)) WITHOUT ROWID";

int declare_init(struct db *db)
{
    return db_exec(db, sql_make);
}

static void add(struct declaration *d, const char *sql)
{
    d->sql = mem_grow(d->sql, d->n + 1, sizeof *d->sql);
    d->sql[d->n++] = mem_text(sql);
}

void declare_free(struct declaration *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->sql[i]);
    free(d->sql);
    *d = (struct declaration){0};
}

/* CREATE TABLE of the columns that travel. References and checks that name others cannot be kept. */
static void add_rebuilt(struct buf *b, const struct layout *l, const struct table *sent)
{
    buf_puts(b, "CREATE TABLE ");
    buf_name(b, sent->name);
    for (size_t i = 0; i < sent->ncol; i++) {
        const struct layout_column *c = &l->column[table_column(l->table, sent->col[i])];
        buf_puts(b, i ? ", " : " (");
        buf_name(b, sent->col[i]);
        buf_addf(b, "%s%s", *c->type ? " " : "", c->type);
        if (strcmp(c->collation, "BINARY") != 0)
            buf_addf(b, " COLLATE %s", c->collation);
        if (c->notnull)
            buf_puts(b, " NOT NULL");
        if (c->value)
            buf_addf(b, " DEFAULT (%s)", c->value);
    }
    buf_puts(b, l->unique_key ? ", UNIQUE (" : ", PRIMARY KEY (");
    layout_keys(b, sent, "");
    buf_addf(b, "))%s", l->without_rowid ? " WITHOUT ROWID" : "");
}

/* An index that names only columns that travel: 1, 0, -1. Of an expression's columns nothing is known. */
static int index_travels(struct db *db, const char *index, const struct table *sent)
{
    struct stmt *s = db_preparef(db, "SELECT name FROM pragma_index_info(%Q)", index);
    enum step step = STEP_ERROR;
    bool all = true;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        all &= stmt_text(s, 0) != NULL && table_column(sent, stmt_text(s, 0)) >= 0;
    stmt_free(s);
    return step == STEP_DONE ? all : -1;
}

static int add_indexes(struct db *db, struct declaration *d, const struct table *sent, bool all)
{
    struct stmt *s = db_preparef(db,
                                 "SELECT s.name, s.sql, l.partial FROM sqlite_schema AS s JOIN "
                                 "pragma_index_list(%Q) AS l ON l.name = s.name WHERE s.type = 'index' AND "
                                 "s.sql IS NOT NULL ORDER BY s.name",
                                 sent->name);
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        int travels = all ? 1 : stmt_int(s, 2) ? 0 : index_travels(db, stmt_text(s, 0), sent);
        rc = travels < 0 ? -1 : 0;
        if (travels > 0)
            add(d, stmt_text(s, 1));
    }
    stmt_free(s);
    return rc || step == STEP_ERROR ? -1 : 0;
}

/* Whether the table still has all columns that travel. */
static int check_columns(const struct layout *l, const struct object *o)
{
    for (size_t i = 0; i < o->sent->ncol; i++)
        if (table_column(l->table, o->sent->col[i]) < 0)
            return fail(ERR_REFUSED, "table %s has no column %s any more", o->table, o->sent->col[i]);
    return 0;
}

int declare_object(struct db *db, const struct object *o, struct declaration *out)
{
    *out = (struct declaration){0};
    struct layout *l = layout_of(db, o->table);
    if (l == NULL || check_columns(l, o)) {
        layout_free(l);
        return -1;
    }
    bool all = o->sent->ncol == l->table->ncol;
    struct buf b = {0};
    if (all)
        buf_puts(&b, l->sql);
    else
        add_rebuilt(&b, l, o->sent);
    add(out, buf_text(&b));
    buf_free(&b);
    layout_free(l);
    return add_indexes(db, out, o->sent, all);
}

static void digest_of(const struct declaration *d, char hex[SHA_HEX])
{
    struct buf text = {0};
    for (size_t i = 0; i < d->n; i++)
        buf_add(&text, d->sql[i], strlen(d->sql[i]) + 1);
    sha_hex(text.p, text.n, hex);
    buf_free(&text);
}

int declare_changed(struct db *db, const struct object *o, const struct declaration *d, bool fresh,
                    bool *changed)
{
    char *recorded, hex[SHA_HEX];
    int64_t there;
    *changed = false;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_declared'"))
        return -1;
    if (there == 0)
        return 0;
    if (db_get_text(db, &recorded, "SELECT sha256 FROM dx_declared WHERE object = %lld", (long long)o->id))
        return -1;
    digest_of(d, hex);
    *changed = recorded ? strcmp(recorded, hex) != 0 : fresh;
    free(recorded);
    return 0;
}

int declare_before(struct db *db, const struct object *o, struct declaration *out, bool *known)
{
    int64_t there;
    *out = (struct declaration){0};
    *known = false;
    if (declare_init(db) ||
        db_get_int(db, &there, "SELECT count(*) FROM dx_declared WHERE object = %lld", (long long)o->id))
        return -1;
    *known = there > 0;
    struct stmt *s = db_preparef(db, "SELECT sql FROM dx_declared_sql WHERE object = %lld ORDER BY place",
                                 (long long)o->id);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add(out, stmt_text(s, 0));
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static int store_statements(struct db *db, long long object, const struct declaration *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (db_execf(db, "INSERT INTO dx_declared_sql VALUES (%lld, %lld, %Q)", object, (long long)i,
                     d->sql[i]))
            return -1;
    return 0;
}

int declare_store(struct db *db, const struct object *o, const struct declaration *d)
{
    char hex[SHA_HEX];
    const long long id = (long long)o->id;
    int64_t same;
    digest_of(d, hex);
    if (db_get_int(
            db, &same,
            "SELECT count(*) FROM dx_declared AS d JOIN dx_declared_sql AS s ON s.object = d.object WHERE "
            "d.object = %lld AND d.sha256 = %Q",
            id, hex))
        return -1;
    if (same ||
        db_execf(db,
                 "DELETE FROM dx_declared WHERE object = %lld; DELETE FROM dx_declared_sql WHERE object = "
                 "%lld",
                 id, id))
        return same ? 0 : -1;
    if (d->n == 0)
        return 0;
    return db_execf(db, "INSERT INTO dx_declared (object, sha256) VALUES (%lld, %Q)", id, hex) ||
                   store_statements(db, id, d)
               ? -1
               : 0;
}
