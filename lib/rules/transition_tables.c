/* transition_tables: see rules/transition_tables.h. */
#include "rules/transition_tables.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/range_scan.h"
#include "rules/package_nodes.h"
#include "sql/bulk_insert.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct broken {
    char *table, *why;
};

struct transition_tables {
    struct db *db;
    struct broken *broken;
    size_t nbroken;
    struct relation **relation;
    size_t n;
    struct range_scan survey;
};

/* What changed of the nodes of the package being routed. */
static const char sql_nodes[] =
    "CREATE TEMP TABLE IF NOT EXISTS dx_o_dx_node (dx_id INTEGER, name TEXT, user TEXT, package TEXT, status "
    "TEXT);"
    "CREATE TEMP TABLE IF NOT EXISTS dx_n_dx_node (dx_id INTEGER, name TEXT, user TEXT, package TEXT, status "
    "TEXT);";

struct transition_tables *transition_open(struct db *db)
{
    struct transition_tables *im = mem_zero(1, sizeof *im);
    im->db = db;
    if (package_nodes_init(db) == 0 && db_exec(db, sql_nodes) == 0 && range_scan_open(&im->survey, db) == 0)
        return im;
    transition_close(im);
    return NULL;
}

static void free_relation(struct relation *r)
{
    for (size_t i = 0; i < r->ncol; i++)
        free(r->col[i]);
    free(r->col);
    free(r->read);
    free(r->moved);
    layout_free(r->layout);
    free(r->name);
    free(r->old_name);
    free(r->new_name);
    free(r->broken);
    free(r);
}

void transition_close(struct transition_tables *im)
{
    if (im == NULL)
        return;
    for (size_t i = 0; i < im->n; i++)
        free_relation(im->relation[i]);
    free(im->relation);
    for (size_t i = 0; i < im->nbroken; i++) {
        free(im->broken[i].table);
        free(im->broken[i].why);
    }
    free(im->broken);
    range_scan_close(&im->survey);
    free(im);
}

/* ---- relations ---- */

/* The image tables have the types and collations of the table's columns, so that rules compare there as they do in
 * the table itself. */
static void add_column(struct buf *sql, const struct relation *r, size_t i)
{
    bool rowid = r->layout->rowid_key && r->layout->table->pk[i];
    buf_name(sql, r->col[i]);
    if (rowid)
        buf_puts(sql, " INTEGER PRIMARY KEY");
    else
        buf_addf(sql, " %s COLLATE %s", r->layout->column[i].type, r->layout->column[i].collation);
}

/* They are kept by their key: in each a row stands once at most. */
static int make_tables(struct transition_tables *im, const struct relation *r)
{
    struct buf sql = {0};
    for (int after = 0; after < 2; after++) {
        char *name = mem_printf("dx_%c_%s", after ? 'n' : 'o', r->name);
        buf_puts(&sql, "CREATE TEMP TABLE IF NOT EXISTS ");
        buf_name(&sql, name);
        for (size_t i = 0; i < r->ncol; i++) {
            buf_puts(&sql, i ? ", " : " (");
            add_column(&sql, r, i);
        }
        if (!r->layout->rowid_key) {
            buf_puts(&sql, ", PRIMARY KEY (");
            layout_keys(&sql, r->layout->table, "");
            buf_puts(&sql, ")) WITHOUT ROWID;");
        } else
            buf_puts(&sql, ");");
        free(name);
    }
    int rc = db_exec(im->db, buf_text(&sql));
    buf_free(&sql);
    return rc;
}

static void name_tables(struct relation *r)
{
    for (int after = 0; after < 2; after++) {
        struct buf b = {0};
        char *name = mem_printf("dx_%c_%s", after ? 'n' : 'o', r->name);
        buf_puts(&b, "temp.");
        buf_name(&b, name);
        free(name);
        *(after ? &r->new_name : &r->old_name) = buf_take(&b);
    }
}

static void set_columns(struct relation *r, size_t n, const char *const *col)
{
    r->ncol = n;
    r->col = mem_zero(n, sizeof *r->col);
    for (size_t i = 0; i < n; i++)
        r->col[i] = mem_text(col[i]);
    r->read = mem_zero(n, sizeof *r->read);
    r->moved = mem_zero(n, sizeof *r->moved);
}

static bool is_table(struct transition_tables *im, const char *name, bool *failed)
{
    int64_t n;
    *failed = db_get_int(im->db, &n,
                         "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
                         "AND name = %Q COLLATE NOCASE AND name NOT LIKE 'sqlite\\_%%' ESCAPE '\\'",
                         name) != 0;
    return n > 0;
}

static struct relation *add(struct transition_tables *im, struct relation *r)
{
    im->relation = mem_grow(im->relation, im->n + 1, sizeof *im->relation);
    im->relation[im->n++] = r;
    return r;
}

static struct relation *new_relation(struct transition_tables *im, const char *name)
{
    struct relation *r = mem_zero(1, sizeof *r);
    if (strcasecmp(name, IMAGE_NODE) == 0) {
        static const char *const col[] = {"dx_id", "name", "user", "package", "status"};
        r->name = mem_text(IMAGE_NODE);
        r->captured = r->both = true;
        set_columns(r, 5, col);
        name_tables(r);
        return add(im, r);
    }
    if ((r->layout = layout_of(im->db, name)) == NULL) {
        free_relation(r);
        return NULL;
    }
    r->name = mem_text(r->layout->table->name);
    set_columns(r, r->layout->table->ncol, (const char *const *)r->layout->table->col);
    for (size_t i = 0; i < im->nbroken; i++)
        if (r->broken == NULL && strcasecmp(im->broken[i].table, r->name) == 0)
            r->broken = mem_text(im->broken[i].why);
    for (size_t i = 0; i < im->survey.n; i++)
        r->captured |= im->survey.layout[i].current && strcmp(im->survey.layout[i].table->name, r->name) == 0;
    name_tables(r);
    if (make_tables(im, r)) {
        free_relation(r);
        return NULL;
    }
    return add(im, r);
}

struct relation *transition_relation(struct transition_tables *im, const char *name, bool *known)
{
    bool failed = false;
    *known = true;
    for (size_t i = 0; i < im->n; i++)
        if (strcasecmp(im->relation[i]->name, name) == 0)
            return im->relation[i];
    if (strcasecmp(name, IMAGE_NODE) != 0 &&
        (strncasecmp(name, "dx_", 3) == 0 || !is_table(im, name, &failed))) {
        *known = failed;
        return NULL;
    }
    return new_relation(im, name);
}

void transition_break(struct transition_tables *im, const char *table, const char *why)
{
    im->broken = mem_grow(im->broken, im->nbroken + 1, sizeof *im->broken);
    im->broken[im->nbroken++] =
        (struct broken){mem_text(table), mem_printf("table %s: %s; run `txnlog attach` again", table, why)};
}

void transition_read(struct relation *r, const char *column)
{
    r->wanted = true;
    for (size_t i = 0; i < r->ncol; i++)
        if (strcasecmp(r->col[i], column) == 0)
            r->read[i] = true;
}

void transition_both(struct relation *r)
{
    r->wanted = r->both = true;
}

/* ---- filling ---- */

bool transition_touched(const struct transition_tables *im, const char *table)
{
    return range_scan_touched(&im->survey, table);
}

int64_t transition_ordered(const struct transition_tables *im, const char *table)
{
    return range_scan_ordered(&im->survey, table);
}

/* One relation on its way. */
struct filling {
    struct transition_tables *im;
    struct relation *r;
    size_t ncol, *col;         /* the columns filled: the key and those that are read */
    const struct table *table; /* of the changes */
    size_t *from;              /* where they are in a change */
    struct bulk_insert *old, *new;
    struct stmt *now;
    struct val *row;
};

static void add_columns(struct buf *sql, const struct filling *f)
{
    for (size_t i = 0; i < f->ncol; i++) {
        buf_puts(sql, i ? ", " : "");
        buf_name(sql, f->r->col[f->col[i]]);
    }
}

static struct bulk_insert *open_put(const struct filling *f, const char *into)
{
    struct buf b = {0};
    buf_addf(&b, "%s (", into);
    add_columns(&b, f);
    buf_puts(&b, ")");
    struct bulk_insert *put = bulk_insert_open(f->im->db, buf_text(&b), f->ncol);
    buf_free(&b);
    return put;
}

static struct stmt *prepare_now(const struct filling *f)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    add_columns(&sql, f);
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, f->r->name);
    buf_puts(&sql, " WHERE ");
    layout_where_key(&sql, f->r->layout->table, 1);
    struct stmt *s = db_prepare(f->im->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static int begin_filling(struct filling *f)
{
    const struct relation *r = f->r;
    f->col = mem_zero(r->ncol, sizeof *f->col);
    f->from = mem_zero(r->ncol, sizeof *f->from);
    f->row = mem_zero(r->ncol, sizeof *f->row);
    for (size_t i = 0; i < r->ncol; i++)
        if (r->read[i] || r->layout->table->pk[i])
            f->col[f->ncol++] = i;
    f->old = open_put(f, r->old_name);
    f->new = open_put(f, r->new_name);
    f->now = prepare_now(f);
    return f->now ? 0 : -1;
}

static void end_filling(struct filling *f)
{
    free(f->col);
    free(f->from);
    free(f->row);
    bulk_insert_close(f->old);
    bulk_insert_close(f->new);
    stmt_free(f->now);
}

/* Finds the columns in the changes' table. */
static int match_columns(struct filling *f, const struct table *t)
{
    for (size_t i = 0; i < f->ncol; i++) {
        int at = table_column(t, f->r->col[f->col[i]]);
        if (at < 0)
            return fail(ERR_REFUSED, "column %s of table %s is not captured; run `txnlog attach`",
                        f->r->col[f->col[i]], f->r->name);
        f->from[i] = (size_t)at;
    }
    f->table = t;
    return 0;
}

/* What of the row did not change is as it is now. */
static int take_now(const struct filling *f, const struct change *c)
{
    const struct table *t = f->r->layout->table;
    for (size_t k = 0; k < t->nkey; k++)
        stmt_bind(f->now, (int)k + 1, &c->old[c->table->key[k]]);
    enum step step = stmt_step(f->now);
    if (step == STEP_DONE)
        return fail(ERR_REFUSED,
                    "%s is in the journal, but not in the table; was it written with triggers off?",
                    change_show(c));
    for (size_t i = 0; step == STEP_ROW && i < f->ncol; i++)
        f->row[i] = stmt_val(f->now, (int)i);
    return step == STEP_ROW ? 0 : -1;
}

static int put_update(struct filling *f, const struct change *c)
{
    bool all = true;
    for (size_t i = 0; i < f->ncol; i++) {
        bool moved = c->new[f->from[i]].type != VAL_NONE, key = c->table->pk[f->from[i]] != 0;
        f->r->moved[f->col[i]] |= moved;
        all &= moved || key;
        f->row[i] = key ? c->old[f->from[i]] : c->new[f->from[i]];
    }
    if (!all && take_now(f, c))
        return -1;
    int rc = bulk_insert_put(f->new, f->row);
    for (size_t i = 0; i < f->ncol && f->r->both; i++)
        if (c->new[f->from[i]].type != VAL_NONE)
            f->row[i] = c->old[f->from[i]];
    if (rc == 0 && f->r->both)
        rc = bulk_insert_put(f->old, f->row);
    if (!all)
        stmt_reset(f->now);
    f->r->has_old |= f->r->both;
    f->r->has_new = true;
    return rc;
}

static bool has_key(const struct filling *f, const struct change *c)
{
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    for (size_t k = 0; k < c->table->nkey; k++) {
        enum val_type type = row[c->table->key[k]].type;
        if (type == VAL_NULL || (f->r->layout->rowid_key && type != VAL_INT))
            return false;
    }
    return true;
}

static int put_change(struct filling *f, const struct change *c)
{
    if (f->table != c->table && match_columns(f, c->table))
        return -1;
    if (!has_key(f, c))
        return 0;
    if (c->op == CHANGE_UPDATE)
        return put_update(f, c);
    bool insert = c->op == CHANGE_INSERT;
    for (size_t i = 0; i < f->ncol; i++)
        f->row[i] = (insert ? c->new : c->old)[f->from[i]];
    f->r->came = true;
    f->r->went |= !insert;
    *(insert ? &f->r->has_new : &f->r->has_old) = true;
    return bulk_insert_put(insert ? f->new : f->old, f->row);
}

/* Which columns of the journal's layout some rule reads; to free. */
static bool *wanted(const struct transition_tables *im, const struct relation *r)
{
    bool *want = NULL;
    for (size_t l = 0; l < im->survey.n; l++) {
        const struct table *t = im->survey.layout[l].table;
        if (!im->survey.layout[l].current || strcmp(t->name, r->name) != 0)
            continue;
        want = mem_zero(t->ncol, sizeof *want);
        for (size_t i = 0; i < r->ncol; i++)
            if (r->read[i] && table_column(t, r->col[i]) >= 0)
                want[table_column(t, r->col[i])] = true;
    }
    return want;
}

/* Statistics: without them SQLite takes an image of one row for a million rows. Of an empty table there are none. */
static int analyze(struct transition_tables *im, const struct relation *r)
{
    if (r->has_old && db_execf(im->db, "ANALYZE %s", r->old_name))
        return -1;
    return r->has_new ? db_execf(im->db, "ANALYZE %s", r->new_name) : 0;
}

static int fill(struct transition_tables *im, struct relation *r, int64_t after, int64_t upto)
{
    struct filling f = {.im = im, .r = r};
    struct change c = {0};
    bool *want = wanted(im, r);
    struct journal_net *net = want && begin_filling(&f) == 0
                                  ? journal_net_some(im->db, r->name, after, upto, JOURNAL_ALL, want,
                                                     transition_ordered(im, r->name))
                                  : NULL;
    int got = net ? 1 : -1;
    while (got > 0 && (got = journal_net_next(net, &c)) > 0)
        if (put_change(&f, &c))
            got = -1;
    int rc = got || bulk_insert_end(f.old) || bulk_insert_end(f.new) ? -1 : 0;
    journal_net_close(net);
    end_filling(&f);
    free(want);
    return rc ? -1 : analyze(im, r);
}

int transition_fill(struct transition_tables *im, int64_t after, int64_t upto)
{
    if (range_scan_take(&im->survey, im->db, after, upto))
        return -1;
    for (size_t i = 0; i < im->n; i++) {
        struct relation *r = im->relation[i];
        if (r->broken || !r->wanted || !r->layout || !transition_touched(im, r->name) ||
            fill(im, r, after, upto) == 0)
            continue;
        if (err_code() != ERR_REFUSED)
            return -1;
        r->broken = mem_text(err_message());
    }
    return 0;
}

int transition_nodes(struct transition_tables *im, const char *old, const char *new)
{
    bool known;
    struct relation *r = transition_relation(im, IMAGE_NODE, &known);
    int64_t n;
    if (r == NULL || db_exec(im->db, "DELETE FROM temp.dx_o_dx_node; DELETE FROM temp.dx_n_dx_node") ||
        db_execf(im->db, "INSERT INTO temp.dx_o_dx_node %s; INSERT INTO temp.dx_n_dx_node %s", old, new) ||
        db_get_int(im->db, &n, "SELECT count(*) FROM temp.dx_o_dx_node"))
        return -1;
    r->has_old = n > 0;
    if (db_get_int(im->db, &n, "SELECT count(*) FROM temp.dx_n_dx_node"))
        return -1;
    r->has_new = n > 0;
    r->came = r->has_old || r->has_new;
    r->went = r->has_old;
    return analyze(im, r);
}
