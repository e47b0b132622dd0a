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

/* Whether the journal's change is one of the row, and of the column if there is one. */
static bool concerns(const struct change *entry, const struct change *c, int column, const struct val *key)
{
    struct buf room = {0};
    if (strcasecmp(entry->table->name, c->table->name) != 0 || entry->table->nkey != c->table->nkey)
        return false;
    struct val packed = change_packed_key(entry, &room);
    bool same = val_same(&packed, key);
    buf_free(&room);
    if (!same || column < 0 || entry->op != CHANGE_UPDATE)
        return same;
    int i = table_column(entry->table, c->table->col[column]);
    return i >= 0 && entry->new[i].type != VAL_NONE;
}

/* Who made the newest change of it that did not come from the server: "" for this copy, NULL where the journal has none. To
 * free. */
static int find_author(struct db *db, const struct change *c, int column, char **author)
{
    struct change entry;
    struct buf room = {0};
    struct val key = change_packed_key(c, &room);
    int64_t end;
    int got = -1;
    struct journal_reader *r = journal_end(db, &end) ? NULL : journal_read(db, 0, end);
    while (r && (got = journal_next(r, &entry)) > 0)
        if (strcmp(entry.origin, STORE_UPSTREAM) != 0 && concerns(&entry, c, column, &key)) {
            free(*author);
            *author = mem_text(entry.origin);
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

int verdict_forward(struct apply_context *w, const struct dx_verdict *v, const struct change *c, int column)
{
    int64_t nodes;
    char *author = NULL;
    struct node n;
    if (db_get_int(w->db, &nodes, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_nodes'"))
        return -1;
    if (nodes == 0)
        return 0;
    int rc = find_author(w->db, c, column, &author);
    int found = rc || author == NULL || *author == 0 ? 0 : node_find(w->db, author, &n);
    if (found > 0) {
        rc = n.active ? forward(w->db, &n, v, c, column) : 0;
        node_free(&n);
    }
    free(author);
    return rc || found < 0 ? -1 : 0;
}
