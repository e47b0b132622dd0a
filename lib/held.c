/* held: see held.h. */
#include "held.h"

#include "capture.h"
#include "copy.h"
#include "err.h"
#include "member.h"
#include "store.h"

#include <string.h>

struct holding {
    struct db *db;
    struct digest *d;
};

static int add_columns(struct holding *h, const struct table *t)
{
    struct buf select = {0};
    buf_puts(&select, "SELECT ");
    layout_columns(&select, t, "");
    buf_puts(&select, " FROM main.");
    buf_name(&select, t->name);
    int rc = digest_add(h->d, h->db, t, buf_text(&select));
    buf_free(&select);
    return rc;
}

static int add_table(struct holding *h, const char *name)
{
    struct layout *l = layout_of(h->db, name);
    int rc = l ? add_columns(h, l->table) : -1;
    layout_free(l);
    return rc;
}

/* A client may have more in its tables than its package gives it. */
static int add_copies(struct holding *h, size_t *n)
{
    struct table **tables;
    if (copy_tables(h->db, &tables, n))
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < *n; i++)
        rc = add_columns(h, tables[i]);
    copy_free(tables, *n);
    return rc;
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

int held_here(struct db *db, struct digest *d)
{
    struct holding h = {.db = db, .d = d};
    size_t copies;
    int present = store_present(db);
    if (present < 0 || add_copies(&h, &copies))
        return -1;
    if (copies)
        return 0;
    return present ? capture_each(db, add_captured, &h) : layout_each(db, add_keyed, &h);
}

static int add_object(struct db *db, const struct node *n, const struct object *o, struct digest *d)
{
    struct buf select = {0};
    if (o->visible == VISIBLE_NONE)
        return 0;
    int rc = member_select(db, n, o, &select);
    rc = rc ? -1 : digest_add(d, db, o->sent, buf_text(&select));
    buf_free(&select);
    return rc;
}

int held_by(struct db *db, const char *node, struct digest *d)
{
    struct node n = {0};
    int found = store_require(db) ? -1 : node_find(db, node, &n);
    if (found == 0)
        return fail(ERR_REFUSED, "%s: no node %s is registered here; see `txnroute node list`", db_path(db),
                    node);
    if (found < 0)
        return -1;
    struct package *p = member_functions(db) ? NULL : package_get(db, n.package);
    int rc = p ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++)
        rc = add_object(db, &n, &p->object[i], d);
    package_free(p);
    node_free(&n);
    return rc;
}
