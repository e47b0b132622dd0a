/* schema_effect: see route/schema_effect.h. */
#include "route/schema_effect.h"

#include "base/mem.h"
#include "route/declare.h"
#include "sql/layout.h"
#include "sql/schema.h"

#include <stdlib.h>
#include <string.h>

/* The columns that travel now and did not before, and the rows with a value in one of them. */
static int count_added(struct db *db, const struct object *o, const struct layout *before, struct buf *names,
                       int64_t *rows)
{
    struct buf some = {0};
    for (size_t i = 0; i < o->sent->ncol; i++) {
        if (table_column(before->table, o->sent->col[i]) >= 0)
            continue;
        buf_addf(names, "%s%s", names->n ? ", " : "", o->sent->col[i]);
        buf_puts(&some, some.n ? " OR " : "");
        buf_name(&some, o->sent->col[i]);
        buf_puts(&some, " IS NOT NULL");
    }
    int rc =
        some.n ? db_get_int(db, rows, "SELECT count(*) FROM main.\"%w\" WHERE %s", o->table, buf_text(&some))
               : 0;
    buf_free(&some);
    return rc;
}

/* The first column that nodes have and that does not travel any more, or NULL. */
static const char *lost_column(const struct object *o, const struct layout *before)
{
    for (size_t i = 0; i < before->table->ncol; i++)
        if (table_column(o->sent, before->table->col[i]) < 0)
            return before->table->col[i];
    return NULL;
}

/* Against the declarations that nodes have: 1 when there is something to say, 0, -1. */
static int compare(struct db *db, const struct object *o, const struct declaration *before,
                   const struct declaration *now, struct schema_effect *e)
{
    struct buf why = {0}, added = {0};
    struct layout *old = schema_layout(o->table, before->sql[0]);
    int rc = old && schema_differs(old, o->table, now->sql[0], &why) == 0 &&
                     count_added(db, o, old, &added, &e->rows) == 0
                 ? 1
                 : -1;
    const char *lost = rc > 0 ? lost_column(o, old) : NULL;
    e->new_copy = lost || why.n;
    if (rc > 0 && e->new_copy)
        rc = db_get_int(db, &e->rows, "SELECT count(*) FROM main.\"%w\"", o->table) ? -1 : 1;
    e->what = lost      ? mem_printf("table %s: column %s is not sent any more", o->table, lost)
              : why.n   ? mem_printf("table %s: %s", o->table, buf_text(&why))
              : added.n ? mem_printf("table %s gets column %s", o->table, buf_text(&added))
                        : mem_printf("table %s gets other indexes, or is declared otherwise", o->table);
    layout_free(old);
    buf_free(&why);
    buf_free(&added);
    return rc;
}

/* 1 when there is something to say, 0, -1. */
static int look(struct db *db, const struct object *o, struct schema_effect *e)
{
    struct declaration now, before = {0};
    bool changed, known;
    int rc = declare_object(db, o, &now) || declare_changed(db, o, &now, true, &changed) ||
                     declare_before(db, o, &before, &known)
                 ? -1
                 : 0;
    if (rc == 0 && changed && before.n)
        rc = compare(db, o, &before, &now, e);
    else if (rc == 0 && changed && !known) {
        e->what = mem_printf("table %s is new", o->table);
        rc = db_get_int(db, &e->rows, "SELECT count(*) FROM main.\"%w\"", o->table) ? -1 : 1;
    }
    declare_free(&now);
    declare_free(&before);
    return rc;
}

int schema_effects(struct db *db, const char *package, struct schema_effect **out, size_t *n)
{
    int64_t nodes;
    *out = NULL;
    *n = 0;
    if (db_get_int(db, &nodes, "SELECT count(*) FROM dx_nodes WHERE active AND package = %Q", package))
        return -1;
    struct package *p = nodes ? package_get(db, package) : NULL;
    int rc = nodes && p == NULL ? -1 : 0;
    for (size_t i = 0; p && rc == 0 && i < p->nobject; i++) {
        struct schema_effect e = {.nodes = nodes};
        int found = p->object[i].visible == VISIBLE_NONE ? 0 : look(db, &p->object[i], &e);
        if (found > 0) {
            e.object = mem_text(p->object[i].name);
            *out = mem_grow(*out, *n + 1, sizeof **out);
            (*out)[(*n)++] = e;
        } else
            free(e.what);
        rc = found < 0 ? -1 : 0;
    }
    package_free(p);
    return rc;
}

void schema_effects_free(struct schema_effect *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(e[i].object);
        free(e[i].what);
    }
    free(e);
}

void schema_effect_text(const struct schema_effect *e, struct buf *out)
{
    buf_addf(out,
             e->new_copy ? "%s; it needs new copies (initsync). Nodes: %lld, rows of the table: %lld"
                         : "%s; it comes with the next archive. Nodes: %lld, rows with values for it: %lld",
             e->what, (long long)e->nodes, (long long)e->rows);
}
