/* verdict_forward: see apply/verdict_forward.h. */
#include "apply/verdict_forward.h"

#include "apply/verdict_send.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/node.h"
#include "nodes/package.h"
#include "nodes/verdict.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A verdict with the key of its row, packed, and where to put who made the newest change of it that did not come from
 * the server: NULL where the journal has none, "" for this copy. */
struct wanted {
    const struct verdict_received *of;
    struct buf room;
    struct val key;
    char **author;
};

static int compare_rows(const char *table, const struct val *key, const struct wanted *b)
{
    int order = strcasecmp(table, b->of->change.table->name);
    return order ? order : vals_compare(key, &b->key, 1);
}

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a;
    return compare_rows(x->of->change.table->name, &x->key, b);
}

/* The first of those for the row; n when there is none. */
static size_t first_of(const struct wanted *list, size_t n, const char *table, const struct val *key)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare_rows(table, key, &list[mid]) > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && compare_rows(table, key, &list[low]) == 0 ? low : n;
}

/* Whether the journal's change of the row is one of the verdict's column, if it has one. */
static bool concerns(const struct change *entry, const struct verdict_received *r)
{
    if (entry->table->nkey != r->change.table->nkey)
        return false;
    if (r->column < 0 || entry->op != CHANGE_UPDATE)
        return true;
    int i = table_column(entry->table, r->change.table->col[r->column]);
    return i >= 0 && entry->new[i].type != VAL_NONE;
}

static int find_authors(struct db *db, struct wanted *list, size_t n)
{
    struct change entry;
    struct buf room = {0};
    int64_t end;
    int got = -1;
    struct journal_reader *r = journal_end(db, &end) ? NULL : journal_read(db, 0, end);
    while (r && (got = journal_next(r, &entry)) > 0) {
        if (strcmp(entry.origin, STORE_UPSTREAM) == 0)
            continue;
        const char *table = entry.table->name;
        struct val key = change_packed_key(&entry, &room);
        for (size_t i = first_of(list, n, table, &key); i < n && compare_rows(table, &key, &list[i]) == 0;
             i++)
            if (concerns(&entry, list[i].of)) {
                free(*list[i].author);
                *list[i].author = mem_text(entry.origin);
            }
    }
    journal_reader_close(r);
    buf_free(&room);
    return got;
}

static int forward(struct db *db, const struct node *n, const struct dx_verdict *v, const struct change *c,
                   int column)
{
    struct package *p = package_get(db, n->package);
    const struct object *o = p ? package_object(p, c->table->name) : NULL;
    struct dx_verdict forwarded = {v->kind, v->outcome, v->table, v->column, v->reason, {0}};
    int rc = p ? 0 : -1;
    if (o && o->visible != VISIBLE_NONE &&
        (column < 0 || table_column(o->sent, c->table->col[column]) >= 0)) {
        verdict_put(&forwarded.change, c, column, o);
        rc = verdict_add(db, n->id, &forwarded);
    }
    buf_free(&forwarded.change);
    package_free(p);
    return rc;
}

static int forward_one(struct db *db, const struct verdict_received *r, const char *author)
{
    struct node n;
    int found = author == NULL || *author == 0 ? 0 : node_find(db, author, &n);
    if (found <= 0)
        return found;
    int rc = n.active ? forward(db, &n, r->verdict, &r->change, r->column) : 0;
    node_free(&n);
    return rc;
}

int verdict_forward(struct apply_context *w, const struct verdict_received *list, size_t n)
{
    int64_t nodes;
    if (n == 0)
        return 0;
    if (db_get_int(w->db, &nodes, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_nodes'"))
        return -1;
    if (nodes == 0)
        return 0;
    struct wanted *wanted = mem_zero(n, sizeof *wanted);
    char **author = mem_zero(n, sizeof *author);
    for (size_t i = 0; i < n; i++) {
        wanted[i].of = &list[i];
        wanted[i].author = &author[i];
        wanted[i].key = change_packed_key(&list[i].change, &wanted[i].room);
    }
    qsort(wanted, n, sizeof *wanted, compare_wanted);
    int rc = find_authors(w->db, wanted, n);
    for (size_t i = 0; i < n; i++) {
        rc = rc || forward_one(w->db, &list[i], author[i]) ? -1 : 0;
        buf_free(&wanted[i].room);
        free(author[i]);
    }
    free(author);
    free(wanted);
    return rc;
}
