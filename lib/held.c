/* held: see held.h. */
#include "held.h"

#include "capture.h"
#include "err.h"
#include "member.h"
#include "store.h"

#include <string.h>

struct holding {
    struct db *db;
    struct digest *d;
};

static int add_table(struct holding *h, const char *name)
{
    struct layout *l = layout_of(h->db, name);
    struct buf select = {0};
    if (l == NULL)
        return -1;
    buf_puts(&select, "SELECT ");
    layout_columns(&select, l->table, "");
    buf_puts(&select, " FROM main.");
    buf_name(&select, l->table->name);
    int rc = digest_add(h->d, h->db, l->table, buf_text(&select));
    buf_free(&select);
    layout_free(l);
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
    int present = store_present(db);
    if (present < 0)
        return -1;
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
