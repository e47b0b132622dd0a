/* layout: see sql/layout.h. */
#include "sql/layout.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The index that stands in for a primary key of the table that the SQL expression names. */
#define SQL_UNIQUE_KEY(table)                                                                    \
    "(SELECT i.name FROM pragma_index_list(" table ") AS i WHERE i.\"unique\" AND NOT i.partial" \
    " AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(i.name) AS x"                             \
    "  LEFT JOIN pragma_table_xinfo(" table ") AS c ON c.cid = x.cid"                            \
    "  WHERE x.key AND (c.name IS NULL OR NOT c.\"notnull\" OR c.hidden OR x.coll <> 'BINARY'))" \
    " ORDER BY i.origin = 'u' DESC, length(i.name), i.name LIMIT 1)"

/* Whether it has a primary key. */
#define SQL_PRIMARY_KEY(table) "EXISTS (SELECT 1 FROM pragma_table_xinfo(" table ") WHERE pk > 0)"

/* A column's place in the key, from 1, or 0. */
static const char sql_columns[] =
    "SELECT x.name, x.type, x.\"notnull\", x.dflt_value, CASE WHEN k.name IS NULL THEN x.pk ELSE "
    "coalesce((SELECT seqno + 1 FROM pragma_index_xinfo(k.name) WHERE key AND cid = x.cid), 0) END "
    "FROM (SELECT iif(" SQL_PRIMARY_KEY("?1") ", NULL, " SQL_UNIQUE_KEY(
        "?1") ") AS name) AS k, "
              "pragma_table_xinfo(?1) AS x WHERE x.hidden = 0 ORDER BY x.cid";

static const char sql_table[] =
    "WITH RECURSIVE above (name) AS ("
    " SELECT \"table\" FROM pragma_foreign_key_list(?1) WHERE on_delete = 'CASCADE' UNION"
    " SELECT \"table\" FROM above, pragma_foreign_key_list(above.name) WHERE on_delete = 'CASCADE') "
    "SELECT l.name, l.type, l.wr, s.sql, l.strict,"
    " EXISTS (SELECT 1 FROM pragma_index_list(l.name) WHERE origin = 'pk'),"
    " EXISTS (SELECT 1 FROM pragma_foreign_key_list(l.name) WHERE \"table\" = l.name COLLATE NOCASE"
    " AND on_update NOT IN ('NO ACTION', 'RESTRICT')),"
    " EXISTS (SELECT 1 FROM above WHERE name = l.name COLLATE NOCASE), " SQL_PRIMARY_KEY(
        "l.name") " "
                  "FROM pragma_table_list AS l LEFT JOIN sqlite_schema AS s ON s.name = l.name AND s.type = "
                  "'table' "
                  "WHERE l.schema = 'main' AND l.name = ?1 COLLATE NOCASE";

static const char sql_each[] = "SELECT l.name, " SQL_PRIMARY_KEY("l.name") " OR " SQL_UNIQUE_KEY(
    "l.name") " IS NOT NULL "
              "FROM pragma_table_list AS l WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE "
              "'sqlite\\_%' ESCAPE '\\' "
              "AND l.name NOT LIKE 'dx\\_%' ESCAPE '\\' ORDER BY l.name";

static const char sql_has_key[] = "SELECT " SQL_PRIMARY_KEY("%Q") " OR " SQL_UNIQUE_KEY("%Q") " IS NOT NULL";

static enum affinity affinity_of(const char *type)
{
    struct rule {
        const char *part;
        enum affinity affinity;
    };
    static const struct rule rules[] = {
        {"INT", AFFINITY_INTEGER}, {"CHAR", AFFINITY_TEXT}, {"CLOB", AFFINITY_TEXT}, {"TEXT", AFFINITY_TEXT},
        {"BLOB", AFFINITY_BLOB},   {"REAL", AFFINITY_REAL}, {"FLOA", AFFINITY_REAL}, {"DOUB", AFFINITY_REAL}};
    size_t n = strlen(type);
    if (n == 0)
        return AFFINITY_BLOB;
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++)
        for (size_t i = 0; i + 3 <= n; i++)
            if (strncasecmp(type + i, rules[r].part, strlen(rules[r].part)) == 0)
                return rules[r].affinity;
    return AFFINITY_NUMERIC;
}

/* "" for what SQLite stores as NULL. */
static char *text_or_empty(const char *s)
{
    return mem_text(s ? s : "");
}

/* Columns as they are read, before their number is known. */
struct gather {
    size_t n, nkey;
    char **name;
    uint8_t *pk;
    struct layout_column *column;
};

static void free_columns(struct layout_column *c, size_t n)
{
    for (size_t i = 0; c && i < n; i++) {
        free(c[i].type);
        free(c[i].value);
        free(c[i].collation);
    }
    free(c);
}

static void gather_free(struct gather *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->name[i]);
    free(g->name);
    free(g->pk);
    free_columns(g->column, g->n);
}

static int gather_column(struct gather *g, struct db *db, const char *table, struct stmt *s)
{
    g->name = mem_grow(g->name, g->n + 1, sizeof *g->name);
    g->pk = mem_grow(g->pk, g->n + 1, 1);
    g->column = mem_grow(g->column, g->n + 1, sizeof *g->column);
    struct layout_column *c = &g->column[g->n];
    g->name[g->n] = mem_text(stmt_text(s, 0));
    g->pk[g->n] = (uint8_t)stmt_int(s, 4);
    g->nkey += stmt_int(s, 4) != 0;
    c->type = text_or_empty(stmt_text(s, 1));
    c->notnull = stmt_int(s, 2) != 0;
    c->value = mem_text(stmt_text(s, 3));
    c->affinity = affinity_of(c->type);
    c->collation = mem_text(db_collation(db, table, g->name[g->n]));
    g->n++;
    return c->collation ? 0 : -1;
}

static int gather_columns(struct gather *g, struct db *db, const char *table)
{
    struct stmt *s = db_prepare(db, sql_columns);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, table);
    enum step step;
    int rc = 0;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = gather_column(g, db, table, s);
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}

static int find_table(struct layout *l, struct db *db, const char *table, char **name)
{
    struct stmt *s = db_prepare(db, sql_table);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, table);
    enum step step = stmt_step(s);
    int rc = 0;
    if (step == STEP_ERROR)
        rc = -1;
    else if (step != STEP_ROW)
        rc = fail(ERR_REFUSED, "%s: no such table: %s", db_path(db), table);
    else if (strcmp(stmt_text(s, 1), "table") != 0)
        rc = fail(ERR_REFUSED, "%s: %s is a %s table or view, only ordinary tables can be synchronized",
                  db_path(db), table, stmt_text(s, 1));
    else {
        *name = mem_text(stmt_text(s, 0));
        l->without_rowid = stmt_int(s, 2) != 0;
        l->sql = text_or_empty(stmt_text(s, 3));
        l->strict = stmt_int(s, 4) != 0;
        l->cascades_to_itself = stmt_int(s, 6) != 0;
        l->deletes_itself = stmt_int(s, 7) != 0;
        l->unique_key = !stmt_int(s, 8);
        /* A key without an index is the rowid. */
        l->rowid_key = !l->unique_key && !l->without_rowid && !stmt_int(s, 5);
    }
    stmt_free(s);
    return rc;
}

/* Whether the word is in the text, in any case; in a name or a comment it does no harm. */
static bool mentions(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (; text && *text; text++)
        if (strncasecmp(text, word, n) == 0)
            return true;
    return false;
}

static void finish(struct layout *l, struct gather *g, const char *name)
{
    l->table = table_new(name, g->n, (const char *const *)g->name, g->pk);
    l->column = g->column;
    g->column = NULL;
    for (size_t i = 0; l->strict && i < g->n; i++)
        if (strcasecmp(l->column[i].type, "ANY") == 0)
            l->column[i].affinity = AFFINITY_BLOB;
    l->replaces = mentions(l->sql, "CONFLICT");
    l->autoincrement = l->rowid_key && mentions(l->sql, "AUTOINCREMENT");
}

struct layout *layout_of(struct db *db, const char *table)
{
    struct layout *l = mem_zero(1, sizeof *l);
    struct gather g = {0};
    char *name = NULL;
    int rc = find_table(l, db, table, &name);
    if (rc == 0)
        rc = gather_columns(&g, db, name);
    if (rc == 0 && g.nkey == 0)
        rc = fail(
            ERR_REFUSED,
            "%s: table %s has no primary key, nor a UNIQUE over columns that are NOT NULL, so its rows "
            "cannot be told apart; give it one (a new table with PRIMARY KEY, INSERT ... SELECT, rename)",
            db_path(db), name);
    if (rc == 0 && g.nkey > UINT8_MAX)
        rc = fail(ERR_REFUSED, "%s: the key of table %s has %zu columns, %d are the most", db_path(db), name,
                  g.nkey, UINT8_MAX);
    if (rc == 0)
        finish(l, &g, name);
    gather_free(&g);
    free(name);
    if (rc) {
        layout_free(l);
        return NULL;
    }
    return l;
}

void layout_free(struct layout *l)
{
    if (l == NULL)
        return;
    if (l->table)
        free_columns(l->column, l->table->ncol);
    table_free(l->table);
    free(l->sql);
    free(l);
}

int layout_each(struct db *db, layout_each_fn *fn, void *ctx)
{
    struct stmt *s = db_prepare(db, sql_each);
    if (s == NULL)
        return -1;
    enum step step;
    int rc = 0;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = fn(ctx, stmt_text(s, 0), stmt_int(s, 1) > 0);
    stmt_free(s);
    return rc ? rc : step == STEP_ERROR ? -1 : 0;
}

int layout_has_key(struct db *db, const char *table)
{
    int64_t has;
    return db_get_int(db, &has, sql_has_key, table, table, table, table) ? -1 : has != 0;
}

int layout_generated(struct db *db, const char *table, const char *column)
{
    int64_t n;
    if (db_get_int(db, &n,
                   "SELECT count(*) FROM pragma_table_xinfo(%Q) WHERE hidden IN (2, 3) AND name = %Q COLLATE "
                   "NOCASE",
                   table, column))
        return -1;
    return n > 0;
}

void layout_columns(struct buf *b, const struct table *t, const char *prefix)
{
    for (size_t i = 0; i < t->ncol; i++) {
        buf_puts(b, i ? ", " : "");
        buf_puts(b, prefix);
        buf_name(b, t->col[i]);
    }
}

void layout_keys(struct buf *b, const struct table *t, const char *prefix)
{
    for (size_t i = 0; i < t->nkey; i++) {
        buf_puts(b, i ? ", " : "");
        buf_puts(b, prefix);
        buf_name(b, t->col[t->key[i]]);
    }
}

void layout_where_key(struct buf *b, const struct table *t, int first)
{
    for (size_t i = 0; i < t->nkey; i++) {
        buf_puts(b, i ? " AND " : "");
        buf_name(b, t->col[t->key[i]]);
        buf_addf(b, " = ?%d", first + (int)i);
    }
}
