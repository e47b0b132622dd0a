/* net_change: the net change of each row in a range of the journal (journal/journal.h). SQL sorts by key and number; the changes of
 * one row, which then stand together, are folded here. */
#include "base/err.h"
#include "base/mem.h"
#include "data/arena.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

struct journal_net {
    struct db *db;
    struct table *table;          /* the current layout, in whose columns changes are given */
    struct journal_table *layout; /* all layouts of all tables; map[i] is set for those of this one */
    size_t nlayout;
    int **map; /* column of the current layout -> column of layout i, or -1; NULL for other tables */
    struct stmt *s, *now; /* now: a row as it is */
    bool some;            /* table has only some of the layout's columns */
    int64_t ordered;      /* the layout of all entries, when these stand in order; else 0 */
    bool waiting;         /* s stands on a row not yet folded: */
    size_t what;          /* its AT_WHAT */
    struct arena arena;   /* holds the values of the row at hand */
    struct val *key, *old, *new, *c, *d;
    char **origin; /* distinct ones of the row at hand, the last one last */
    size_t norigin, origin_room;
    enum journal_whose whose;
    bool existed, exists, same; /* before, after; as journal_net_touch tells */
};

/* Result columns of the sorted scan; then c, d per column of the current layout. AT_WHAT is JOURNAL_WHAT times the
 * number of the layout in `layout`, and the operation. */
enum { AT_SEQ, AT_WHAT, AT_ORIGIN, AT_VALUES };

/* Of updates, only those of a column that is asked for. */
static void add_wanted(struct buf *sql, const struct journal_net *r, size_t l)
{
    buf_addf(sql, " AND (what & 7 <> %d", JOURNAL_UPDATE);
    for (size_t i = 0; i < r->table->ncol; i++)
        if (!r->table->pk[i] && r->map[l][i] >= 0)
            buf_addf(sql, " OR c%d IS NOT NULL OR d%d IS NOT NULL", r->map[l][i], r->map[l][i]);
    buf_puts(sql, ")");
}

/* One SELECT for a layout; the insert half of its key changes is one of its own, with d as the image. */
static void add_select(struct buf *sql, const struct journal_net *r, size_t l, bool second,
                       enum journal_whose whose)
{
    long long what = (long long)r->layout[l].id * JOURNAL_WHAT;
    buf_addf(sql, "SELECT seq, %zu + %s AS what, origin", l * JOURNAL_WHAT, second ? "1" : "(what & 7)");
    for (size_t i = 0; i < r->table->ncol; i++) {
        int m = r->map[l][i];
        if (m < 0)
            buf_addf(sql, ", NULL AS c%zu, NULL AS d%zu", i, i);
        else if (second || r->table->pk[i]) /* an entry has one key */
            buf_addf(sql, ", %c%d AS c%zu, NULL AS d%zu", second ? 'd' : 'c', m, i, i);
        else
            buf_addf(sql, ", c%d AS c%zu, d%d AS d%zu", m, i, m, i);
    }
    buf_puts(sql, " FROM main.dx_journal WHERE seq > ?1 AND seq <= ?2");
    if (second)
        buf_addf(sql, " AND what = %lld", what + JOURNAL_REKEY);
    else
        buf_addf(sql, " AND what BETWEEN %lld AND %lld", what, what + JOURNAL_WHAT - 1);
    if (r->some && !second)
        add_wanted(sql, r, l);
    if (whose == JOURNAL_OWN)
        buf_puts(sql, " AND origin IS NOT '" STORE_UPSTREAM "'");
}

/* Whether the layout is read. Entries in order are of one layout, and no key changed. */
static bool taken(const struct journal_net *r, size_t l)
{
    return r->map[l] && (!r->ordered || r->layout[l].id == r->ordered);
}

static struct stmt *prepare_sorted(struct journal_net *r, enum journal_whose whose)
{
    struct buf sql = {0};
    for (size_t l = 0; l < r->nlayout; l++)
        for (int second = 0; taken(r, l) && second < (r->ordered ? 1 : 2); second++) {
            buf_puts(&sql, sql.n ? " UNION ALL " : "");
            add_select(&sql, r, l, second, whose);
        }
    buf_puts(&sql, " ORDER BY ");
    for (size_t k = 0; !r->ordered && k < r->table->nkey; k++)
        buf_addf(&sql, "c%zu, ", r->table->key[k]);
    /* A key that changes into itself by way of another: the delete half stands before the insert half. */
    buf_puts(&sql, r->ordered ? "seq" : "seq, what DESC");
    struct stmt *s = db_prepare(r->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static struct stmt *prepare_now(struct journal_net *r)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_columns(&sql, r->table, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, r->table->name);
    buf_puts(&sql, " WHERE ");
    layout_where_key(&sql, r->table, 1);
    struct stmt *s = db_prepare(r->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

/* The layout with its key and the columns that are wanted (NULL: all). */
static struct table *reduced(const struct table *t, const bool *want)
{
    const char **col = mem_zero(t->ncol, sizeof *col);
    uint8_t *pk = mem_zero(t->ncol, 1);
    size_t n = 0;
    for (size_t i = 0; i < t->ncol; i++)
        if (want == NULL || want[i] || t->pk[i]) {
            pk[n] = t->pk[i];
            col[n++] = t->col[i];
        }
    struct table *out = table_new(t->name, n, col, pk);
    free(col);
    free(pk);
    return out;
}

static int choose_layouts(struct journal_net *r, const char *table, const bool *want)
{
    if (journal_tables(r->db, &r->layout, &r->nlayout))
        return -1;
    for (size_t l = 0; l < r->nlayout; l++)
        if (r->layout[l].current && strcmp(r->layout[l].table->name, table) == 0)
            r->table = reduced(r->layout[l].table, want);
    if (r->table == NULL)
        return fail(ERR_REFUSED, "%s: table %s is not captured; run `txnlog attach`", db_path(r->db), table);
    r->some = want != NULL;
    r->map = mem_zero(r->nlayout, sizeof *r->map);
    for (size_t l = 0; l < r->nlayout; l++)
        if (strcmp(r->layout[l].table->name, table) == 0)
            r->map[l] = table_map(r->table, r->layout[l].table);
    return 0;
}

struct journal_net *journal_net_some(struct db *db, const char *table, int64_t after, int64_t upto,
                                     enum journal_whose whose, const bool *want, int64_t ordered)
{
    struct journal_net *r = mem_zero(1, sizeof *r);
    r->db = db;
    r->ordered = ordered;
    r->whose = whose;
    if (choose_layouts(r, table, want) == 0)
        r->s = prepare_sorted(r, whose);
    if (r->s == NULL) {
        journal_net_close(r);
        return NULL;
    }
    struct val **const rows[] = {&r->key, &r->old, &r->new, &r->c, &r->d};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i] = mem_zero(r->table->ncol, sizeof **rows[i]);
    stmt_bind_int(r->s, 1, after);
    stmt_bind_int(r->s, 2, upto);
    return r;
}

struct journal_net *journal_net(struct db *db, const char *table, int64_t after, int64_t upto,
                                enum journal_whose whose)
{
    return journal_net_some(db, table, after, upto, whose, NULL, 0);
}

void journal_net_close(struct journal_net *r)
{
    if (r == NULL)
        return;
    stmt_free(r->s);
    stmt_free(r->now);
    for (size_t l = 0; r->map && l < r->nlayout; l++)
        free(r->map[l]);
    free(r->map);
    journal_tables_free(r->layout, r->nlayout);
    table_free(r->table);
    arena_free(&r->arena);
    free(r->key);
    free(r->old);
    free(r->new);
    free(r->c);
    free(r->d);
    free(r->origin);
    free(r);
}

static void load_values(struct journal_net *r)
{
    for (size_t i = 0; i < r->table->ncol; i++) {
        r->c[i] = stmt_val(r->s, AT_VALUES + 2 * (int)i);
        if (!r->table->pk[i])
            r->d[i] = stmt_val(r->s, AT_VALUES + 2 * (int)i + 1);
    }
}

static bool same_key(const struct journal_net *r)
{
    for (size_t k = 0; k < r->table->nkey; k++)
        if (!val_same(&r->key[k], &r->c[r->table->key[k]]))
            return false;
    return true;
}

static void begin_row(struct journal_net *r, bool existed)
{
    arena_clear(&r->arena);
    r->norigin = 0;
    for (size_t k = 0; k < r->table->nkey; k++)
        r->key[k] = arena_val(&r->arena, &r->c[r->table->key[k]]);
    memset(r->old, 0, r->table->ncol * sizeof *r->old);
    memset(r->new, 0, r->table->ncol * sizeof *r->new);
    r->existed = r->exists = existed;
}

/* Old values are those of the first change that tells them. */
static void note_old(struct journal_net *r, size_t i)
{
    if (r->existed && r->old[i].type == VAL_NONE)
        r->old[i] = arena_val(&r->arena, &r->c[i]);
}

static void fold_update(struct journal_net *r)
{
    for (size_t i = 0; i < r->table->ncol; i++) {
        if (r->table->pk[i] || (r->c[i].type == VAL_NULL && r->d[i].type == VAL_NULL))
            continue;
        note_old(r, i);
        r->new[i] = arena_val(&r->arena, &r->d[i]);
    }
}

static void fold_delete(struct journal_net *r, const int *map)
{
    for (size_t i = 0; i < r->table->ncol; i++) {
        /* A column changed before the delete has its old value already; one that was not gets it here. */
        if (map[i] >= 0)
            note_old(r, i);
        r->new[i].type = VAL_NONE;
    }
    r->exists = false;
}

static void fold_insert(struct journal_net *r, const int *map)
{
    static const struct val none = {.type = VAL_NONE};

    for (size_t i = 0; i < r->table->ncol; i++)
        r->new[i] = map[i] < 0 ? none : arena_val(&r->arena, &r->c[i]);
    r->exists = true;
}

/* Moves the origin to the end of those of the row, or adds it there. */
static void note_origin(struct journal_net *r, const char *origin)
{
    size_t i = 0;
    while (i < r->norigin && strcmp(r->origin[i], origin) != 0)
        i++;
    if (i == r->norigin) {
        if (i == r->origin_room)
            r->origin = mem_grow(r->origin, ++r->origin_room, sizeof *r->origin);
        r->origin[r->norigin++] = arena_copy(&r->arena, origin, strlen(origin) + 1);
    }
    char *name = r->origin[i];
    memmove(r->origin + i, r->origin + i + 1, (r->norigin - i - 1) * sizeof *r->origin);
    r->origin[r->norigin - 1] = name;
}

/* Takes the entry under the cursor into the row at hand. */
static void fold(struct journal_net *r)
{
    const int *map = r->map[r->what / JOURNAL_WHAT];
    const char *origin = stmt_text(r->s, AT_ORIGIN);
    int op = r->what % JOURNAL_WHAT;
    if (op == JOURNAL_INSERT)
        fold_insert(r, map);
    else if (op == JOURNAL_UPDATE)
        fold_update(r);
    else
        fold_delete(r, map);
    note_origin(r, origin ? origin : "");
}

/* Steps the cursor: whether a row waits in c and d; -1 on failure. */
static int advance(struct journal_net *r)
{
    enum step step = stmt_step(r->s);
    r->waiting = step == STEP_ROW;
    if (r->waiting) {
        r->what = (size_t)stmt_int(r->s, AT_WHAT);
        load_values(r);
    }
    return step == STEP_ERROR ? -1 : r->waiting;
}

/* An insert in an older layout: the columns it lacks are as the row has them now. */
static int complete(struct journal_net *r)
{
    size_t given = 0;
    while (given < r->table->ncol && r->new[given].type != VAL_NONE)
        given++;
    if (given == r->table->ncol)
        return 0;
    if (r->now == NULL && (r->now = prepare_now(r)) == NULL)
        return -1;
    for (size_t k = 0; k < r->table->nkey; k++)
        stmt_bind(r->now, 1 + (int)k, &r->key[k]);
    enum step step = stmt_step(r->now);
    for (size_t i = 0; i < r->table->ncol; i++) {
        struct val v = {.type = VAL_NULL};
        if (step == STEP_ROW)
            v = stmt_val(r->now, (int)i);
        if (r->new[i].type == VAL_NONE)
            r->new[i] = arena_val(&r->arena, &v);
    }
    stmt_reset(r->now);
    return step == STEP_ERROR ? -1 : 0;
}

/* Leaves in new what differs from old, in old the key and what differs; of own changes also what was changed and came
 * back to what it was. Whether anything is left. */
static bool keep_differences(struct journal_net *r)
{
    bool any = false, all = r->whose == JOURNAL_OWN;
    for (size_t i = 0; i < r->table->ncol; i++) {
        if (r->table->pk[i])
            continue;
        if (r->new[i].type != VAL_NONE && !all && val_same(&r->old[i], &r->new[i]))
            r->new[i].type = VAL_NONE;
        if (r->new[i].type == VAL_NONE)
            r->old[i].type = VAL_NONE;
        else
            any = true;
    }
    return any;
}

static void put_key(const struct journal_net *r, struct val *row)
{
    for (size_t k = 0; k < r->table->nkey; k++)
        row[r->table->key[k]] = r->key[k];
}

/* A row made and deleted again, given as an update of nothing: its first column beside the key from NULL to NULL.
 * Whether there is one. */
static bool tell_ghost(struct journal_net *r)
{
    size_t i = 0;
    while (i < r->table->ncol && r->table->pk[i])
        i++;
    if (i == r->table->ncol)
        return false;
    r->old[i].type = r->new[i].type = VAL_NULL;
    return true;
}

/* The net change of the row at hand: 1, 0 when there is none, -1. */
static int emit(struct journal_net *r, struct change *c)
{
    c->op = !r->existed ? CHANGE_INSERT : !r->exists ? CHANGE_DELETE : CHANGE_UPDATE;
    r->same = !r->existed && !r->exists;
    if (c->op == CHANGE_UPDATE) {
        for (size_t k = 0; k < r->table->nkey; k++)
            r->new[r->table->key[k]].type = VAL_NONE;
        r->same = !keep_differences(r);
    }
    bool ghost = r->same && r->whose == JOURNAL_OWN && !r->existed && tell_ghost(r);
    if (r->same && r->whose != JOURNAL_TOUCHED && !ghost)
        return 0;
    if (r->same)
        c->op = CHANGE_UPDATE;
    if (c->op == CHANGE_INSERT && complete(r))
        return -1;
    put_key(r, c->op == CHANGE_INSERT ? r->new : r->old);
    c->table = r->table;
    c->old = r->old;
    c->new = r->new;
    c->origin = r->origin[r->norigin - 1];
    return 1;
}

struct journal_touch journal_net_touch(const struct journal_net *r)
{
    return (struct journal_touch){r->existed, r->exists, r->same, (const char *const *)r->origin, r->norigin};
}

int journal_net_next(struct journal_net *r, struct change *c)
{
    if (r->key[0].type == VAL_NONE && advance(r) < 0) /* the very first */
        return -1;
    while (r->waiting) {
        int more = 1;
        begin_row(r, r->what % JOURNAL_WHAT != JOURNAL_INSERT);
        while (more > 0 && same_key(r)) {
            c->seq = stmt_int(r->s, AT_SEQ);
            fold(r);
            more = advance(r);
        }
        if (more < 0)
            return -1;
        int got = emit(r, c);
        if (got)
            return got;
    }
    return 0;
}
