/* log_export: see journal/log_export.h. */
#include "journal/log_export.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/arena.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How changes of one layout are written. */
struct telling {
    const struct table *from; /* the layout in dx_table */
    size_t as;                /* the number of the layout that it is written as, its own for most */
    int *map;                 /* column of that one -> column of this, or -1; NULL when they are the same */
    struct val *fill;         /* per column of that one: what stands where this has none */
};

struct log {
    struct db *db;
    struct journal_table *layout;
    size_t n;
    struct telling *telling;
    const struct table *at; /* the reader's layout of the last change, */
    size_t at_index;        /* and its number here */
    struct arena arena;     /* holds what fill points to */
    struct val *old, *new;
    struct dx_writer *w;
};

/* The newest layout of the same table, the current one if there is one. */
static size_t newest(const struct log *g, size_t i)
{
    size_t found = i;
    for (size_t j = 0; j < g->n; j++)
        if (strcmp(g->layout[j].table->name, g->layout[i].table->name) == 0 &&
            (g->layout[j].current || (!g->layout[found].current && j > found)))
            found = j;
    return found;
}

/* The default of a column as the table has it now; NULL where that is not known any more. */
static int default_value(struct log *g, const struct layout *l, const char *column, struct val *out)
{
    *out = (struct val){.type = VAL_NULL};
    int i = l ? table_column(l->table, column) : -1;
    if (i < 0 || l->column[i].value == NULL)
        return 0;
    struct stmt *s = db_preparef(g->db, "SELECT (%s\n)", l->column[i].value);
    if (s == NULL)
        return -1;
    enum step step = stmt_step(s);
    struct val v = stmt_val(s, 0);
    if (step == STEP_ROW)
        *out = arena_val(&g->arena, &v);
    stmt_free(s);
    return step == STEP_ROW ? 0 : -1;
}

static bool same_key(const struct table *a, const struct table *b)
{
    bool same = a->nkey == b->nkey;
    for (size_t k = 0; same && k < a->nkey; k++)
        same = strcasecmp(a->col[a->key[k]], b->col[b->key[k]]) == 0;
    return same;
}

static int prepare_map(struct log *g, struct telling *t)
{
    const struct journal_table *to = &g->layout[t->as];
    if (!same_key(t->from, to->table))
        return fail(ERR_REFUSED,
                    "%s: table %s got another primary key, and the journal holds changes under the old one; "
                    "extract the "
                    "copies again",
                    db_path(g->db), t->from->name);
    struct layout *l = to->current ? layout_of(g->db, to->table->name) : NULL;
    if (to->current && l == NULL)
        return -1;
    int rc = 0;
    t->map = table_map(to->table, t->from);
    t->fill = mem_zero(to->table->ncol, sizeof *t->fill);
    for (size_t i = 0; rc == 0 && i < to->table->ncol; i++)
        if (t->map[i] < 0)
            rc = default_value(g, l, to->table->col[i], &t->fill[i]);
    layout_free(l);
    return rc;
}

/* Whether entries of the layout are among those to be written. */
static int has_entries(struct log *g, size_t i, int64_t after)
{
    int64_t what = g->layout[i].id * JOURNAL_WHAT, found;
    if (db_get_int(g->db, &found,
                   "SELECT EXISTS (SELECT 1 FROM dx_journal WHERE seq > %lld AND what BETWEEN %lld AND %lld)",
                   (long long)after, (long long)what, (long long)(what + JOURNAL_WHAT - 1)))
        return -1;
    return found != 0;
}

/* Settles how the changes of layout i are written; the head gets the tables that are captured, and those once captured
 * that the archive needs. */
static int choose_table(struct log *g, struct dx_head *h, size_t i, int64_t after)
{
    struct telling *t = &g->telling[i];
    t->from = g->layout[i].table;
    t->as = newest(g, i);
    int has = g->layout[i].current ? 1 : has_entries(g, i, after);
    if (has > 0 && dx_head_table(h, t->from->name) == NULL)
        dx_head_add_table(h, g->layout[t->as].table);
    if (has > 0 && !table_same(t->from, g->layout[t->as].table))
        has = prepare_map(g, t);
    return has < 0 ? -1 : 0;
}

static int choose_tables(struct log *g, struct dx_head *h, int64_t after)
{
    if (journal_tables(g->db, &g->layout, &g->n))
        return -1;
    g->telling = mem_zero(g->n, sizeof *g->telling);
    size_t width = 0;
    int rc = 0;
    for (size_t i = 0; i < g->n && rc == 0; i++) {
        width = g->layout[i].table->ncol > width ? g->layout[i].table->ncol : width;
        rc = choose_table(g, h, i, after);
    }
    g->old = mem_zero(width, sizeof *g->old);
    g->new = mem_zero(width, sizeof *g->new);
    return rc;
}

static void map_row(const struct telling *t, const struct table *to, const struct val *from, bool fill,
                    struct val *out)
{
    for (size_t i = 0; i < to->ncol; i++) {
        out[i] = (struct val){.type = VAL_NONE};
        if (t->map[i] >= 0)
            out[i] = from[t->map[i]];
        else if (fill)
            out[i] = t->fill[i];
    }
}

/* Tells the change in the columns of the table's newest layout. False when nothing of it is left to tell. */
static bool retell(struct log *g, struct change *c)
{
    if (g->at != c->table) {
        g->at = c->table;
        for (g->at_index = 0; !table_same(g->layout[g->at_index].table, c->table);)
            g->at_index++;
    }
    const struct telling *t = &g->telling[g->at_index];
    const struct table *to = g->layout[t->as].table;
    c->table = to;
    if (t->map == NULL)
        return true;
    map_row(t, to, c->old, c->op == CHANGE_DELETE, g->old);
    map_row(t, to, c->new, c->op == CHANGE_INSERT, g->new);
    c->old = g->old;
    c->new = g->new;
    bool any = c->op != CHANGE_UPDATE;
    for (size_t i = 0; i < to->ncol && !any; i++)
        any = c->new[i].type != VAL_NONE;
    return any;
}

static int write_changes(struct log *g, struct journal_reader *r)
{
    struct change c;
    int got;
    while ((got = journal_next(r, &c)) > 0)
        if (retell(g, &c) && dx_write(g->w, &c))
            return -1;
    return got;
}

static int fill_head(struct db *db, struct dx_head *h, int64_t after)
{
    char *epoch = NULL, *node = NULL;
    h->after = after;
    int rc =
        journal_end(db, &h->upto) || meta_get_text(db, "epoch", &epoch) || meta_get_text(db, "node", &node);
    if (rc == 0) {
        dx_head_set(&h->epoch, epoch ? epoch : "");
        dx_head_set(&h->from, node ? node : "");
    }
    free(epoch);
    free(node);
    return rc ? -1 : 0;
}

int log_export(struct db *db, int64_t after, int fd, const char *name, int level)
{
    struct log g = {.db = db};
    struct dx_head head;
    struct journal_reader *r = NULL;
    dx_head_init(&head, DX_CHANGES);
    int rc = fill_head(db, &head, after) || choose_tables(&g, &head, after) ? -1 : 0;
    if (rc == 0 && ((r = journal_read(db, after, head.upto)) == NULL ||
                    (g.w = dx_writer_open(fd, name, &head, level)) == NULL))
        rc = -1;
    if (rc == 0)
        rc = write_changes(&g, r);
    if (rc)
        dx_writer_abort(g.w);
    else
        rc = dx_writer_close(g.w);
    journal_reader_close(r);
    dx_head_free(&head);
    for (size_t i = 0; g.telling && i < g.n; i++) {
        free(g.telling[i].map);
        free(g.telling[i].fill);
    }
    free(g.telling);
    journal_tables_free(g.layout, g.n);
    arena_free(&g.arena);
    free(g.old);
    free(g.new);
    return rc;
}
