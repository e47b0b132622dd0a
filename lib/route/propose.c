/* propose: see route/propose.h. Tables become objects of their own name. What a row belongs to is followed from the table of
 * people by references, the nearest first: a row that refers to a person is that person's, a row that refers to one that is
 * somebody's is seen with it, all other rows are everybody's. */
#include "route/propose.h"

#include "base/err.h"
#include "base/mem.h"
#include "route/lookalike.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A column that refers to another table's only key column. */
struct link {
    char *column;
    size_t to;
    bool declared;
};

struct proposed {
    struct layout *layout;
    int64_t rows;
    size_t nlink;
    struct link *link;
    size_t belongs; /* its link to what it is seen with; nlink: to nothing */
    bool known;     /* it is a person's, or seen with what is */
    bool written;
};

struct proposal {
    struct db *db;
    struct package p; /* all objects as if all saw them, for lookalike_find */
    struct proposed *t;
    size_t n, people;
    struct buf left; /* comments on tables that are left out */
    struct buf indexes;
};

/* ---- tables ---- */

static bool plain_name(const char *name)
{
    return strpbrk(name, "]\r\n,|") == NULL && strstr(name, "->") == NULL && *name != ' ' &&
           strcmp(name, "none") != 0;
}

/* Why the table can be no object, or NULL. */
static const char *unfit(const struct layout *l)
{
    if (!plain_name(l->table->name))
        return "its name cannot stand in package.conf";
    if (l->table->nkey > 127)
        return "its key has more than 127 columns";
    for (size_t k = 0; k < l->table->nkey; k++)
        if (strcasecmp(l->column[l->table->key[k]].collation, "BINARY") != 0)
            return "its key does not compare byte by byte; make it COLLATE BINARY";
    return NULL;
}

static int add_table(void *ctx, const char *name, bool has_key)
{
    struct proposal *x = ctx;
    struct layout *l = has_key ? layout_of(x->db, name) : NULL;
    const char *why = has_key ? l ? unfit(l) : err_message()
                              : "it has no primary key, so that its rows cannot be told apart";
    if (why) {
        buf_addf(&x->left, "; Table %s is left out: %s.\n", name, why);
        layout_free(l);
        return 0;
    }
    x->t = mem_grow(x->t, x->n + 1, sizeof *x->t);
    x->t[x->n] = (struct proposed){.layout = l};
    x->p.object = mem_grow(x->p.object, x->n + 1, sizeof *x->p.object);
    x->p.object[x->n] = (struct object){.name = mem_text(name),
                                        .table = mem_text(name),
                                        .visible = VISIBLE_ALL,
                                        .sent = table_copy(l->table),
                                        .write = WRITE_INSERT | WRITE_UPDATE | WRITE_DELETE,
                                        .keys = mem_text("rekey"),
                                        .duplicates = mem_text("issue"),
                                        .references = mem_text("")};
    x->p.nobject = ++x->n;
    return db_get_int(x->db, &x->t[x->n - 1].rows, "SELECT count(*) FROM main.\"%w\"", name);
}

static size_t table_named(const struct proposal *x, const char *name)
{
    size_t i = 0;
    while (i < x->n && strcasecmp(x->t[i].layout->table->name, name) != 0)
        i++;
    return i;
}

static void add_link(struct proposal *x, size_t from, const char *column, size_t to, bool declared)
{
    struct proposed *t = &x->t[from];
    if (to == x->n || x->t[to].layout->table->nkey != 1 || table_column(t->layout->table, column) < 0)
        return;
    t->link = mem_grow(t->link, t->nlink + 1, sizeof *t->link);
    t->link[t->nlink++] = (struct link){mem_text(column), to, declared};
}

static int add_declared(struct proposal *x, size_t i)
{
    struct stmt *s = db_preparef(
        x->db,
        "SELECT f.\"from\", f.\"table\" FROM pragma_foreign_key_list(%Q) AS f WHERE (SELECT count(*) FROM "
        "pragma_foreign_key_list(%Q) AS g WHERE g.id = f.id) = 1 AND (f.\"to\" IS NULL OR EXISTS (SELECT 1 "
        "FROM "
        "pragma_table_info(f.\"table\") AS c WHERE c.pk = 1 AND c.name = f.\"to\" COLLATE NOCASE)) ORDER BY "
        "f.id",
        x->p.object[i].table, x->p.object[i].table);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add_link(x, i, stmt_text(s, 0), table_named(x, stmt_text(s, 1)), true);
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static int add_links(struct proposal *x, struct lookalike **l, size_t *n)
{
    for (size_t i = 0; i < x->n; i++)
        if (add_declared(x, i))
            return -1;
    if (lookalike_find(x->db, &x->p, l, n))
        return -1;
    for (size_t i = 0; i < *n; i++)
        add_link(x, (size_t)((*l)[i].object - x->p.object), (*l)[i].column,
                 (size_t)((*l)[i].to - x->p.object), false);
    return 0;
}

/* ---- whose rows are ---- */

/* Whether `via` may follow the link: column and key compare alike. */
static bool alike(const struct proposal *x, size_t from, const struct link *k)
{
    const struct layout *l = x->t[from].layout, *to = x->t[k->to].layout;
    const struct layout_column *c = &l->column[table_column(l->table, k->column)],
                               *key = &to->column[to->table->key[0]];
    return c->affinity == key->affinity && strcasecmp(c->collation, key->collation) == 0;
}

/* One more step away from the people: whether any table was reached. */
static bool reach(struct proposal *x)
{
    bool any = false;
    bool *was = mem_zero(x->n, sizeof *was);
    for (size_t i = 0; i < x->n; i++)
        was[i] = x->t[i].known;
    for (size_t i = 0; i < x->n; i++) {
        struct proposed *t = &x->t[i];
        for (size_t k = 0; !t->known && i != x->people && k < t->nlink; k++)
            if (t->link[k].to != i && (t->link[k].to == x->people || was[t->link[k].to]) &&
                alike(x, i, &t->link[k])) {
                t->belongs = k;
                t->known = any = true;
            }
    }
    free(was);
    return any;
}

/* The column of the table of people that holds what nodes call their user. */
static const char *login_column(const struct layout *l)
{
    static const char *const known[] = {"login", "username", "user_name", "user", "email", "name"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (table_column(l->table, known[i]) >= 0)
            return l->table->col[table_column(l->table, known[i])];
    return l->table->col[l->table->key[0]];
}

/* ---- writing ---- */

static int has_index(struct proposal *x, const char *table, const char *column)
{
    int64_t n;
    if (db_get_int(
            x->db, &n,
            "SELECT (SELECT count(*) FROM pragma_table_info(%Q) WHERE pk = 1 AND name = %Q COLLATE NOCASE) + "
            "(SELECT count(*) FROM pragma_index_list(%Q) AS l JOIN pragma_index_info(l.name) AS i "
            "WHERE i.seqno = 0 AND i.name = %Q COLLATE NOCASE)",
            table, column, table, column))
        return -1;
    return n > 0;
}

static int want_index(struct proposal *x, const char *table, const char *column)
{
    int there = has_index(x, table, column);
    if (there == 0) {
        char *name = mem_printf("%s_%s", table, column);
        buf_puts(&x->indexes, "; CREATE INDEX ");
        buf_name(&x->indexes, name);
        buf_puts(&x->indexes, " ON ");
        buf_name(&x->indexes, table);
        buf_puts(&x->indexes, " (");
        buf_name(&x->indexes, column);
        buf_puts(&x->indexes, ");\n");
        free(name);
    }
    return there < 0 ? -1 : 0;
}

static int put_visible(struct proposal *x, size_t i, struct buf *out)
{
    const struct proposed *t = &x->t[i];
    const struct table *table = t->layout->table;
    if (!t->known) {
        buf_puts(out, "visible = all\n");
        return 0;
    }
    const struct link *k = &t->link[t->belongs];
    if (k->to != x->people) {
        buf_addf(out, "via = %s -> %s\n", k->column, x->p.object[k->to].name);
        return want_index(x, table->name, k->column);
    }
    const struct layout *people = x->t[x->people].layout;
    buf_puts(out, "; Rows of the person that they refer to.\nvisible = SELECT n.name");
    for (size_t c = 0; c < table->nkey; c++) {
        buf_puts(out, ", o.");
        buf_name(out, table->col[table->key[c]]);
    }
    buf_puts(out, " FROM ");
    buf_name(out, table->name);
    buf_puts(out, " o JOIN ");
    buf_name(out, people->table->name);
    buf_puts(out, " p ON p.");
    buf_name(out, people->table->col[people->table->key[0]]);
    buf_puts(out, " = o.");
    buf_name(out, k->column);
    buf_puts(out, "\n          JOIN dx_node n ON n.user = p.");
    buf_name(out, login_column(people));
    buf_puts(out, "\n");
    return want_index(x, table->name, k->column) || want_index(x, people->table->name, login_column(people))
               ? -1
               : 0;
}

/* A column that is better kept at home. */
static bool is_secret(const char *column)
{
    static const char *const words[] = {"password", "passwd", "pwd", "secret", "salt", "token"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (const char *p = column; *p; p++)
            if (strncasecmp(p, words[i], strlen(words[i])) == 0)
                return true;
    return false;
}

static void put_columns(const struct proposed *t, struct buf *out)
{
    const struct table *table = t->layout->table;
    bool any = false, wanted = false;
    for (size_t i = 0; i < table->ncol; i++)
        if (!table->pk[i] && is_secret(table->col[i]) && plain_name(table->col[i])) {
            buf_addf(out, "%s%s", any ? ", " : "; Not for copies, by its name.\ncolumns = * except ",
                     table->col[i]);
            any = true;
            wanted |= t->layout->column[i].notnull && t->layout->column[i].value == NULL;
        }
    buf_puts(out, any ? "\n" : "");
    if (wanted)
        buf_puts(out,
                 "; Without it nobody but the server can make a row: it is NOT NULL and has no default.\n"
                 "write = update, delete\n");
}

/* The columns of a UNIQUE index of the table that can tell what a row means, "a, b", to free; NULL: there is none. */
static int unique_columns(struct proposal *x, const struct table *t, char **out)
{
    return db_get_text(
        x->db, out,
        "SELECT (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY "
        "seqno)) FROM "
        "pragma_index_list(%Q) AS l WHERE l.\"unique\" AND NOT l.partial AND l.origin <> 'pk' AND NOT EXISTS "
        "(SELECT 1 FROM pragma_index_info(l.name) AS i LEFT JOIN pragma_table_info(%Q) AS c ON c.name = "
        "i.name WHERE "
        "c.name IS NULL OR NOT c.\"notnull\" OR c.pk) ORDER BY l.seq DESC LIMIT 1",
        t->name, t->name);
}

static bool is_referred_to(const struct proposal *x, size_t to)
{
    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < x->t[i].nlink; k++)
            if (x->t[i].link[k].to == to)
                return true;
    return false;
}

/* A row that follows its parent's key is not adopted on its own. */
static bool key_is_reference(const struct proposed *t)
{
    for (size_t k = 0; k < t->nlink; k++)
        if (t->layout->table->pk[table_column(t->layout->table, t->link[k].column)])
            return true;
    return false;
}

static int put_duplicates(struct proposal *x, size_t i, struct buf *out)
{
    const struct table *t = x->t[i].layout->table;
    char *columns;
    if (unique_columns(x, t, &columns))
        return -1;
    if (columns && strpbrk(columns, "|;\r\n") == NULL && t->nkey == 1 && is_referred_to(x, i) &&
        !key_is_reference(&x->t[i]))
        buf_addf(out,
                 "; Two rows with the same (%s) mean the same: the second gives way to the first, and what "
                 "refers to it "
                 "follows.\nuser_key = %s\nduplicates = adopt\n",
                 columns, columns);
    free(columns);
    return 0;
}

static int put_triggers(struct proposal *x, const struct table *t, struct buf *out)
{
    char *names;
    if (db_get_text(
            x->db, &names,
            "SELECT group_concat(name, ', ') FROM (SELECT name FROM sqlite_schema WHERE type = 'trigger' AND "
            "tbl_name = %Q COLLATE NOCASE AND name NOT LIKE 'dx~_%%' ESCAPE '~' ORDER BY rowid)",
            t->name))
        return -1;
    if (names && strpbrk(names, "\r\n") == NULL)
        buf_addf(
            out,
            "; Triggers: %s. They act on the server for what nodes change; where the copies have them, too:\n"
            "; triggers = copy\n",
            names);
    free(names);
    return 0;
}

static void put_references(const struct proposal *x, size_t i, const struct lookalike *l, size_t n,
                           struct buf *out)
{
    const struct proposed *t = &x->t[i];
    for (size_t k = 0; k < n; k++)
        if (l[k].object == &x->p.object[i])
            buf_addf(out,
                     l[k].values ? "; %s looks like a reference to %s: %lld of %lld values are keys there.\n"
                                 : "; %s looks like a reference to %s, by its name.\n",
                     l[k].column, l[k].to->name, (long long)l[k].found, (long long)l[k].values);
    (void)t;
    lookalike_line(out, &x->p.object[i], l, n, NULL);
}

static int put_object(struct proposal *x, size_t i, const struct lookalike *l, size_t n, struct buf *out)
{
    const struct proposed *t = &x->t[i];
    const struct table *table = t->layout->table;
    buf_addf(out, "\n; %lld rows%s.\n[object %s]\n", (long long)t->rows,
             t->layout->rowid_key && !key_is_reference(t)
                 ? "; a number that two sides give to different rows is changed for one"
                 : "",
             table->name);
    if (put_visible(x, i, out))
        return -1;
    put_columns(t, out);
    put_references(x, i, l, n, out);
    return put_duplicates(x, i, out) || put_triggers(x, table, out) ? -1 : 0;
}

/* What a table refers to comes first, as far as that goes. */
static int put_after_parents(struct proposal *x, size_t i, const struct lookalike *l, size_t n,
                             struct buf *out)
{
    if (x->t[i].written)
        return 0;
    x->t[i].written = true;
    for (size_t k = 0; k < x->t[i].nlink; k++)
        if (put_after_parents(x, x->t[i].link[k].to, l, n, out))
            return -1;
    return put_object(x, i, l, n, out);
}

static void put_head(struct proposal *x, struct buf *out)
{
    const char *path = db_path(x->db), *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    struct buf name = {0};
    for (const char *p = file; *p && *p != '.'; p++)
        buf_byte(&name, strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *p)
                            ? (uint8_t)*p
                            : '-');
    buf_addf(out,
             "; Proposed from the schema and the rows of %s. Read it, decide, and load it: txnroute load DB "
             "DIRECTORY.\n"
             "; dx-package(5) says what the words mean. %s\n\n[package]\nname = %s\nversion = 1\n",
             strpbrk(file, "\r\n") ? "the database" : file,
             x->people < x->n ? "Who sees which rows was guessed from what refers to the people."
                              : "Everybody sees everything: say `visible` or `via` for what not all may see.",
             name.n ? buf_text(&name) : "p");
    buf_free(&name);
    if (x->left.n)
        buf_addf(out, "\n%s", buf_text(&x->left));
}

static void free_all(struct proposal *x)
{
    for (size_t i = 0; i < x->n; i++) {
        for (size_t k = 0; k < x->t[i].nlink; k++)
            free(x->t[i].link[k].column);
        free(x->t[i].link);
        layout_free(x->t[i].layout);
    }
    free(x->t);
    object_free(x->p.object, x->p.nobject);
    buf_free(&x->left);
    buf_free(&x->indexes);
}

int propose_package(struct db *db, const char *people, struct buf *out)
{
    struct proposal x = {.db = db};
    struct lookalike *l = NULL;
    size_t n = 0;
    int rc = layout_each(db, add_table, &x) || add_links(&x, &l, &n) ? -1 : 0;
    x.people = people ? table_named(&x, people) : x.n;
    if (rc == 0 && people && (x.people == x.n || x.t[x.people].layout->table->nkey != 1))
        rc = fail(ERR_REFUSED, "%s: --user-table %s: no table of that name with a key of one column",
                  db_path(db), people);
    if (rc == 0 && x.n == 0)
        rc = fail(ERR_REFUSED, "%s: it has no table that could travel", db_path(db));
    while (rc == 0 && x.people < x.n && reach(&x))
        ;
    if (rc == 0)
        put_head(&x, out);
    for (size_t i = 0; rc == 0 && i < x.n; i++)
        rc = put_after_parents(&x, i, l, n, out);
    if (rc == 0 && x.indexes.n)
        buf_addf(out, "\n; Indexes that keep the cost of routing with what changes:\n%s",
                 buf_text(&x.indexes));
    lookalike_free(l, n);
    free_all(&x);
    return rc;
}
