/* threeway: see compare/threeway.h. */
#include "compare/threeway.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/progress.h"
#include "compare/pack.h"
#include "compare/version.h"

#include <stdlib.h>
#include <string.h>

enum { BASE = SIDES, CURSORS };

/* Where one of the three stands in the object being compared. */
struct cursor {
    const struct val *row; /* key and version, of the base the content, too; NULL: no more */
    bool here;             /* its row is the one being looked at */
};

struct merge_of {
    struct threeway *t;
    size_t object;
    const struct spec *spec;
    struct cursor at[CURSORS];
    struct val *base_row;
    struct val *last; /* the key before, to check the order */
};

/* ---- marks ---- */

struct marking {
    struct threeway *t;
    int side;
};

static int add_mark(void *ctx, const char *table, const struct val *key)
{
    struct marking *m = ctx;
    const struct specs *specs = m->t->specs;
    for (size_t i = 0; i < specs->n; i++) {
        if (strcmp(specs->spec[i].at[m->side].table, table) != 0)
            continue;
        struct stmt *s =
            db_preparef(m->t->work->db, "INSERT INTO temp.mark VALUES (%d, %lld, ?1)", m->side, (long long)i);
        if (s)
            stmt_bind(s, 1, key);
        int rc = s ? stmt_run(s) : -1;
        stmt_free(s);
        m->t->marked[m->side] = true;
        return rc;
    }
    return 0;
}

static int load_marks(struct threeway *t)
{
    if (db_exec(t->work->db,
                "CREATE TEMP TABLE IF NOT EXISTS mark (side INTEGER, object INTEGER, key BLOB);"
                "CREATE INDEX IF NOT EXISTS temp.mark_key ON mark (object, key); DELETE FROM temp.mark"))
        return -1;
    for (int side = 0; side < SIDES; side++) {
        struct marking m = {t, side};
        t->marked[side] = false;
        if (side_marks(t->side[side], t->base->side[side].mark, add_mark, &m))
            return -1;
    }
    return 0;
}

/* Whether the row was deleted there since, and made again. */
static int reborn(struct merge_of *m, int side)
{
    if (!m->t->marked[side] || !m->at[BASE].here || !m->at[side].here)
        return 0;
    struct buf b = {0};
    pack_row(&b, m->at[side].row, m->spec->row->nkey);
    struct val key = {.type = VAL_BLOB, .p = b.p, .n = b.n};
    struct stmt *s =
        db_preparef(m->t->work->db, "SELECT 1 FROM temp.mark WHERE side = %d AND object = %lld AND key = ?1",
                    side, (long long)m->object);
    if (s)
        stmt_bind(s, 1, &key);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    stmt_free(s);
    buf_free(&b);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

/* ---- one row ---- */

static bool here(const struct item *i, int side)
{
    return i->version[side].type == VAL_BLOB;
}

void threeway_plan(const struct spec *s, struct item *i)
{
    bool same = here(i, MINE) == here(i, THEIRS) &&
                (!here(i, MINE) || val_same(&i->version[MINE], &i->version[THEIRS]));
    i->op[MINE] = i->op[THEIRS] = 0;
    i->fresh[MINE] = i->fresh[THEIRS] = false;
    i->outcome = OUTCOME_PLAN;
    if (same) {
        i->outcome = OUTCOME_AGREED;
        return;
    }
    for (int side = 0; side < SIDES; side++) {
        bool untouched = i->what[side] == WHAT_SAME;
        bool gone = i->what[side] == WHAT_DELETED && i->what[!side] == WHAT_INSERTED;
        if (!untouched && !gone)
            continue;
        i->op[side] = !here(i, !side) ? CHANGE_DELETE : here(i, side) ? CHANGE_UPDATE : CHANGE_INSERT;
        return;
    }
    if (s->rekey && i->what[MINE] == WHAT_INSERTED && i->what[THEIRS] == WHAT_INSERTED) {
        i->op[MINE] = i->op[THEIRS] = CHANGE_INSERT;
        i->fresh[MINE] = i->fresh[THEIRS] = true;
        return;
    }
    i->outcome = OUTCOME_CONFLICT;
}

/* What happened on a side: an enum what, or -1. */
static int what_happened(struct merge_of *m, int side)
{
    const struct cursor *at = &m->at[side], *base = &m->at[BASE];
    size_t nkey = m->spec->row->nkey;
    if (!base->here)
        return at->here ? WHAT_INSERTED : WHAT_SAME;
    if (!at->here)
        return WHAT_DELETED;
    int again = reborn(m, side);
    if (again)
        return again < 0 ? -1 : WHAT_INSERTED;
    const struct val *version = &base->row[nkey];
    if (version->type != VAL_BLOB) /* only its key is known */
        return m->at[!side].here ? WHAT_UPDATED : WHAT_SAME;
    return val_same(&at->row[nkey], version) ? WHAT_SAME : WHAT_UPDATED;
}

static int look_at(struct merge_of *m)
{
    size_t nkey = m->spec->row->nkey;
    const struct cursor *mine = &m->at[MINE], *theirs = &m->at[THEIRS], *base = &m->at[BASE];
    bool same = mine->here && theirs->here && val_same(&mine->row[nkey], &theirs->row[nkey]);
    m->t->count[m->object].agreed += same;
    if (same && base->here && val_same(&mine->row[nkey], &base->row[nkey]))
        return 0;
    const struct val *key = mine->here ? mine->row : theirs->here ? theirs->row : base->row;
    if (same && m->t->base->object[m->object].initial)
        return m->t->keep ? base_agree(m->t->base, m->spec, m->object, key, &mine->row[nkey], NULL) : 0;
    struct item i = {.object = m->object, .key = key};
    for (int side = 0; side < SIDES; side++) {
        int what = what_happened(m, side);
        if (what < 0)
            return -1;
        i.what[side] = (enum what)what;
        if (m->at[side].here)
            i.version[side] = m->at[side].row[nkey];
    }
    if (base->here) {
        i.base = base->row[nkey];
        i.content = base->row[nkey + 1];
        for (int side = 0; side < SIDES; side++)
            i.backwards[side] =
                i.what[side] == WHAT_UPDATED && version_backwards(m->spec, &i.base, &i.version[side]);
    }
    threeway_plan(m->spec, &i);
    return work_add(m->t->work, &i);
}

/* ---- one object ---- */

static int advance(struct merge_of *m, int c)
{
    struct cursor *at = &m->at[c];
    int got = c < SIDES ? side_next(m->t->side[c], &at->row)
                        : base_rows_next(m->t->base, m->spec, m->object, m->base_row);
    if (c == BASE)
        at->row = m->base_row;
    if (got <= 0)
        at->row = NULL;
    return got < 0 ? -1 : 0;
}

/* Marks the cursors that stand at the smallest key. False when there is no row any more. */
static bool mark_smallest(struct merge_of *m)
{
    const struct val *smallest = NULL;
    for (int i = 0; i < CURSORS; i++) {
        struct cursor *at = &m->at[i];
        int order = at->row == NULL    ? 1
                    : smallest == NULL ? -1
                                       : vals_compare(at->row, smallest, m->spec->row->nkey);
        at->here = order <= 0;
        if (order < 0) {
            smallest = at->row;
            for (int before = 0; before < i; before++)
                m->at[before].here = false;
        }
    }
    return smallest != NULL;
}

static int compare_object(struct threeway *t, size_t object)
{
    struct merge_of m = {.t = t, .object = object, .spec = &t->specs->spec[object]};
    struct threeway_counts *n = &t->count[object];
    int64_t *count[CURSORS] = {&n->rows[MINE], &n->rows[THEIRS], &n->base};
    m.base_row = mem_zero(m.spec->row->nkey + 2, sizeof *m.base_row);
    *n = (struct threeway_counts){0};
    int rc = side_list(t->side[MINE], object) || side_list(t->side[THEIRS], object) ||
                     base_rows_begin(t->base, object)
                 ? -1
                 : 0;
    for (int c = 0; c < CURSORS && rc == 0; c++)
        rc = advance(&m, c);
    while (rc == 0 && mark_smallest(&m)) {
        rc = look_at(&m);
        for (int c = 0; c < CURSORS && rc == 0; c++) {
            *count[c] += m.at[c].here;
            if (m.at[c].here)
                rc = advance(&m, c);
        }
        progress_rows(m.spec->name, n->rows[MINE]);
    }
    base_rows_begin(t->base, object);
    free(m.base_row);
    return rc ? fail_in("object %s", m.spec->name) : 0;
}

/* The same where nothing is known of the object, and nothing of what is equal is to be kept. */
static int compare_joined(struct threeway *t, size_t object)
{
    struct merge_of m = {.t = t, .object = object, .spec = &t->specs->spec[object]};
    struct threeway_counts *n = &t->count[object];
    const struct val *row[SIDES];
    int got;
    *n = (struct threeway_counts){0};
    if (join_object(t->join, object, n->rows, &n->agreed))
        return fail_in("object %s", m.spec->name);
    while ((got = join_next(t->join, row)) > 0) {
        for (int side = 0; side < SIDES; side++)
            m.at[side] = (struct cursor){row[side], row[side] != NULL};
        if (look_at(&m))
            return fail_in("object %s", m.spec->name);
    }
    return got ? fail_in("object %s", m.spec->name) : 0;
}

int threeway_run(struct threeway *t)
{
    if (load_marks(t))
        return -1;
    for (size_t i = 0; i < t->specs->n; i++) {
        bool join = t->join && !t->keep && t->base->object[i].initial && join_can(t->join, i);
        if (join ? compare_joined(t, i) : compare_object(t, i))
            return -1;
    }
    return 0;
}
