/* advice: see advice.h. */
#include "advice.h"

#include "mem.h"
#include "member.h"

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
        return mem_printf("%s is read whole; an index on what joins it is wanted", table);
    if (strncmp(name, "dx_", 3) == 0 || strncmp(name, "temp.", 5) == 0 || strstr(detail, "VIRTUAL TABLE") ||
        strncmp(name, "CONSTANT", 8) == 0 || (search && columns == NULL))
        return NULL;
    if (columns)
        return mem_printf("%.*s wants an index on %s", (int)n, name, columns);
    return mem_printf("%.*s is read whole; an index on what joins it is wanted", (int)n, name);
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

/* The first complaint of the plan but those of the image (NULL: none stands in); *why is to free. */
static int explain(struct db *db, const char *sql, const char *table, const struct occurrence *image,
                   char **why)
{
    struct stmt *s = db_preparef(db, "EXPLAIN QUERY PLAN %s", sql);
    enum step step = STEP_ERROR;
    *why = NULL;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        char *one = *why ? NULL : complaint(stmt_text(s, 3), table);
        if (one && !of_image(image, one))
            *why = one;
        else
            free(one);
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : 0;
}

/* SQLite believes in a million rows where it has no statistics: so that it plans as in a run, the image has one row
 * when it counts. Its name in the plan is the alias of the table that it stands for, which may be read whole. */
static int pretend(struct db *db, const struct relation *r)
{
    struct buf sql = {0};
    const struct table *t = r->layout ? r->layout->table : NULL;
    if (t == NULL)
        buf_addf(&sql, "INSERT INTO %s (id) VALUES (1);", r->new_name);
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

static int advise_arm(struct db *db, const struct viewed *w, const struct arm *a,
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
        rc = pretend(db, o->relation) || explain(db, buf_text(&sql), w->object->table, o, &why) ? -1 : 0;
        if (why)
            tell("object %s: when %s changes, %s", w->object->name, o->relation->name, why);
        use[i] = NULL;
        free(why);
        buf_free(&sql);
    }
    free(use);
    return rc;
}

static int advise_via(struct db *db, const struct viewed *w, void (*tell)(const char *fmt, ...))
{
    struct buf sql = {0};
    char *why = NULL;
    buf_puts(&sql, "SELECT 1 FROM temp.dx_moved AS dx_m CROSS JOIN main.");
    buf_name(&sql, w->object->table);
    buf_puts(&sql, " AS x WHERE ");
    view_where_parent(&sql, w, "x", "dx_m.key");
    int rc = explain(db, buf_text(&sql), w->object->table, NULL, &why);
    if (why)
        tell("object %s: table %s wants an index on (%s), by which it stands below %s", w->object->name,
             w->object->table, w->object->via_column, w->object->via_object);
    free(why);
    buf_free(&sql);
    return rc;
}

int advise_indexes(struct db *db, const struct viewed *w, void (*tell)(const char *fmt, ...))
{
    int rc = 0;
    for (size_t a = 0; rc == 0 && !w->rule->whole && a < w->rule->narm; a++)
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
    else if (!below && !member_whole(to))
        tell("object %s: (%s) refers to table %s, and can point to a row that the node does not hold",
             o->name, columns, table);
}

int advise_references(struct db *db, const struct package *p, const struct object *o,
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
