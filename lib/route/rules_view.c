/* rules_view: see route/rules_view.h. */
#include "route/rules_view.h"

#include "base/mem.h"
#include "nodes/package.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The tables that a rule reads, each once. */
struct reads {
    size_t n;
    char **table;
};

static void add_table(struct reads *r, const char *table)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcasecmp(r->table[i], table) == 0)
            return;
    r->table = mem_grow(r->table, r->n + 1, sizeof *r->table);
    r->table[r->n++] = mem_text(table);
}

/* What stands in the toolkit's tables is read through the view dx_node. */
static void on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through)
{
    (void)b;
    (void)database;
    if (action == DB_ACTION_READ && a && strncasecmp(a, "dx_", 3) != 0)
        add_table(ctx, a);
    else if (action == DB_ACTION_READ &&
             ((through && strcasecmp(through, "dx_node") == 0) || (a && strcasecmp(a, "dx_node") == 0)))
        add_table(ctx, "dx_node");
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static void free_reads(struct reads *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->table[i]);
    free(r->table);
    *r = (struct reads){0};
}

/* ---- as text ---- */

static void put_object(const struct object *o, int width, const struct reads *r, bool sound, struct buf *out)
{
    buf_addf(out, "  %-*s  ", width, o->name);
    if (o->visible == VISIBLE_ALL)
        buf_puts(out, "every node of the package");
    else if (o->visible == VISIBLE_NONE)
        buf_puts(out, "no node");
    else if (o->visible == VISIBLE_VIA)
        buf_addf(out, "below %s, by %s", o->via_object, o->via_column);
    else if (!sound)
        buf_puts(out, "by a rule that cannot be read any more");
    for (size_t i = 0; o->visible == VISIBLE_SELECT && i < r->n; i++)
        buf_addf(out, "%s%s", i ? ", " : "by a rule over ", r->table[i]);
    if (*o->keep)
        buf_addf(out, "; keep %s", o->keep);
    buf_puts(out, "\n");
}

/* ---- as a graph ---- */

static void put_quoted(struct buf *out, const char *kind, const char *name)
{
    buf_addf(out, "\"%s", kind);
    for (; *name; name++)
        buf_addf(out, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name == '\n' ? ' ' : *name);
    buf_puts(out, "\"");
}

static void put_node(struct buf *out, const char *kind, const char *name, const char *style)
{
    buf_puts(out, "    ");
    put_quoted(out, kind, name);
    buf_puts(out, " [label=");
    put_quoted(out, "", name);
    buf_addf(out, "%s];\n", style);
}

static void put_arrow(struct buf *out, const char *kind, const char *from, const char *to_kind,
                      const char *to, const char *label)
{
    buf_puts(out, "    ");
    put_quoted(out, kind, from);
    buf_puts(out, " -> ");
    put_quoted(out, to_kind, to);
    if (label) {
        buf_puts(out, " [label=");
        put_quoted(out, "", label);
        buf_puts(out, "]");
    }
    buf_puts(out, ";\n");
}

/* Objects are boxes in the frame of their package: bold those that all nodes hold, dotted those that none does. */
static void draw_object(const char *kind, const struct object *o, const struct reads *r, struct buf *out)
{
    put_node(out, kind, o->name,
             o->visible == VISIBLE_ALL    ? ", shape=box, style=bold"
             : o->visible == VISIBLE_NONE ? ", shape=box, style=dotted"
                                          : ", shape=box");
    if (o->visible == VISIBLE_VIA)
        put_arrow(out, kind, o->via_object, kind, o->name, o->via_column);
    for (size_t i = 0; o->visible == VISIBLE_SELECT && i < r->n; i++)
        put_arrow(out, "table ", r->table[i], kind, o->name, NULL);
}

/* ---- the whole ---- */

static void draw_package(const struct package *p, const struct reads *read, size_t number, struct buf *out)
{
    char *kind = mem_printf("%zu ", number), *label = mem_printf("%s %s", p->name, p->version);
    buf_addf(out, "  subgraph cluster_%zu {\n    label=", number);
    put_quoted(out, "", label);
    buf_puts(out, ";\n");
    for (size_t i = 0; i < p->nobject; i++)
        draw_object(kind, &p->object[i], &read[i], out);
    buf_puts(out, "  }\n");
    free(kind);
    free(label);
}

static int view_package(struct db *db, const char *name, bool dot, size_t number, struct reads *all,
                        struct buf *out)
{
    struct package *p = package_get(db, name);
    if (p == NULL)
        return -1;
    struct reads *read = mem_zero(p->nobject, sizeof *read);
    int width = 0;
    if (!dot)
        buf_addf(out, "%s %s\n", p->name, p->version);
    for (size_t i = 0; i < p->nobject; i++)
        width = (int)strlen(p->object[i].name) > width ? (int)strlen(p->object[i].name) : width;
    for (size_t i = 0; i < p->nobject; i++) {
        const struct object *o = &p->object[i];
        bool sound = o->visible != VISIBLE_SELECT || db_touches(db, o->rule, on_touch, &read[i]) == 0;
        if (read[i].n)
            qsort(read[i].table, read[i].n, sizeof(char *), by_name);
        if (!dot)
            put_object(o, width, &read[i], sound, out);
        for (size_t k = 0; k < read[i].n; k++)
            add_table(all, read[i].table[k]);
    }
    if (dot)
        draw_package(p, read, number, out);
    for (size_t i = 0; i < p->nobject; i++)
        free_reads(&read[i]);
    free(read);
    package_free(p);
    return 0;
}

int rules_view(struct db *db, bool dot, struct buf *out)
{
    char **name;
    size_t n;
    struct reads all = {0};
    if (package_names(db, &name, &n))
        return -1;
    int rc = 0;
    if (dot)
        buf_puts(out, "digraph rules {\n  rankdir=LR;\n  fontname=\"sans-serif\";\n"
                      "  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n");
    for (size_t i = 0; i < n; i++) {
        rc = rc ? rc : view_package(db, name[i], dot, i, &all, out);
        free(name[i]);
    }
    free(name);
    for (size_t i = 0; dot && i < all.n; i++)
        put_node(out, "table ", all.table[i], ", shape=ellipse");
    if (dot)
        buf_puts(out, "}\n");
    free_reads(&all);
    return rc;
}
