/* row_history: see route/row_history.h. */
#include "route/row_history.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"
#include "sql/key_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WIDTH = 80, WHAT_AT = 25 }; /* a line's width, and where in it stands what was done */

/* Something that befell the row, at a position of the journal. At one position changes come before what the router
 * did, and that in the order of nodes. */
struct event {
    int64_t position;
    size_t order;
    char *who, *what;
};

/* A node, and what it holds of the row. */
struct reader {
    struct node *node;
    const struct object *object; /* of its package; NULL: it has none for the table */
    bool holds;                  /* now */
    size_t nmove;
    struct membership_log_move
        *move; /* that made a difference to it: old and new are whether it had the row */
};

struct history {
    struct db *db;
    const char *table;
    struct val key; /* packed */
    int64_t routed;
    size_t npackage, nnode, nevent;
    struct package **package;
    struct node *node;
    struct reader *reader; /* per node */
    struct event *event;
};

/* ---- events ---- */

static void add_event(struct history *h, int64_t position, const char *who, char *what)
{
    h->event = mem_grow(h->event, h->nevent + 1, sizeof *h->event);
    h->event[h->nevent] = (struct event){position, h->nevent, mem_text(who), what};
    h->nevent++;
}

static int by_position(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void free_history(struct history *h)
{
    for (size_t i = 0; i < h->nevent; i++) {
        free(h->event[i].who);
        free(h->event[i].what);
    }
    for (size_t i = 0; i < h->nnode; i++) {
        node_free(&h->node[i]);
        free(h->reader ? h->reader[i].move : NULL);
    }
    for (size_t i = 0; i < h->npackage; i++)
        package_free(h->package[i]);
    free(h->event);
    free(h->node);
    free(h->reader);
    free(h->package);
}

/* ---- nodes ---- */

static const struct object *object_for(struct history *h, const char *package)
{
    for (size_t i = 0; i < h->npackage; i++)
        if (strcmp(h->package[i]->name, package) == 0) {
            const struct object *o = package_object(h->package[i], h->table);
            return o && o->visible != VISIBLE_NONE ? o : NULL;
        }
    return NULL;
}

static int load_packages(struct history *h)
{
    char **name;
    size_t n;
    if (package_names(h->db, &name, &n))
        return -1;
    int rc = 0;
    h->package = mem_zero(n, sizeof(struct package *));
    for (size_t i = 0; i < n; i++) {
        struct package *p = rc ? NULL : package_get(h->db, name[i]);
        if (p)
            h->package[h->npackage++] = p;
        else
            rc = -1;
        free(name[i]);
    }
    free(name);
    return rc;
}

/* The moves of the row that made a difference to the node, oldest first. */
static int load_moves(struct history *h, struct reader *r)
{
    int64_t there, id = r->node->id;
    if (db_get_int(h->db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_history'"))
        return -1;
    if (!there)
        return 0;
    struct audiences *a = audiences_open(h->db);
    struct membership_log_past *p = membership_log_past_open(h->db, r->object->id, 0, false);
    struct membership_log_move m;
    int got = a && p ? 1 : -1;
    if (a)
        audience_all(a, &id, 1);
    while (got > 0 && (got = membership_log_past_next(p, &m)) > 0) {
        if (val_compare(&m.key, &h->key) != 0)
            continue;
        m.old = audience_has(a, m.old, id);
        m.new = audience_has(a, m.new, id);
        if (m.old < 0 || m.new < 0)
            got = -1;
        else if (m.old != m.new) {
            r->move = mem_grow(r->move, r->nmove + 1, sizeof *r->move);
            r->move[r->nmove++] = m;
        }
    }
    membership_log_past_close(p);
    audiences_close(a);
    return got;
}

static int load_nodes(struct history *h)
{
    if (node_list(h->db, &h->node, &h->nnode))
        return -1;
    h->reader = mem_zero(h->nnode, sizeof *h->reader);
    for (size_t i = 0; i < h->nnode; i++) {
        struct reader *r = &h->reader[i];
        r->node = &h->node[i];
        r->object = object_for(h, r->node->package);
        if (r->object == NULL || !r->node->active)
            continue;
        int holds = membership_holds(h->db, r->node, r->object, &h->key);
        if (holds < 0 || load_moves(h, r))
            return -1;
        r->holds = holds;
    }
    return 0;
}

/* ---- what the router did ---- */

/* ", archive 5", or why there is none; to free. NULL on failure. */
static char *in_archive(struct history *h, const struct reader *r, const char *condition)
{
    int64_t number, snapshot;
    if (db_get_int(h->db, &number, "SELECT min(number) FROM dx_archive WHERE node = %lld AND %s",
                   (long long)r->node->id, condition) ||
        db_get_int(h->db, &snapshot, "SELECT snapshot FROM dx_archive WHERE node = %lld AND number = %lld",
                   (long long)r->node->id, (long long)number))
        return NULL;
    return number ? mem_printf(", %s %lld", snapshot ? "snapshot" : "archive", (long long)number)
                  : mem_text(", no archive carries it yet, or its number is forgotten");
}

static int tell_moves(struct history *h, const struct reader *r)
{
    for (size_t i = 0; i < r->nmove; i++) {
        const struct membership_log_move *m = &r->move[i];
        char *condition = mem_printf("since < %lld AND run >= %lld", (long long)m->run, (long long)m->run);
        char *archive = in_archive(h, r, condition);
        free(condition);
        if (archive == NULL)
            return -1;
        add_event(h, m->position, r->node->name, mem_printf("%s it%s", m->new ? "gains" : "loses", archive));
        free(archive);
    }
    return 0;
}

/* The first move of the row at or behind that entry of the journal, or NULL. */
static const struct membership_log_move *move_behind(const struct reader *r, int64_t seq)
{
    for (size_t i = 0; i < r->nmove; i++)
        if (r->move[i].position >= seq)
            return &r->move[i];
    return NULL;
}

/* Whether a column that travels to the node is among those changed. */
static bool concerns(const struct reader *r, const struct change *c)
{
    bool any = c->op != CHANGE_UPDATE;
    for (size_t i = 0; i < c->table->ncol && !any; i++)
        any = c->new[i].type != VAL_NONE &&table_column(r->object->sent, c->table->col[i]) >= 0;
    return any;
}

/* The archive that brought a change to a node that held the row before and after it; none where it is the one that takes
 * the row away, and not for the node that made the change. A row that all nodes hold does not move. */
static int tell_sent_to(struct history *h, const struct reader *r, const struct change *c)
{
    const struct membership_log_move *next = move_behind(r, c->seq);
    int64_t upto = 0;
    if (r->object == NULL || !r->node->active || strcmp(c->origin, r->node->name) == 0 || !concerns(r, c) ||
        !(next ? next->old : r->holds || membership_whole(r->object)))
        return 0;
    if (db_get_int(h->db, &upto,
                   "SELECT min(position) FROM dx_archive WHERE node = %lld AND position >= %lld",
                   (long long)r->node->id, (long long)c->seq))
        return -1;
    if (next && upto >= next->position)
        return 0;
    char *condition = mem_printf("position >= %lld", (long long)c->seq);
    char *archive = c->seq <= h->routed ? in_archive(h, r, condition) : mem_text(" by the next run");
    free(condition);
    if (archive == NULL)
        return -1;
    add_event(h, c->seq, r->node->name, mem_printf("is sent it%s", archive));
    free(archive);
    return 0;
}

static int tell_sent(struct history *h, const struct change *c)
{
    for (size_t i = 0; i < h->nnode; i++)
        if (tell_sent_to(h, &h->reader[i], c))
            return -1;
    return 0;
}

/* ---- what was done to it ---- */

/* "update city = 'x'", cut where the line ends. */
static char *show_change(const struct change *c)
{
    struct buf b = {0};
    const char *comma = " ";
    buf_puts(&b, change_op_name(c->op));
    for (size_t i = 0; c->op != CHANGE_DELETE && i < c->table->ncol; i++) {
        if (c->table->pk[i] || c->new[i].type == VAL_NONE)
            continue;
        char *one = mem_printf("%s%s = %s", comma, c->table->col[i], val_show(&c->new[i]));
        bool fits = b.n + strlen(one) <= WIDTH - WHAT_AT - 5;
        buf_puts(&b, fits ? one : ", ...");
        free(one);
        if (!fits)
            break;
        comma = ", ";
    }
    return buf_take(&b);
}

/* The one entry of that number; of a changed key, the half that is the row's. */
static int tell_entry(struct history *h, int64_t seq)
{
    struct journal_reader *j = journal_read(h->db, seq - 1, seq);
    struct buf room = {0};
    struct change c;
    int got = j ? 1 : -1;
    while (got > 0 && (got = journal_next(j, &c)) > 0) {
        struct val key = change_packed_key(&c, &room);
        if (val_compare(&key, &h->key) != 0)
            continue;
        add_event(h, seq, *c.origin ? c.origin : "here", show_change(&c));
        if (tell_sent(h, &c))
            got = -1;
    }
    buf_free(&room);
    journal_reader_close(j);
    return got;
}

/* Finds the entries of a layout that have the row's key, before or after. */
static struct stmt *find_entries(struct history *h, const struct journal_table *t, struct val *part)
{
    struct buf sql = {0};
    buf_addf(&sql, "SELECT seq FROM main.dx_journal WHERE what / %d = %lld AND (", JOURNAL_WHAT,
             (long long)t->id);
    for (int half = 0; half < 2; half++)
        for (size_t k = 0; k < t->table->nkey; k++)
            buf_addf(&sql, "%s%c%zu IS ?%zu",
                     k      ? " AND "
                     : half ? " OR "
                            : "",
                     half ? 'd' : 'c', t->table->key[k], k + 1);
    buf_puts(&sql, ") ORDER BY seq");
    struct stmt *s = db_prepare(h->db, buf_text(&sql));
    for (size_t k = 0; s && k < t->table->nkey; k++)
        stmt_bind(s, (int)k + 1, &part[k]);
    buf_free(&sql);
    return s;
}

static int tell_layout(struct history *h, const struct journal_table *t)
{
    size_t n = t->table->nkey;
    struct val *part = mem_zero(n, sizeof *part);
    struct stmt *s = NULL;
    enum step step = STEP_DONE;
    int rc = 0;
    if (key_unpack(&h->key, n, part)) { /* else the key was made of other columns then */
        s = find_entries(h, t, part);
        step = STEP_ERROR;
    }
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = tell_entry(h, stmt_int(s, 0));
    stmt_free(s);
    free(part);
    return rc || step == STEP_ERROR ? -1 : 0;
}

static int tell_changes(struct history *h)
{
    struct journal_table *t;
    size_t n;
    if (journal_tables(h->db, &t, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        if (strcasecmp(t[i].table->name, h->table) == 0)
            rc = tell_layout(h, &t[i]);
    journal_tables_free(t, n);
    return rc;
}

/* ---- the whole ---- */

static void put_holders(const struct history *h, struct buf *out)
{
    const char *comma = "held now by ";
    for (size_t i = 0; i < h->nnode; i++)
        if (h->reader[i].holds) {
            buf_addf(out, "%s%s", comma, h->node[i].name);
            comma = ", ";
        }
    buf_puts(out, *comma == 'h' ? "held now by no node\n" : "\n");
}

static int tell(struct history *h, struct buf *out)
{
    if (meta_get_int(h->db, "routed", &h->routed) || load_packages(h) || load_nodes(h) || tell_changes(h))
        return -1;
    bool any = h->nevent > 0;
    for (size_t i = 0; i < h->nnode; i++) {
        any |= h->reader[i].nmove || h->reader[i].holds;
        if (tell_moves(h, &h->reader[i]))
            return -1;
    }
    if (h->nevent > 1)
        qsort(h->event, h->nevent, sizeof *h->event, by_position);
    if (h->nevent)
        buf_addf(out, "%7s  %-14s  %s\n", "ENTRY", "WHO", "WHAT");
    for (size_t i = 0; i < h->nevent; i++)
        buf_addf(out, "%7lld  %-14s  %s\n", (long long)h->event[i].position, h->event[i].who,
                 h->event[i].what);
    put_holders(h, out);
    return any;
}

int row_history(struct db *db, const char *table, char *const *key, size_t nkey, struct buf *out)
{
    struct history h = {.db = db};
    struct buf packed = {0};
    if (meta_require(db))
        return -1;
    struct layout *l = layout_of(db, table);
    int rc = l ? 0 : -1;
    if (l)
        h.table = l->table->name;
    if (rc == 0)
        rc = membership_functions(db) || key_from_text(db, l, key, nkey, &packed, &h.key) ? -1 : 0;
    if (rc == 0)
        rc = tell(&h, out);
    free_history(&h);
    buf_free(&packed);
    layout_free(l);
    return rc;
}
