/* unique: see sql/unique.h. */
#include "sql/unique.h"

#include "base/err.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char sql_indexes[] = "SELECT l.name, l.origin, l.partial, s.sql FROM pragma_index_list(?1) AS l "
                                  "LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name "
                                  "WHERE l.\"unique\" ORDER BY l.seq DESC";

static const char sql_terms[] = "SELECT cid, name, coll FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno";

/* Generated columns too: an index may use them. */
static const char sql_columns[] = "SELECT name FROM pragma_table_xinfo(?1)";

/* ---- CREATE INDEX, taken apart ---- */

/* The terms between the outer parentheses as they stand, and the condition of a partial index, or NULL. */
struct parts {
    size_t n;
    char **term;
    char *where;
};

/* The end of the token at s: a quoted name or string, a comment, a word, or one character. */
static const char *token_end(const char *s)
{
    char close = *s == '[' ? ']' : *s;
    if (*s == '\'' || *s == '"' || *s == '`' || *s == '[') {
        for (s++; *s; s++)
            if (*s == close && (close == ']' || *++s != close))
                return close == ']' ? s + 1 : s;
        return s;
    }
    if (s[0] == '-' && s[1] == '-')
        return s + strcspn(s, "\n");
    if (s[0] == '/' && s[1] == '*') {
        const char *end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
    }
    if (isalnum((unsigned char)*s) || *s == '_' || (*s & 0x80)) {
        while (isalnum((unsigned char)*s) || *s == '_' || *s == '$' || (*s & 0x80))
            s++;
        return s;
    }
    return s + 1;
}

static bool is_word(const char *s, const char *end, const char *word)
{
    return (size_t)(end - s) == strlen(word) && strncasecmp(s, word, strlen(word)) == 0;
}

static char *piece(const char *from, const char *to)
{
    struct buf b = {0};
    buf_add(&b, from, (size_t)(to - from));
    return buf_take(&b);
}

static void add_term(struct parts *p, const char *from, const char *to)
{
    p->term = mem_grow(p->term, p->n + 1, sizeof *p->term);
    p->term[p->n++] = piece(from, to);
}

static void take_apart(const char *sql, struct parts *out)
{
    *out = (struct parts){0};
    const char *s = sql, *start = NULL, *order = NULL; /* start of the term at hand; its ASC or DESC */
    int depth = 0;
    for (const char *end; *s; s = end) {
        end = token_end(s);
        if (out->n && depth == 0 && is_word(s, end, "WHERE")) {
            out->where = mem_text(end);
            return;
        }
        if (*s == '(' && depth++ == 0)
            start = end;
        if (depth == 1 && (is_word(s, end, "ASC") || is_word(s, end, "DESC")))
            order = s;
        if ((*s == ')' && --depth == 0) || (*s == ',' && depth == 1)) {
            add_term(out, start, order ? order : s);
            start = end;
            order = NULL;
        }
    }
}

static void free_parts(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->term[i]);
    free(p->term);
    free(p->where);
}

/* ---- collisions ---- */

static void add_condition(struct unique *u, struct buf *text)
{
    u->collides = mem_grow(u->collides, u->n + 1, sizeof *u->collides);
    u->collides[u->n++] = buf_take(text);
}

/* `expression = the same of NEW`: the columns' names are made to mean NEW's values in a subquery of their own. */
static int put_expression(struct db *db, const struct layout *l, const char *expression, struct buf *out)
{
    struct stmt *s = db_prepare(db, sql_columns);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, l->table->name);
    buf_addf(out, "(%s\n) = (SELECT %s\n FROM (SELECT ", expression, expression);
    enum step step;
    for (const char *comma = ""; (step = stmt_step(s)) == STEP_ROW; comma = ", ") {
        buf_addf(out, "%sNEW.", comma);
        buf_name(out, stmt_text(s, 0));
        buf_puts(out, " AS ");
        buf_name(out, stmt_text(s, 0));
    }
    stmt_free(s);
    buf_puts(out, "))");
    return step == STEP_DONE ? 0 : -1;
}

/* An index over more than the table's own columns can come to collide by a change of any column. */
static void all_decide(struct unique *u, const struct table *t)
{
    for (size_t i = 0; i < t->ncol; i++)
        u->decides[i] = !t->pk[i];
}

/* A generated column is compared as an expression that names all columns of NEW: in a BEFORE UPDATE trigger SQLite works
 * it out from those alone that the trigger names. */
static int put_term(struct db *db, const struct layout *l, const char *column, const char *expression,
                    struct buf *out)
{
    struct buf name = {0};
    if (column)
        buf_name(&name, column);
    int rc = 0;
    if (column == NULL || table_column(l->table, column) < 0)
        rc = put_expression(db, l, column ? buf_text(&name) : expression, out);
    else
        buf_addf(out, "%s = NEW.%s", buf_text(&name), buf_text(&name));
    buf_free(&name);
    return rc;
}

static int put_terms(struct unique *u, struct db *db, const struct layout *l, const char *index,
                     const struct parts *parts, struct buf *out)
{
    struct stmt *s = db_prepare(db, sql_terms);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, index);
    int rc = 0;
    enum step step = STEP_DONE;
    for (size_t i = 0; rc == 0 && (step = stmt_step(s)) == STEP_ROW; i++) {
        const char *name = stmt_text(s, 1);
        int column = name ? table_column(l->table, name) : -1;
        buf_puts(out, i ? " AND " : "");
        if (name || i < parts->n)
            rc = put_term(db, l, name, name ? NULL : parts->term[i], out);
        else
            rc = fail(ERR_REFUSED, "%s: index %s: its expressions are not understood; drop it", db_path(db),
                      index);
        buf_puts(out, " COLLATE ");
        buf_name(out, stmt_text(s, 2));
        if (column < 0)
            all_decide(u, l->table);
        else if (!l->table->pk[column])
            u->decides[column] = true;
    }
    stmt_free(s);
    return rc || step == STEP_ERROR ? -1 : 0;
}

static int add_index(struct unique *u, struct db *db, const struct layout *l, struct stmt *index)
{
    struct parts parts = {0};
    struct buf text = {0};
    if (stmt_text(index, 3))
        take_apart(stmt_text(index, 3), &parts);
    int rc = put_terms(u, db, l, stmt_text(index, 0), &parts, &text);
    if (rc == 0 && stmt_int(index, 2)) {
        all_decide(u, l->table);
        if (parts.where == NULL)
            rc = fail(ERR_REFUSED, "%s: index %s: its condition is not understood; drop it", db_path(db),
                      stmt_text(index, 0));
        else
            buf_addf(&text, " AND (%s\n)", parts.where);
    }
    if (rc == 0)
        add_condition(u, &text);
    buf_free(&text);
    free_parts(&parts);
    return rc;
}

/* SQLite's names for the rowid stand back behind columns of the same name. */
static const char *rowid_name(const struct table *t)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (table_column(t, names[i]) < 0)
            return names[i];
    return NULL;
}

static void add_rowid(struct unique *u, const struct layout *l)
{
    struct buf text = {0};
    if (l->rowid_key) {
        const char *key = l->table->col[l->table->key[0]];
        buf_name(&text, key);
        buf_puts(&text, " = NEW.");
        buf_name(&text, key);
        add_condition(u, &text);
    } else if (!l->without_rowid && (u->rowid = rowid_name(l->table)) != NULL) {
        buf_addf(&text, "%s = NEW.%s", u->rowid, u->rowid);
        add_condition(u, &text);
    }
}

int unique_of(struct db *db, const struct layout *l, struct unique *out)
{
    *out = (struct unique){.decides = mem_zero(l->table->ncol, sizeof *out->decides)};
    struct stmt *s = db_prepare(db, sql_indexes);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, l->table->name);
    enum step step = STEP_DONE;
    int rc = 0;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = add_index(out, db, l, s);
    stmt_free(s);
    if (rc || step == STEP_ERROR)
        return -1;
    add_rowid(out, l);
    return 0;
}

void unique_free(struct unique *u)
{
    for (size_t i = 0; i < u->n; i++)
        free(u->collides[i]);
    free(u->collides);
    free(u->decides);
    *u = (struct unique){0};
}
