/* scope: see compare/scope.h. */
#include "compare/scope.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/capture.h"
#include "journal/client_tables.h"
#include "journal/meta.h"
#include "nodes/membership.h"

#include <stdlib.h>
#include <string.h>

struct list {
    struct db *db;
    struct scope *held;
    size_t n;
};

static void add(struct list *l, const struct table *t, const char *select)
{
    l->held = mem_grow(l->held, l->n + 1, sizeof *l->held);
    l->held[l->n++] = (struct scope){table_copy(t), mem_text(select)};
}

static void add_columns(struct list *l, const struct table *t)
{
    struct buf select = {0};
    buf_puts(&select, "SELECT ");
    layout_columns(&select, t, "");
    buf_puts(&select, " FROM main.");
    buf_name(&select, t->name);
    add(l, t, buf_text(&select));
    buf_free(&select);
}

static int add_table(struct list *list, const char *name)
{
    struct layout *l = layout_of(list->db, name);
    if (l == NULL)
        return -1;
    add_columns(list, l->table);
    layout_free(l);
    return 0;
}

/* A client may have more in its tables than its package gives it. */
static int add_copies(struct list *l, size_t *n)
{
    struct table **tables;
    if (client_tables_load(l->db, &tables, n))
        return -1;
    for (size_t i = 0; i < *n; i++)
        add_columns(l, tables[i]);
    client_tables_free(tables, *n);
    return 0;
}

static int add_captured(void *ctx, const char *table, bool captured, const char *amiss)
{
    (void)amiss;
    return captured ? add_table(ctx, table) : 0;
}

static int add_keyed(void *ctx, const char *table, bool has_key)
{
    return has_key ? add_table(ctx, table) : 0;
}

static int list_here(struct list *l)
{
    size_t copies;
    int present = meta_present(l->db);
    if (present < 0 || add_copies(l, &copies))
        return -1;
    if (copies)
        return 0;
    return present ? capture_each(l->db, add_captured, l) : layout_each(l->db, add_keyed, l);
}

static int add_object(struct list *l, const struct node *n, const struct object *o)
{
    struct buf select = {0};
    if (o->visible == VISIBLE_NONE)
        return 0;
    int rc = membership_select(l->db, n, o, &select);
    if (rc == 0)
        add(l, o->sent, buf_text(&select));
    buf_free(&select);
    return rc;
}

static int list_of(struct list *l, const char *node)
{
    struct node n = {0};
    int found = meta_require(l->db) ? -1 : node_find(l->db, node, &n);
    if (found == 0)
        return fail(ERR_REFUSED, "%s: no node %s is registered here; see `txnroute node list`",
                    db_path(l->db), node);
    if (found < 0)
        return -1;
    struct package *p = membership_functions(l->db) ? NULL : package_get(l->db, n.package);
    int rc = p ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++)
        rc = add_object(l, &n, &p->object[i]);
    package_free(p);
    node_free(&n);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct scope *)a)->table->name, ((const struct scope *)b)->table->name);
}

int scope_list(struct db *db, const char *node, struct scope **out, size_t *n)
{
    struct list l = {.db = db};
    int rc = node ? list_of(&l, node) : list_here(&l);
    if (l.n)
        qsort(l.held, l.n, sizeof *l.held, by_name);
    *out = l.held;
    *n = l.n;
    return rc;
}

static void drop(struct scope *h)
{
    table_free(h->table);
    free(h->select);
}

void scope_free(struct scope *held, size_t n)
{
    for (size_t i = 0; i < n; i++)
        drop(&held[i]);
    free(held);
}

static bool named(const char *table, char *const *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table, name[i]) == 0)
            return true;
    return false;
}

int scope_only(struct scope *held, size_t *n, char *const *name, size_t nname)
{
    size_t kept = 0;
    if (nname == 0)
        return 0;
    for (size_t i = 0; i < nname; i++) {
        size_t at = 0;
        while (at < *n && strcmp(held[at].table->name, name[i]) != 0)
            at++;
        if (at == *n)
            return fail(ERR_REFUSED, "no table %s is held", name[i]);
    }
    for (size_t i = 0; i < *n; i++)
        if (named(held[i].table->name, name, nname))
            held[kept++] = held[i];
        else
            drop(&held[i]);
    *n = kept;
    return 0;
}

struct stmt *scope_rows(struct db *db, const struct scope *h)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, h->table, "");
    buf_addf(&sql, " FROM (%s) ORDER BY ", h->select);
    for (size_t k = 0; k < h->table->nkey; k++) {
        buf_puts(&sql, k ? ", " : "");
        buf_name(&sql, h->table->col[h->table->key[k]]);
        buf_puts(&sql, " COLLATE BINARY");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}
