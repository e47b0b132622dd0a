/* journal: layouts, reading in commit order, adding (journal/journal.h). Reading net is journal/net_change.c. */
#include "journal/journal.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/arena.h"
#include "data/columns.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>

static const char sql_tables[] = "SELECT id, name, columns, key, current FROM dx_table ORDER BY id";
static const char sql_width[] =
    "SELECT count(*) FROM pragma_table_info('dx_journal') WHERE name GLOB 'c[0-9]*'";

/* ---- layouts ---- */

int journal_tables(struct db *db, struct journal_table **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    struct stmt *s = db_prepare(db, sql_tables);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct table *t = columns_table(stmt_text(s, 1), stmt_text(s, 2), stmt_text(s, 3));
        if (t == NULL) {
            fail(ERR_REFUSED, "%s: dx_table: layout %lld is damaged", db_path(db), (long long)stmt_int(s, 0));
            step = STEP_ERROR;
            break;
        }
        *out = mem_grow(*out, *n + 1, sizeof **out);
        (*out)[(*n)++] =
            (struct journal_table){.id = stmt_int(s, 0), .table = t, .current = stmt_int(s, 4) != 0};
    }
    stmt_free(s);
    if (step == STEP_DONE)
        return 0;
    journal_tables_free(*out, *n);
    *out = NULL;
    *n = 0;
    return -1;
}

void journal_tables_free(struct journal_table *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_free(t[i].table);
    free(t);
}

static int widen(struct db *db, size_t ncol)
{
    int64_t width;
    if (db_get_int(db, &width, "%s", sql_width))
        return -1;
    for (size_t i = (size_t)width; i < ncol; i++)
        if (db_execf(db, "ALTER TABLE dx_journal ADD COLUMN c%d; ALTER TABLE dx_journal ADD COLUMN d%d",
                     (int)i, (int)i))
            return -1;
    return 0;
}

int journal_add_table(struct db *db, const struct table *t, int64_t *id)
{
    enum { COLUMNS_MAX = 990 }; /* two journal columns each, under SQLite's 2000 */
    if (t->ncol > COLUMNS_MAX)
        return fail(ERR_REFUSED, "%s: table %s has %zu columns, more than %d cannot be captured; split it",
                    db_path(db), t->name, t->ncol, COLUMNS_MAX);
    char *columns = columns_text(t, false), *key = columns_text(t, true);
    int rc = db_get_int(db, id,
                        "SELECT id FROM dx_table WHERE name = %Q AND columns = %Q AND key = %Q AND current",
                        t->name, columns, key);
    if (rc == 0 && *id == 0) {
        rc = widen(db, t->ncol);
        rc = rc || db_execf(db,
                            "UPDATE dx_table SET current = 0 WHERE name = %Q;"
                            "INSERT INTO dx_table (name, columns, key, current) VALUES (%Q, %Q, %Q, 1)",
                            t->name, t->name, columns, key);
        *id = db_last_rowid(db);
    }
    free(columns);
    free(key);
    return rc ? -1 : 0;
}

int journal_end(struct db *db, int64_t *seq)
{
    return db_get_int(db, seq, "SELECT max(seq) FROM dx_journal");
}

/* ---- reading in commit order ---- */

struct journal_reader {
    struct db *db;
    struct stmt *s;
    struct journal_table *tables;
    size_t ntable, at; /* at: the layout of the change at hand */
    struct val *old, *new;
    bool insert_follows; /* the second half of a key change */
    bool waiting;        /* s stands on an entry that is not taken yet, */
    bool ended;          /* or there are no more */
    struct arena arena;  /* holds an update whose neighbours are looked at */
};

/* seq, what, origin, then c0, d0, c1, d1, ... */
enum { AT_SEQ, AT_WHAT, AT_ORIGIN, AT_VALUES };

static struct stmt *prepare_scan(struct db *db, size_t width)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT seq, what, origin");
    for (size_t i = 0; i < width; i++)
        buf_addf(&sql, ", c%zu, d%zu", i, i);
    buf_puts(&sql, " FROM dx_journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

struct journal_reader *journal_read(struct db *db, int64_t after, int64_t upto)
{
    struct journal_reader *r = mem_zero(1, sizeof *r);
    size_t width = 0;
    r->db = db;
    if (journal_tables(db, &r->tables, &r->ntable) == 0) {
        for (size_t i = 0; i < r->ntable; i++)
            width = r->tables[i].table->ncol > width ? r->tables[i].table->ncol : width;
        r->old = mem_zero(width, sizeof *r->old);
        r->new = mem_zero(width, sizeof *r->new);
        r->s = prepare_scan(db, width);
    }
    if (r->s == NULL) {
        journal_reader_close(r);
        return NULL;
    }
    stmt_bind_int(r->s, 1, after);
    stmt_bind_int(r->s, 2, upto);
    return r;
}

void journal_reader_close(struct journal_reader *r)
{
    if (r == NULL)
        return;
    stmt_free(r->s);
    journal_tables_free(r->tables, r->ntable);
    arena_free(&r->arena);
    free(r->old);
    free(r->new);
    free(r);
}

static int find_layout(struct journal_reader *r, int64_t id, int64_t seq)
{
    if (r->at < r->ntable && r->tables[r->at].id == id)
        return 0;
    for (r->at = 0; r->at < r->ntable; r->at++)
        if (r->tables[r->at].id == id)
            return 0;
    return fail(ERR_REFUSED, "%s: dx_journal: entry %lld names an unknown layout %lld", db_path(r->db),
                (long long)seq, (long long)id);
}

static void take_image(struct journal_reader *r, struct val *into, bool d)
{
    for (size_t i = 0; i < r->tables[r->at].table->ncol; i++)
        into[i] = stmt_val(r->s, AT_VALUES + 2 * (int)i + d);
}

static void take_none(struct journal_reader *r, struct val *into)
{
    memset(into, 0, r->tables[r->at].table->ncol * sizeof *into);
}

/* Whether any column changed: what the triggers could not tell apart (journal/trigger.c) is compared by its bits here. */
static bool take_update(struct journal_reader *r)
{
    const struct table *t = r->tables[r->at].table;
    bool any = false;
    for (size_t i = 0; i < t->ncol; i++) {
        struct val c = stmt_val(r->s, AT_VALUES + 2 * (int)i);
        struct val d = stmt_val(r->s, AT_VALUES + 2 * (int)i + 1);
        bool changed = !t->pk[i] && !val_same(&c, &d);
        r->old[i] = changed || t->pk[i] ? c : (struct val){.type = VAL_NONE};
        r->new[i] = changed ? d : (struct val){.type = VAL_NONE};
        any |= changed;
    }
    return any;
}

/* Fills the reader's arrays from the row; the insert half of a key change when `second`. 1, 0 for an update that
 * changed nothing, -1. */
static int take(struct journal_reader *r, struct change *c, bool second)
{
    int64_t seq = stmt_int(r->s, AT_SEQ), what = stmt_int(r->s, AT_WHAT);
    if (find_layout(r, what / JOURNAL_WHAT, seq))
        return -1;
    int op = (int)(what % JOURNAL_WHAT);
    const char *origin = stmt_text(r->s, AT_ORIGIN);
    *c = (struct change){.table = r->tables[r->at].table, .seq = seq, .old = r->old, .new = r->new};
    c->origin = origin ? origin : "";
    if (op == JOURNAL_UPDATE) {
        c->op = CHANGE_UPDATE;
        return take_update(r);
    }
    bool insert = op == JOURNAL_INSERT || second;
    c->op = insert ? CHANGE_INSERT : CHANGE_DELETE;
    take_image(r, insert ? r->new : r->old, second);
    take_none(r, insert ? r->old : r->new);
    r->insert_follows = op == JOURNAL_REKEY && !second;
    return 1;
}

/* Whether the entry at hand updates other columns of the same row than the update taken before. */
static bool is_neighbour(struct journal_reader *r, const struct change *c)
{
    const struct table *t = c->table;
    const char *origin = stmt_text(r->s, AT_ORIGIN);
    if (stmt_int(r->s, AT_WHAT) != r->tables[r->at].id * JOURNAL_WHAT + JOURNAL_UPDATE ||
        strcmp(origin ? origin : "", c->origin) != 0)
        return false;
    for (size_t i = 0; i < t->ncol; i++) {
        struct val old = stmt_val(r->s, AT_VALUES + 2 * (int)i);
        struct val new = stmt_val(r->s, AT_VALUES + 2 * (int)i + 1);
        if (t->pk[i] ? !val_same(&old, &r->old[i]) : r->new[i].type != VAL_NONE && !val_same(&old, &new))
            return false;
    }
    return true;
}

static void add_neighbour(struct journal_reader *r, struct change *c)
{
    for (size_t i = 0; i < c->table->ncol; i++) {
        struct val old = stmt_val(r->s, AT_VALUES + 2 * (int)i);
        struct val new = stmt_val(r->s, AT_VALUES + 2 * (int)i + 1);
        if (c->table->pk[i] || val_same(&old, &new))
            continue;
        r->old[i] = arena_val(&r->arena, &old);
        r->new[i] = arena_val(&r->arena, &new);
    }
    c->seq = stmt_int(r->s, AT_SEQ);
}

/* The update of one row may stand in several entries, one after another, each of some columns (journal/trigger.c). */
static int take_neighbours(struct journal_reader *r, struct change *c)
{
    arena_clear(&r->arena);
    for (size_t i = 0; i < c->table->ncol; i++) {
        r->old[i] = arena_val(&r->arena, &r->old[i]);
        r->new[i] = arena_val(&r->arena, &r->new[i]);
    }
    c->origin = arena_copy(&r->arena, c->origin, strlen(c->origin) + 1);
    enum step step;
    while ((step = stmt_step(r->s)) == STEP_ROW && is_neighbour(r, c))
        add_neighbour(r, c);
    r->waiting = step == STEP_ROW;
    r->ended = step == STEP_DONE;
    return step == STEP_ERROR ? -1 : 1;
}

int journal_next(struct journal_reader *r, struct change *c)
{
    if (r->insert_follows) {
        r->insert_follows = false;
        return take(r, c, true);
    }
    enum step step = STEP_DONE;
    int got = 0;
    while (got == 0 && !r->ended && (r->waiting || (step = stmt_step(r->s)) == STEP_ROW)) {
        r->waiting = false;
        got = take(r, c, false);
    }
    if (got > 0 && c->op == CHANGE_UPDATE)
        return take_neighbours(r, c);
    return got ? got : step == STEP_ERROR ? -1 : 0;
}

/* ---- adding ---- */

/* Adds updates of one set of columns. */
struct infer_table {
    uint8_t *changed; /* a byte a column of the layout */
    struct stmt *s;
};

enum { SHAPES_MAX = 64 };

/* The statements of one table: inserts of c alone (insert, delete), and for updates of c and d where something is to be
 * said: a parameter costs as much for a NULL as for a value. */
struct adder {
    char *table;
    int64_t id;
    struct table *layout; /* the journal's own columns */
    int *map;             /* column of the layout -> column of the change, or -1 */
    const struct table *from;
    struct stmt *image;
    struct infer_table *update;
    size_t nupdate, last;
    uint8_t *changed; /* by the update at hand */
};

struct journal_writer {
    struct db *db;
    struct adder *adder;
    size_t n;
};

struct journal_writer *journal_writer_open(struct db *db)
{
    struct journal_writer *w = mem_zero(1, sizeof *w);
    w->db = db;
    return w;
}

static void free_adder(struct adder *a)
{
    free(a->table);
    table_free(a->layout);
    free(a->map);
    stmt_free(a->image);
    for (size_t i = 0; i < a->nupdate; i++) {
        stmt_free(a->update[i].s);
        free(a->update[i].changed);
    }
    free(a->update);
    free(a->changed);
}

void journal_writer_close(struct journal_writer *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->n; i++)
        free_adder(&w->adder[i]);
    free(w->adder);
    free(w);
}

/* changed: NULL for an image. */
static struct stmt *prepare_add(struct db *db, const struct table *t, const uint8_t *changed)
{
    struct buf sql = {0};
    size_t n = 0;
    buf_puts(&sql, "INSERT INTO dx_journal (what, origin");
    for (size_t i = 0; i < t->ncol; i++) {
        bool both = changed && changed[i];
        if (changed && !both && !t->pk[i])
            continue;
        buf_addf(&sql, both ? ", c%zu, d%zu" : ", c%zu", i, i);
        n += 1 + both;
    }
    buf_puts(&sql, ") VALUES (?, ?");
    while (n-- > 0)
        buf_puts(&sql, ", ?");
    buf_puts(&sql, ")");
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

/* The statement for a->changed: the one used last, one kept, or a new one in the place of an old one. */
static struct stmt *update_statement(struct db *db, struct adder *a)
{
    size_t ncol = a->layout->ncol;
    for (size_t i = 0; i < a->nupdate; i++) {
        size_t at = (a->last + i) % a->nupdate;
        if (memcmp(a->update[at].changed, a->changed, ncol) == 0) {
            a->last = at;
            return a->update[at].s;
        }
    }
    struct stmt *s = prepare_add(db, a->layout, a->changed);
    if (s == NULL)
        return NULL;
    if (a->nupdate < SHAPES_MAX) {
        a->update = mem_grow(a->update, a->nupdate + 1, sizeof *a->update);
        a->last = a->nupdate++;
    } else {
        a->last = (a->last + 1) % SHAPES_MAX;
        stmt_free(a->update[a->last].s);
        free(a->update[a->last].changed);
    }
    a->update[a->last] = (struct infer_table){.changed = mem_copy(a->changed, ncol), .s = s};
    return s;
}

/* Finds the table's current layout; adder->layout stays NULL when the table is not captured. */
static int load_adder(struct journal_writer *w, struct adder *a)
{
    struct journal_table *tables;
    size_t n;
    if (journal_tables(w->db, &tables, &n))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (tables[i].current && strcmp(tables[i].table->name, a->table) == 0) {
            a->id = tables[i].id;
            a->layout = table_copy(tables[i].table);
        }
    journal_tables_free(tables, n);
    if (a->layout == NULL)
        return 0;
    a->changed = mem_zero(a->layout->ncol, 1);
    a->image = prepare_add(w->db, a->layout, NULL);
    return a->image ? 0 : -1;
}

static struct adder *adder_for(struct journal_writer *w, const struct table *t)
{
    struct adder *a = NULL;
    for (size_t i = 0; i < w->n && a == NULL; i++)
        if (strcmp(w->adder[i].table, t->name) == 0)
            a = &w->adder[i];
    if (a == NULL) {
        w->adder = mem_grow(w->adder, w->n + 1, sizeof *w->adder);
        a = &w->adder[w->n++];
        *a = (struct adder){.table = mem_text(t->name)};
        if (load_adder(w, a))
            return NULL;
    }
    if (a->layout && a->from != t) {
        free(a->map);
        a->map = table_map(a->layout, t);
        a->from = t;
    }
    return a;
}

static const struct val *mapped(const struct adder *a, const struct val *row, size_t i)
{
    static const struct val null = {.type = VAL_NULL};
    return a->map[i] < 0 ? &null : &row[a->map[i]];
}

static void begin_add(struct stmt *s, const struct adder *a, int op, const char *origin)
{
    stmt_bind_int(s, 1, a->id * JOURNAL_WHAT + op);
    stmt_bind_text(s, 2, origin);
}

static int add_update(struct journal_writer *w, struct adder *a, const struct change *c, const char *origin)
{
    const struct table *t = a->layout;
    for (size_t i = 0; i < t->ncol; i++) {
        const struct val *old = mapped(a, c->old, i), *new = mapped(a, c->new, i);
        a->changed[i] = !t->pk[i] && a->map[i] >= 0 && new->type != VAL_NONE && !val_same(old, new);
    }
    struct stmt *s = update_statement(w->db, a);
    if (s == NULL)
        return -1;
    begin_add(s, a, JOURNAL_UPDATE, origin);
    int n = 3;
    for (size_t i = 0; i < t->ncol; i++) {
        if (a->changed[i] || t->pk[i])
            stmt_bind(s, n++, mapped(a, c->old, i));
        if (a->changed[i])
            stmt_bind(s, n++, mapped(a, c->new, i));
    }
    return stmt_run(s);
}

static int add_image(struct adder *a, const struct change *c, const char *origin)
{
    bool insert = c->op == CHANGE_INSERT;
    const struct val *row = insert ? c->new : c->old;
    begin_add(a->image, a, insert ? JOURNAL_INSERT : JOURNAL_DELETE, origin);
    for (size_t i = 0; i < a->layout->ncol; i++)
        stmt_bind(a->image, 3 + (int)i, mapped(a, row, i));
    return stmt_run(a->image);
}

int journal_add(struct journal_writer *w, const struct change *c, const char *origin)
{
    struct adder *a = adder_for(w, c->table);
    if (a == NULL)
        return -1;
    if (a->layout == NULL)
        return 0; /* not captured: nobody reads it from here */
    return c->op == CHANGE_UPDATE ? add_update(w, a, c, origin) : add_image(a, c, origin);
}
