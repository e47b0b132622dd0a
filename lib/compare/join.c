/* join: see compare/join.h. */
#include "compare/join.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/local.h"

#include <stdlib.h>
#include <string.h>

struct join {
    struct local_side *side[SIDES];
    int64_t seen; /* the attached database's data_version before the sides were begun */
    size_t object;
    struct stmt *differing; /* the keys found */
    struct val *key;
};

static const char *const schema_name[SIDES] = {"main", "dx_theirs"}, *const alias[SIDES] = {"t", "u"};

/* Whether two numbers that compare as equal are not the same bits: 2 and 2.0, 0.0 and -0.0. */
static struct val other_number(void *ctx, const struct val *args, size_t n)
{
    (void)ctx;
    return val_int(n == 2 && !val_same(&args[0], &args[1]));
}

static int data_version(struct join *j, int64_t *out)
{
    return db_get_int(j->side[MINE]->db, out, "PRAGMA dx_theirs.data_version");
}

static int same_encoding(struct join *j)
{
    char *encoding[SIDES] = {NULL, NULL};
    int same = 1;
    for (int side = 0; side < SIDES; side++)
        if (db_get_text(j->side[side]->db, &encoding[side], "PRAGMA encoding"))
            same = -1;
    if (same == 1)
        same = encoding[MINE] && encoding[THEIRS] && strcmp(encoding[MINE], encoding[THEIRS]) == 0 &&
               strcmp(encoding[MINE], "UTF-8") == 0;
    free(encoding[MINE]);
    free(encoding[THEIRS]);
    return same;
}

static int attach(struct join *j)
{
    struct db *db = j->side[MINE]->db;
    return db_attach(db, db_path(j->side[THEIRS]->db), schema_name[THEIRS]) ||
                   db_function(db, "dx_other_number", 2, other_number, NULL) || data_version(j, &j->seen)
               ? -1
               : 0;
}

int join_open(struct side *const side[SIDES], struct join **out)
{
    struct join *j = mem_zero(1, sizeof *j);
    int can = 1;
    *out = NULL;
    for (int i = 0; i < SIDES; i++) {
        j->side[i] = local_of(side[i]);
        can = can && j->side[i] != NULL;
    }
    if (can)
        can = same_encoding(j);
    if (can > 0 && attach(j))
        can = -1;
    if (can > 0) {
        *out = j;
        return 0;
    }
    free(j);
    return can;
}

void join_close(struct join *j)
{
    if (j == NULL)
        return;
    stmt_free(j->differing);
    db_detach(j->side[MINE]->db, schema_name[THEIRS]);
    free(j->key);
    free(j);
}

int join_begin(struct join *j)
{
    int64_t now;
    if (db_exec(j->side[MINE]->db, "SELECT 1 FROM dx_theirs.sqlite_schema LIMIT 1") || data_version(j, &now))
        return -1;
    return now == j->seen;
}

/* ---- what can be joined ---- */

static const struct local_object *object_of(const struct join *j, int side, size_t object)
{
    return &j->side[side]->object[object];
}

static const struct layout_column *column_of(const struct join *j, int side, size_t object, size_t i)
{
    const struct local_object *o = object_of(j, side, object);
    return &o->target->layout->column[o->column[i]];
}

static bool is_binary(const struct layout_column *c)
{
    return strcmp(c->collation, "BINARY") == 0;
}

/* Keys that SQLite takes for equal are the same bits: none is a real, and no collation decides. */
static bool exact_key(const struct layout_column *c)
{
    return c->affinity != AFFINITY_BLOB && c->affinity != AFFINITY_REAL && is_binary(c);
}

bool join_can(const struct join *j, size_t object)
{
    const struct spec *s = object_of(j, MINE, object)->spec;
    for (int side = 0; side < SIDES; side++) {
        const struct local_object *o = object_of(j, side, object);
        if (*o->at->filter || o->linked)
            return false;
        for (size_t i = 0; i < s->row->ncol; i++)
            if (o->column[i] < 0)
                return false;
    }
    for (size_t i = 0; i < s->row->ncol; i++) {
        const struct layout_column *mine = column_of(j, MINE, object, i),
                                   *theirs = column_of(j, THEIRS, object, i);
        if (mine->affinity != theirs->affinity || (s->row->pk[i] && !(exact_key(mine) && exact_key(theirs))))
            return false;
    }
    return true;
}

/* ---- the statements ---- */

static void put_name(const struct join *j, int side, size_t i, struct buf *sql)
{
    buf_addf(sql, "%s.", alias[side]);
    buf_name(sql, object_of(j, side, j->object)->at->column[i]);
}

static void put_table(const struct join *j, int side, struct buf *sql)
{
    buf_addf(sql, "%s.", schema_name[side]);
    buf_name(sql, object_of(j, side, j->object)->at->table);
    buf_addf(sql, " AS %s", alias[side]);
}

/* Whether a column of both sides differs. IS NOT takes 2 for 2.0, and 0.0 for -0.0. */
static void put_differs(const struct join *j, size_t i, struct buf *sql)
{
    const struct layout_column *mine = column_of(j, MINE, j->object, i),
                               *theirs = column_of(j, THEIRS, j->object, i);
    put_name(j, MINE, i, sql);
    buf_puts(sql, " IS NOT ");
    put_name(j, THEIRS, i, sql);
    if (!is_binary(mine) || !is_binary(theirs))
        buf_puts(sql, " COLLATE BINARY");
    /* A column without a type keeps whatever number it is given, and numbers come before all text; one of REAL has reals. */
    const char *unsure = mine->affinity == AFFINITY_BLOB ? " < ''" : " = 0";
    if (mine->affinity != AFFINITY_BLOB && mine->affinity != AFFINITY_REAL)
        return;
    buf_puts(sql, " OR (");
    put_name(j, MINE, i, sql);
    buf_addf(sql, "%s AND dx_other_number(", unsure);
    put_name(j, MINE, i, sql);
    buf_puts(sql, ", ");
    put_name(j, THEIRS, i, sql);
    buf_puts(sql, "))");
}

static bool compared(const struct spec *s, size_t i)
{
    for (size_t k = 0; k < s->nchange; k++)
        if (s->change[k] == i)
            return true;
    return s->nchange == 0 && !s->row->pk[i];
}

static void put_keys(const struct join *j, int side, struct buf *sql)
{
    const struct table *row = object_of(j, MINE, j->object)->spec->row;
    for (size_t k = 0; k < row->nkey; k++) {
        buf_puts(sql, k ? ", " : "");
        put_name(j, side, row->key[k], sql);
    }
}

static void put_keys_equal(const struct join *j, struct buf *sql)
{
    const struct table *row = object_of(j, MINE, j->object)->spec->row;
    for (size_t k = 0; k < row->nkey; k++) {
        buf_puts(sql, k ? " AND " : "");
        put_name(j, MINE, row->key[k], sql);
        buf_puts(sql, " = ");
        put_name(j, THEIRS, row->key[k], sql);
    }
}

/* Rows with NULL in their key are not compared. False where the table can have none. */
static bool put_keyed(const struct join *j, int side, const char *before, struct buf *sql)
{
    const struct local_object *o = object_of(j, side, j->object);
    const struct table *row = o->spec->row;
    const struct layout *l = o->target->layout;
    bool any = false;
    for (size_t k = 0; k < row->nkey && !l->rowid_key && !l->without_rowid; k++) {
        if (column_of(j, side, j->object, row->key[k])->notnull)
            continue;
        buf_puts(sql, any ? " AND " : before);
        put_name(j, side, row->key[k], sql);
        buf_puts(sql, " IS NOT NULL");
        any = true;
    }
    return any;
}

static int run(struct join *j, struct buf *sql)
{
    int rc = db_exec(j->side[MINE]->db, buf_text(sql));
    buf_clear(sql);
    return rc;
}

static int make_room(struct join *j, struct buf *sql)
{
    const struct table *row = object_of(j, MINE, j->object)->spec->row;
    buf_puts(sql, "DROP TABLE IF EXISTS temp.dx_differs; CREATE TEMP TABLE dx_differs (");
    for (size_t k = 0; k < row->nkey; k++)
        buf_addf(sql, "k%zu, ", k);
    buf_puts(sql, "alone INTEGER, PRIMARY KEY (");
    for (size_t k = 0; k < row->nkey; k++)
        buf_addf(sql, "%sk%zu", k ? ", " : "", k);
    buf_puts(sql, ")) WITHOUT ROWID");
    return run(j, sql);
}

/* Rows of mine that theirs lacks, or has otherwise. */
static int find_mine(struct join *j, struct buf *sql)
{
    const struct spec *s = object_of(j, MINE, j->object)->spec;
    buf_puts(sql, "INSERT INTO temp.dx_differs SELECT ");
    put_keys(j, MINE, sql);
    buf_puts(sql, ", ");
    put_name(j, THEIRS, s->row->key[0], sql);
    buf_puts(sql, " IS NULL FROM ");
    put_table(j, MINE, sql);
    buf_puts(sql, " LEFT JOIN ");
    put_table(j, THEIRS, sql);
    buf_puts(sql, " ON ");
    put_keys_equal(j, sql);
    buf_puts(sql, " WHERE (");
    put_name(j, THEIRS, s->row->key[0], sql);
    buf_puts(sql, " IS NULL");
    for (size_t i = 0; i < s->row->ncol; i++)
        if (compared(s, i)) {
            buf_puts(sql, " OR ");
            put_differs(j, i, sql);
        }
    buf_puts(sql, ")");
    put_keyed(j, MINE, " AND ", sql);
    return run(j, sql);
}

static int find_theirs(struct join *j, struct buf *sql)
{
    buf_puts(sql, "INSERT INTO temp.dx_differs SELECT ");
    put_keys(j, THEIRS, sql);
    buf_puts(sql, ", 1 FROM ");
    put_table(j, THEIRS, sql);
    buf_puts(sql, " WHERE NOT EXISTS (SELECT 1 FROM ");
    put_table(j, MINE, sql);
    buf_puts(sql, " WHERE ");
    put_keys_equal(j, sql);
    buf_puts(sql, ")");
    put_keyed(j, THEIRS, " AND ", sql);
    return run(j, sql);
}

/* How many rows there are, and how many are not compared. */
static int count_rows(struct join *j, int side, struct buf *sql, int64_t *rows)
{
    int64_t all;
    buf_puts(sql, "SELECT count(*) FROM ");
    put_table(j, side, sql);
    int rc = db_get_int(j->side[MINE]->db, &all, "%s", buf_text(sql));
    *rows = all;
    if (rc == 0 && put_keyed(j, side, " WHERE ", sql))
        rc = db_get_int(j->side[MINE]->db, rows, "%s", buf_text(sql));
    buf_clear(sql);
    j->side[side]->side.unkeyed[j->object] = all - *rows;
    return rc;
}

int join_object(struct join *j, size_t object, int64_t rows[SIDES], int64_t *equal)
{
    struct db *db = j->side[MINE]->db;
    struct buf sql = {0};
    int64_t alone, differ;
    stmt_free(j->differing);
    j->differing = NULL;
    j->object = object;
    int rc = make_room(j, &sql) || count_rows(j, MINE, &sql, &rows[MINE]) ||
                     count_rows(j, THEIRS, &sql, &rows[THEIRS]) || find_mine(j, &sql) ||
                     db_get_int(db, &alone, "SELECT count(*) FROM temp.dx_differs WHERE alone") ||
                     db_get_int(db, &differ, "SELECT count(*) FROM temp.dx_differs")
                 ? -1
                 : 0;
    if (rc == 0) {
        *equal = rows[MINE] - differ;
        /* Each row of mine that is not alone has one of theirs. */
        if (rows[THEIRS] > rows[MINE] - alone)
            rc = find_theirs(j, &sql);
    }
    buf_free(&sql);
    if (rc)
        return -1;
    const struct table *row = object_of(j, MINE, object)->spec->row;
    j->key = mem_grow(j->key, row->nkey, sizeof *j->key);
    j->differing = db_prepare(db, "SELECT * FROM temp.dx_differs");
    return j->differing ? 0 : -1;
}

int join_next(struct join *j, const struct val *row[SIDES])
{
    const struct table *t = object_of(j, MINE, j->object)->spec->row;
    enum step step = stmt_step(j->differing);
    if (step != STEP_ROW) {
        for (int side = 0; side < SIDES; side++) /* the next object's table is made where this one's was */
            local_row_done(j->side[side], j->object);
        return step == STEP_DONE ? 0 : -1;
    }
    for (size_t k = 0; k < t->nkey; k++)
        j->key[k] = stmt_val(j->differing, (int)k);
    for (int side = 0; side < SIDES; side++) {
        int got = local_listed(j->side[side], j->object, j->key, &row[side]);
        if (got < 0)
            return -1;
        if (got == 0)
            row[side] = NULL;
    }
    return 1;
}
