/* package_lint: see route/package_lint.h. */
#include "route/package_lint.h"

#include "base/mem.h"
#include "nodes/attachment.h"
#include "nodes/membership.h"
#include "route/next_audience.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- indexes ---- */

/* What SQLite's plan says of one table: "SCAN p", "SEARCH p USING AUTOMATIC COVERING INDEX (territory=?)". Images and
 * the nodes are small; they may be read whole. */
static char *complaint(const char *detail, const char *table)
{
    bool scan = strncmp(detail, "SCAN ", 5) == 0, search = strncmp(detail, "SEARCH ", 7) == 0;
    if (!scan && !search)
        return NULL;
    const char *name = detail + (scan ? 5 : 7);
    size_t n = strcspn(name, " ");
    const char *automatic = strstr(detail, "AUTOMATIC");
    const char *columns = automatic ? strchr(automatic, '(') : NULL;
    if (scan && n == 4 && strncmp(name, "dx_x", n) == 0)
        return mem_printf("%s is read whole", table);
    if (strncmp(name, "dx_", 3) == 0 || strncmp(name, "temp.", 5) == 0 || strstr(detail, "VIRTUAL TABLE") ||
        strncmp(name, "CONSTANT", 8) == 0 || (search && columns == NULL))
        return NULL;
    if (columns)
        return mem_printf("%.*s gets an index on %s of its own each time", (int)n, name, columns);
    return mem_printf("%.*s is read whole", (int)n, name);
}

/* Whether the complaint is of the table that the image stands for. */
static bool of_image(const struct occurrence *o, const char *why)
{
    if (o == NULL)
        return false;
    const char *name = o->alias ? o->alias : o->relation->name;
    size_t n = strlen(name);
    return strncasecmp(why, name, n) == 0 && why[n] == ' ';
}

/* The complaints about the plan, but those of the image (NULL: none stands in): how many, or -1. *why is the first
 * one, to free, or NULL. */
static int explain(struct db *db, const char *sql, const char *table, const struct occurrence *image,
                   char **why)
{
    struct stmt *s = db_preparef(db, "EXPLAIN QUERY PLAN %s", sql);
    enum step step = STEP_ERROR;
    int n = 0;
    *why = NULL;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        char *one = complaint(stmt_text(s, 3), table);
        if (one == NULL || of_image(image, one))
            free(one);
        else if (n++ == 0)
            *why = one;
        else
            free(one);
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : n;
}

/* SQLite believes in a million rows where it has no statistics: so that it plans as in a run, the image has one row
 * when it counts. Its name in the plan is the alias of the table that it stands for, which may be read whole. */
static int pretend(struct db *db, const struct relation *r)
{
    struct buf sql = {0};
    const struct table *t = r->layout ? r->layout->table : NULL;
    if (t == NULL)
        buf_addf(&sql, "INSERT INTO %s (dx_id) VALUES (1);", r->new_name);
    else {
        buf_addf(&sql, "INSERT OR IGNORE INTO %s (", r->new_name);
        layout_keys(&sql, t, "");
        buf_puts(&sql, ") VALUES (1");
        for (size_t k = 1; k < t->nkey; k++)
            buf_puts(&sql, ", 1");
        buf_puts(&sql, ");");
    }
    buf_addf(&sql, "ANALYZE %s; DELETE FROM %s", r->new_name, r->new_name);
    int rc = db_exec(db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

/* What a statement is tried on: an empty copy of the schema, where indexes cost nothing. */
struct trial {
    struct db *db; /* opened when it is first wanted */
    const struct object_delta *w;
    const struct arm *a;
    const struct occurrence *image;
    const char *sql;
};

/* What SQLite cannot make again there (a virtual table, say) is left out; the statement then fails, and gets no hint. */
static int copy_schema(struct db *to, struct db *from)
{
    struct stmt *s =
        db_prepare(from, "SELECT sql FROM main.sqlite_schema WHERE sql IS NOT NULL AND type <> 'trigger' "
                         "AND name NOT LIKE 'sqlite~_%' ESCAPE '~' "
                         "UNION ALL "
                         "SELECT replace(sql, 'CREATE TABLE', 'CREATE TEMP TABLE') "
                         "FROM sqlite_temp_schema WHERE sql IS NOT NULL");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        (void)db_exec(to, stmt_text(s, 0));
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* How many rows there are as far as it knows, where ANALYZE has been run. */
static int copy_statistics(struct db *to, struct db *from)
{
    int64_t there;
    if (db_get_int(from, &there, "SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_stat1'"))
        return -1;
    if (there == 0)
        return 0;
    struct stmt *s = db_prepare(from, "SELECT tbl, idx, stat FROM main.sqlite_stat1");
    enum step step = STEP_ERROR;
    int rc = db_exec(to, "ANALYZE main");
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW)
        rc = db_execf(to, "INSERT INTO main.sqlite_stat1 VALUES (%Q, %Q, %Q)", stmt_text(s, 0),
                      stmt_text(s, 1), stmt_text(s, 2));
    stmt_free(s);
    return rc == 0 && step == STEP_DONE ? db_exec(to, "ANALYZE main.sqlite_schema") : -1;
}

/* How many complaints are left with an index on the column, or -1. */
static int try_index(struct trial *t, const char *table, const char *column)
{
    char *why = NULL;
    int left = db_execf(t->db, "CREATE INDEX main.dx_trial ON \"%w\" (\"%w\")", table, column) ||
                       pretend(t->db, t->image->relation)
                   ? -1
                   : explain(t->db, t->sql, t->w->object->table, t->image, &why);
    free(why);
    return db_exec(t->db, "DROP INDEX IF EXISTS main.dx_trial") ? -1 : left;
}

/* Whether the statement names the column. */
static bool named(const char *sql, const struct token *token, size_t n, const char *column)
{
    for (size_t i = 0; i < n; i++) {
        char *name = token_name(sql, &token[i]);
        bool same = name && strcasecmp(name, column) == 0;
        free(name);
        if (same)
            return true;
    }
    return false;
}

/* The columns of one table, tried one after another; the best so far is in *best with its count of complaints. */
static void try_columns(struct trial *t, const struct relation *r, const struct token *token, size_t n,
                        char **best, int *fewest)
{
    for (size_t c = 0; r->layout && c < r->ncol; c++) {
        int left = named(t->sql, token, n, r->col[c]) ? try_index(t, r->name, r->col[c]) : -1;
        if (left >= 0 && left < *fewest) {
            free(*best);
            *best = mem_printf("%s (%s)", r->name, r->col[c]);
            *fewest = left;
        }
    }
}

/* The index that would spare most of the reading, "table (column)", to free; NULL where no single one does. */
static char *wanted_index(struct db *db, struct trial *t)
{
    char *best = NULL, *why = NULL;
    size_t n;
    t->db = db_open(":memory:", DB_CREATE);
    if (t->db && copy_schema(t->db, db) == 0 && copy_statistics(t->db, db) == 0 &&
        pretend(t->db, t->image->relation) == 0) {
        int fewest = explain(t->db, t->sql, t->w->object->table, t->image, &why);
        struct token *token = tokens_of(t->sql, &n);
        for (size_t i = 0; fewest > 0 && i < t->a->noccurrence; i++)
            try_columns(t, t->a->occurrence[i].relation, token, n, &best, &fewest);
        free(token);
    }
    free(why);
    db_close(t->db);
    return best;
}

static void advise(struct db *db, struct trial *t, const char *why, void (*tell)(const char *fmt, ...))
{
    char *index = wanted_index(db, t);
    tell("object %s: when %s changes, %s; an index on %s is wanted", t->w->object->name,
         t->image->relation->name, why, index ? index : "what joins it");
    free(index);
}

static int advise_arm(struct db *db, const struct object_delta *w, const struct arm *a,
                      void (*tell)(const char *fmt, ...))
{
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < a->noccurrence; i++) {
        const struct occurrence *o = &a->occurrence[i];
        struct buf sql = {0};
        char *why = NULL;
        if (o->frame || o->anchor || o->dual >= 0 || o->at >= a->end)
            continue;
        use[i] = o->relation->new_name;
        rule_sql(&sql, a, use);
        rc = pretend(db, o->relation) || explain(db, buf_text(&sql), w->object->table, o, &why) < 0 ? -1 : 0;
        if (why)
            advise(db, &(struct trial){.w = w, .a = a, .image = o, .sql = buf_text(&sql)}, why, tell);
        use[i] = NULL;
        free(why);
        buf_free(&sql);
    }
    free(use);
    return rc;
}

static int advise_via(struct db *db, const struct object_delta *w, void (*tell)(const char *fmt, ...))
{
    struct buf sql = {0};
    char *why = NULL;
    buf_addf(&sql, "SELECT 1 FROM %s AS dx_m CROSS JOIN main.", next_audience_table(NEXT_ROWS));
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x WHERE ");
    object_delta_where_parent(&sql, w, "x", "dx_m.key");
    int rc = explain(db, buf_text(&sql), w->object->table, NULL, &why) < 0 ? -1 : 0;
    if (why)
        tell("object %s: table %s wants an index on (%s), by which it stands below %s", w->object->name,
             w->object->table, w->object->via_column, w->object->via_object);
    free(why);
    buf_free(&sql);
    return rc;
}

int package_lint_indexes(struct db *db, const struct object_delta *w, void (*tell)(const char *fmt, ...))
{
    int rc = 0;
    for (size_t a = 0; rc == 0 && !w->rule->full_refresh && a < w->rule->narm; a++)
        rc = advise_arm(db, w, &w->rule->arm[a], tell);
    return rc == 0 && w->object->visible == VISIBLE_VIA ? advise_via(db, w, tell) : rc;
}

/* ---- references ---- */

/* The columns of a declared reference, "a, b". */
static char *reference_columns(struct db *db, const char *table, int64_t id)
{
    char *list = NULL;
    db_get_text(db, &list,
                "SELECT group_concat(\"from\", ', ') FROM (SELECT \"from\" FROM pragma_foreign_key_list(%Q) "
                "WHERE id = "
                "%lld ORDER BY seq)",
                table, (long long)id);
    return list;
}

static void advise_reference(const struct package *p, const struct object *o, const char *table,
                             const char *columns, void (*tell)(const char *fmt, ...))
{
    const struct object *to = package_object(p, table);
    bool below = to && o->visible == VISIBLE_VIA && strcmp(o->via_object, to->name) == 0 &&
                 strcasecmp(o->via_column, columns) == 0;
    if (to == NULL || to->visible == VISIBLE_NONE)
        tell("object %s: (%s) refers to table %s, of which nodes have nothing", o->name, columns, table);
    else if (!below && !membership_whole(to))
        tell("object %s: (%s) refers to table %s, and can point to a row that the node does not hold",
             o->name, columns, table);
}

int package_lint_references(struct db *db, const struct package *p, const struct object *o,
                            void (*tell)(const char *fmt, ...))
{
    if (o->visible == VISIBLE_NONE)
        return 0;
    struct stmt *s = db_preparef(
        db, "SELECT DISTINCT id, \"table\" FROM pragma_foreign_key_list(%Q) ORDER BY id", o->table);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        char *columns = reference_columns(db, o->table, stmt_int(s, 0));
        if (columns && strcasecmp(stmt_text(s, 1), o->table) != 0)
            advise_reference(p, o, stmt_text(s, 1), columns, tell);
        free(columns);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* ---- triggers ---- */

int package_lint_triggers(struct db *db, const struct object *o, void (*tell)(const char *fmt, ...))
{
    if (o->visible == VISIBLE_NONE || o->write == 0)
        return 0;
    char *names = NULL;
    int rc = db_get_text(
        db, &names,
        "SELECT group_concat(name, ', ') FROM (SELECT name FROM sqlite_schema WHERE type = "
        "'trigger' AND tbl_name = %Q COLLATE NOCASE AND name NOT LIKE 'dx~_%%' ESCAPE '~' ORDER BY rowid)",
        o->table);
    if (rc == 0 && names)
        tell(object_policy(o).triggers_of_copy
                 ? "object %s: for what nodes change, its triggers (%s) act on the copies, which must have "
                   "them, and not "
                   "here; only those that write nothing that travels act here, too"
                 : "object %s: for what nodes change, its triggers (%s) act here, at the merge; where the "
                   "copies have "
                   "them as well, say `triggers = copy`",
             o->name, names);
    free(names);
    return rc;
}

/* ---- files that rows name ---- */

int package_lint_files(struct db *db, const struct package *p, void (*tell)(const char *fmt, ...))
{
    struct attachments a;
    int rc = attachments_of_package(db, p->name, &a);
    for (size_t i = 0; rc == 0 && i < a.n; i++) {
        const struct attachment_section *s = &a.section[i];
        int64_t n;
        rc = db_get_int(db, &n,
                        "SELECT count(*) FROM pragma_index_list(%Q) l JOIN pragma_index_info(l.name) c ON "
                        "c.seqno = 0 AND "
                        "c.name = %Q COLLATE NOCASE",
                        s->table, s->digest);
        if (rc == 0 && n == 0)
            tell("files %s: table %s wants an index on (%s), by which files are looked up", s->name, s->table,
                 s->digest);
    }
    attachments_free(&a);
    return rc;
}

/* ---- what a merge will meet ---- */

/* A column that a node's insert cannot give a value: 1, 0. */
static bool is_missing(const struct layout *l, const struct object *o, size_t i)
{
    return table_column(o->sent, l->table->col[i]) < 0 && l->column[i].notnull && l->column[i].value == NULL;
}

/* How many columns of the table a CHECK that begins at token i names. */
static size_t checked_columns(const struct table *t, const char *sql, const struct token *token, size_t n,
                              size_t i)
{
    size_t end = token_close(sql, token, n, i + 1), found = 0;
    for (size_t c = 0; c < t->ncol; c++)
        for (size_t k = i + 2; k < end; k++) {
            char *name = token_name(sql, &token[k]);
            bool same = name && strcasecmp(name, t->col[c]) == 0;
            free(name);
            if (same) {
                found++;
                break;
            }
        }
    return found;
}

/* Whether a CHECK compares columns with each other: two sides can change one each, and the row that comes of it fails. */
static bool checks_columns(const struct layout *l)
{
    size_t n;
    bool found = false;
    struct token *token = tokens_of(l->sql ? l->sql : "", &n);
    for (size_t i = 0; i + 1 < n && !found; i++)
        found = token_is(l->sql, &token[i], "CHECK") && token_is(l->sql, &token[i + 1], "(") &&
                checked_columns(l->table, l->sql, token, n, i) > 1;
    free(token);
    return found;
}

int package_lint_merges(struct db *db, const struct object *o, void (*tell)(const char *fmt, ...))
{
    if (o->visible == VISIBLE_NONE || o->write == 0)
        return 0;
    struct layout *l = layout_of(db, o->table);
    for (size_t i = 0; l && (o->write & WRITE_INSERT) && i < l->table->ncol; i++)
        if (is_missing(l, o, i))
            tell("object %s: a row that a node inserts cannot be merged: column %s does not travel, is NOT "
                 "NULL and has "
                 "no default; say `write = update, delete`, let it travel, or give it a DEFAULT",
                 o->name, l->table->col[i]);
    if (l && l->replaces)
        tell("object %s: table %s says ON CONFLICT; in a merge nothing is replaced or ignored: a row that "
             "another is in "
             "the way of waits in quarantine",
             o->name, l->table->name);
    if (l && (o->write & WRITE_UPDATE) && checks_columns(l))
        tell("object %s: a CHECK of table %s is on several columns; where two sides change one each, what "
             "comes of both may "
             "fail it, and the node's change waits in quarantine",
             o->name, l->table->name);
    int rc = l ? 0 : -1;
    layout_free(l);
    return rc;
}
