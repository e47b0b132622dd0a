/* rejected_rows: see apply/rejected_rows.h. */
#include "apply/rejected_rows.h"

#include "apply/conflict.h"
#include "apply/merge_context.h"
#include "apply/quarantine.h"
#include "apply/record.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "sql/key.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* archive: the one that tells the node. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_rejected (id INTEGER PRIMARY KEY, conflict INTEGER NOT NULL, node INTEGER "
    "NOT NULL,"
    " epoch TEXT NOT NULL, tbl TEXT NOT NULL, key, archive INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS dx_rejected_row ON dx_rejected (node, tbl, key);"
    "CREATE TABLE IF NOT EXISTS dx_rejected_change (entry INTEGER PRIMARY KEY, conflict INTEGER NOT NULL)";
static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_rejected'";
static const char sql_rows[] =
    "SELECT r.tbl, r.key FROM dx_rejected AS r JOIN sqlite_schema AS s ON s.type = 'table' AND"
    " s.name = r.tbl COLLATE NOCASE"
    " WHERE r.node = ?1 AND r.epoch = ?2 AND r.archive > ?3 ORDER BY r.id";
static const char sql_add[] =
    "INSERT INTO dx_rejected (conflict, node, epoch, tbl, key, archive) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char sql_conflict[] =
    "SELECT r.conflict, c.resolved FROM dx_rejected AS r JOIN dx_conflict AS c ON c.id = r.conflict"
    " WHERE r.node = ?1 AND r.tbl = ?2 AND r.key IS ?3 ORDER BY r.id DESC LIMIT 1";
static const char sql_state[] =
    "SELECT c.resolved FROM dx_rejected_change AS r JOIN dx_conflict AS c ON c.id = r.conflict"
    " WHERE r.entry = ?1";
static const char sql_drop[] =
    "DELETE FROM dx_quarantine WHERE id IN (SELECT r.entry FROM dx_rejected_change AS r JOIN dx_conflict AS c"
    " ON c.id = r.conflict WHERE c.resolved NOT IN ('theirs', 'value'));"
    "DELETE FROM dx_rejected_change WHERE entry NOT IN (SELECT id FROM dx_quarantine)";
static const char sql_settle[] =
    "DELETE FROM dx_rejected_change WHERE conflict NOT IN (SELECT id FROM dx_conflict WHERE resolved IS "
    "NULL)";
static const char sql_keys[] =
    "SELECT m.name, f.id, f.seq, f.\"table\", f.\"from\", f.\"to\" FROM sqlite_schema AS m,"
    " pragma_foreign_key_list(m.name) AS f"
    " WHERE m.type = 'table' AND m.name NOT LIKE 'dx\\_%' ESCAPE '\\' AND EXISTS"
    " (SELECT 1 FROM sqlite_schema AS p WHERE p.type = 'table' AND p.name = f.\"table\" COLLATE NOCASE)"
    " ORDER BY m.name, f.id, f.seq";

/* Columns that hold the key of a row of another table. */
struct rejected_ref {
    char *table, *parent;
    size_t n;
    char **from; /* n columns, */
    char **to;   /* and those of the parent's that they refer to; NULL: its key, in order */
};

void rejected_rows_free(struct rejected_rows *r)
{
    for (size_t i = 0; i < r->nref; i++) {
        for (size_t k = 0; k < r->ref[i].n; k++) {
            free(r->ref[i].from[k]);
            free(r->ref[i].to[k]);
        }
        free(r->ref[i].from);
        free(r->ref[i].to);
        free(r->ref[i].table);
        free(r->ref[i].parent);
    }
    free(r->ref);
    rowset_free(&r->rows);
    *r = (struct rejected_rows){0};
}

/* ---- references ---- */

static void add_ref(struct rejected_rows *r, const char *table, const char *parent)
{
    r->ref = mem_grow(r->ref, r->nref + 1, sizeof *r->ref);
    r->ref[r->nref++] = (struct rejected_ref){.table = mem_text(table), .parent = mem_text(parent)};
}

/* To the reference added last. */
static void add_column(struct rejected_rows *r, const char *from, const char *to)
{
    struct rejected_ref *ref = &r->ref[r->nref - 1];
    ref->from = mem_grow(ref->from, ref->n + 1, sizeof *ref->from);
    ref->to = mem_grow(ref->to, ref->n + 1, sizeof *ref->to);
    ref->from[ref->n] = mem_text(from);
    ref->to[ref->n++] = to ? mem_text(to) : NULL;
}

static int load_foreign_keys(struct rejected_rows *r, struct db *db)
{
    struct stmt *s = db_prepare(db, sql_keys);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        if (stmt_int(s, 2) == 0)
            add_ref(r, stmt_text(s, 0), stmt_text(s, 3));
        add_column(r, stmt_text(s, 4), stmt_text(s, 5));
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* What the package says that columns refer to. */
static void load_package(struct rejected_rows *r, const struct package *p)
{
    for (size_t i = 0; p && i < p->nobject; i++) {
        const struct object *o = &p->object[i], *parent = NULL;
        struct object_reference *declared;
        bool closed;
        size_t n = object_references(o, &declared, &closed);
        for (size_t k = 0; k < n; k++)
            if (declared[k].to && (parent = package_named(p, declared[k].to))) {
                add_ref(r, o->table, parent->table);
                add_column(r, declared[k].column, NULL);
            }
        object_references_free(declared, n);
        parent = o->via_object ? package_named(p, o->via_object) : NULL;
        const char *list = o->via_column;
        char *word;
        if (parent)
            add_ref(r, o->table, parent->table);
        while (parent && (word = conf_word(&list, ','))) {
            add_column(r, word, NULL);
            free(word);
        }
    }
}

static int load_refs(struct apply_context *w)
{
    struct rejected_rows *r = &w->merge->rejected;
    if (r->nref)
        return 0;
    if (load_foreign_keys(r, w->db))
        return -1;
    load_package(r, w->merge->package);
    return 0;
}

/* The row that the change makes its row refer to, as a delete of it, in `key` (a value a column of the parent's): whether
 * there is one, and the change assigns a column that refers to it: 1, 0, -1. */
static int parent_of(struct apply_context *w, const struct rejected_ref *ref, struct target *t,
                     const struct change *c, struct target **parent, struct arena *a, struct val **key)
{
    bool assigned = false, whole = true;
    if (strcasecmp(ref->table, t->table->name) != 0 || c->op == CHANGE_DELETE)
        return 0;
    *parent = targets_named(&w->targets, ref->parent);
    if (*parent == NULL) /* a table without a key: none of its rows is a node's */
        return err_code() == ERR_REFUSED ? 0 : -1;
    const struct table *p = (*parent)->table;
    if (ref->n != p->nkey)
        return 0;
    *key = arena_alloc(a, p->ncol * sizeof **key);
    memset(*key, 0, p->ncol * sizeof **key);
    for (size_t i = 0; i < ref->n; i++) {
        int from = table_column(t->table, ref->from[i]);
        int to = ref->to[i] ? table_column(p, ref->to[i]) : (int)p->key[i];
        if (from < 0 || to < 0 || !p->pk[to])
            return 0;
        const struct val *v = c->new[from].type != VAL_NONE ? &c->new[from] : &c->old[from];
        assigned |= c->new[from].type != VAL_NONE;
        if (v->type == VAL_NONE) {
            int here = target_row(t, c, NULL);
            if (here <= 0)
                return here;
            v = &t->now[from];
        }
        whole &= v->type != VAL_NULL;
        (*key)[to] = *v;
    }
    return assigned && whole;
}

/* ---- which rows ---- */

static bool from_node(const struct apply_context *w)
{
    return w->merge->noded && w->effect.origin && strcmp(w->effect.origin, w->merge->node.name) == 0;
}

static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

static int add_row(struct apply_context *w, const char *table, const struct val *packed)
{
    struct target *t = targets_named(&w->targets, table);
    if (t == NULL)
        return -1;
    struct val *row = mem_zero(t->table->ncol, sizeof *row), *key = mem_zero(t->table->nkey, sizeof *key);
    struct change c = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row};
    if (key_unpack(packed, t->table->nkey, key)) {
        for (size_t i = 0; i < t->table->nkey; i++)
            row[t->table->key[i]] = key[i];
        rowset_add(&w->merge->rejected.rows, t, &c);
    }
    free(row);
    free(key);
    return 0;
}

/* Reads what was rejected before this work. */
static int load(struct apply_context *w)
{
    struct merge *m = w->merge;
    if (m->rejected.known)
        return 0;
    m->rejected.known = true;
    int there = present(w->db), rc = there < 0 ? -1 : 0;
    struct stmt *s = there > 0 ? db_prepare(w->db, sql_rows) : NULL;
    enum step step = there > 0 ? STEP_ERROR : STEP_DONE;
    if (s) {
        stmt_bind_int(s, 1, m->node.id);
        stmt_bind_text(s, 2, m->node.epoch);
        stmt_bind_int(s, 3, m->rekeys.applied);
    }
    while (s && rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct val key = stmt_val(s, 1);
        rc = add_row(w, stmt_text(s, 0), &key);
    }
    stmt_free(s);
    return rc || step == STEP_ERROR || (m->rejected.rows.n && load_refs(w)) ? -1 : 0;
}

/* The conflict of the rejected row, and what has become of it: an enum rejected_state, or -1. */
static enum rejected_state state_of(const char *resolved)
{
    return resolved == NULL                                                    ? REJECTED_WAITS
           : strcmp(resolved, "theirs") == 0 || strcmp(resolved, "value") == 0 ? REJECTED_TAKEN
                                                                               : REJECTED_DROPPED;
}

static int conflict_of(struct apply_context *w, const struct target *t, const struct change *c,
                       int64_t *conflict)
{
    struct buf room = {0};
    struct val packed = change_packed_key(c, &room);
    struct stmt *s = db_prepare(w->db, sql_conflict);
    enum step step = STEP_ERROR;
    int state = -1;
    if (s) {
        stmt_bind_int(s, 1, w->merge->node.id);
        stmt_bind_text(s, 2, t->table->name);
        stmt_bind(s, 3, &packed);
        step = stmt_step(s);
    }
    if (step == STEP_ROW) {
        *conflict = stmt_int(s, 0);
        state = (int)state_of(stmt_text(s, 1));
    } else if (step == STEP_DONE)
        state = REJECTED_NOT;
    stmt_free(s);
    buf_free(&room);
    return state;
}

/* ---- setting aside ---- */

static int note_row(struct apply_context *w, struct target *t, const struct change *c, int64_t conflict)
{
    const struct merge *m = w->merge;
    struct buf room = {0};
    struct val packed = change_packed_key(c, &room);
    struct stmt *s = db_exec(w->db, sql_make) ? NULL : db_prepare(w->db, sql_add);
    if (s) {
        stmt_bind_int(s, 1, conflict);
        stmt_bind_int(s, 2, m->node.id);
        stmt_bind_text(s, 3, m->node.epoch);
        stmt_bind_text(s, 4, t->table->name);
        stmt_bind(s, 5, &packed);
        stmt_bind_int(s, 6, m->node.archive + 1);
    }
    int rc = s ? stmt_run(s) : -1;
    stmt_free(s);
    buf_free(&room);
    rowset_add(&w->merge->rejected.rows, t, c);
    return rc;
}

static int put_aside(struct apply_context *w, const struct target *t, const struct change *c,
                     int64_t conflict)
{
    struct buf room = {0}, bytes = {0};
    char *reason =
        mem_printf("it belongs to a row that was not taken, see conflict %lld", (long long)conflict);
    record_put(&bytes, c);
    struct quarantined q = {.sent_back = w->merge->node.archive + 1,
                            .way = WORK_MERGE,
                            .table = t->table->name,
                            .origin = w->effect.origin,
                            .archive = w->archive,
                            .reason = reason,
                            .key = change_packed_key(c, &room),
                            .change = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n}};
    int rc = quarantine_add(w->db, &q);
    if (rc == 0)
        rc = db_execf(w->db, "INSERT INTO dx_rejected_change VALUES (last_insert_rowid(), %lld)",
                      (long long)conflict);
    w->count->quarantined++;
    free(reason);
    buf_free(&room);
    buf_free(&bytes);
    return rc;
}

static int take_back(struct apply_context *w, struct target *t, const struct change *row, int64_t conflict);

/* The change waits for the conflict; a row that it would have made is rejected, too. */
static int set_aside(struct apply_context *w, struct target *t, const struct change *c, int64_t conflict)
{
    if (w->options->strict)
        return fail(ERR_REFUSED, "%s: %s: it belongs to a row that was not taken; nothing was changed",
                    w->name, change_show(c));
    if (put_aside(w, t, c, conflict) || merge_force(w, t, c, w->effect.origin))
        return -1;
    return c->op == CHANGE_INSERT ? note_row(w, t, c, conflict) || take_back(w, t, c, conflict) ? -1 : 0 : 0;
}

/* ---- what was written before the row came ---- */

/* Whether this work has written rows of the reference's table. */
static bool written(const struct apply_context *w, const struct rejected_ref *ref)
{
    for (size_t i = 0; i < w->effect.n; i++)
        if ((w->effect.count[i].inserted || w->effect.count[i].updated) &&
            strcasecmp(w->targets.target[i]->table->name, ref->table) == 0)
            return true;
    return false;
}

/* The row that the node has made goes, and its insert waits. */
static int take_back_insert(struct apply_context *w, struct target *t, int64_t conflict)
{
    size_t n = t->table->ncol;
    struct val *row = vals_copy(t->now, n), *none = mem_zero(n, sizeof *none);
    struct change gone = {.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row, .new = none};
    struct change come = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = none, .new = row};
    int rc = apply_change(w, t, &gone) || set_aside(w, t, &come, conflict);
    free(row);
    free(none);
    return rc ? -1 : 0;
}

/* The columns that refer hold what they held before, and their update waits. */
static int take_back_update(struct apply_context *w, struct target *t, const struct rejected_ref *ref,
                            const struct change *c, int64_t conflict)
{
    size_t n = t->table->ncol;
    struct val *was = mem_zero(n, sizeof *was), *now = mem_zero(n, sizeof *now);
    struct val *key = mem_zero(n, sizeof *key), *back = mem_zero(n, sizeof *back);
    for (size_t i = 0; i < n; i++)
        if (t->table->pk[i])
            was[i] = key[i] = c->old[i];
    for (size_t i = 0; i < ref->n; i++) {
        int column = table_column(t->table, ref->from[i]);
        if (t->table->pk[column] || c->new[column].type == VAL_NONE)
            continue;
        was[column] = back[column] = c->old[column];
        now[column] = key[column] = c->new[column];
    }
    struct change undo = {.table = t->table, .op = CHANGE_UPDATE, .origin = "", .old = key, .new = back};
    struct change wait = {.table = t->table, .op = CHANGE_UPDATE, .origin = "", .old = was, .new = now};
    int rc = apply_change(w, t, &undo) || set_aside(w, t, &wait, conflict);
    free(was);
    free(now);
    free(key);
    free(back);
    return rc ? -1 : 0;
}

/* The journal's entry c, in the columns of t, if its row still refers to `row` of table `parent` by ref. */
static int take_back_one(struct apply_context *w, struct target *t, const struct rejected_ref *ref,
                         const struct change *c, const struct target *parent, const struct change *row,
                         int64_t conflict)
{
    struct arena arena = {0};
    struct target *p;
    struct val *key;
    bool same = true;
    int refers = parent_of(w, ref, t, c, &p, &arena, &key);
    for (size_t i = 0; refers > 0 && i < parent->table->nkey; i++) {
        size_t k = parent->table->key[i];
        same &= val_same(&key[k], row->op == CHANGE_INSERT ? &row->new[k] : &row->old[k]);
    }
    int here = refers > 0 && same ? target_row(t, c, NULL) : refers < 0 ? -1 : 0;
    for (size_t i = 0; here > 0 && i < ref->n; i++) {
        int column = table_column(t->table, ref->from[i]);
        if (c->new[column].type != VAL_NONE && !val_same(&t->now[column], &c->new[column]))
            here = 0;
    }
    int rc = here <= 0                ? here
             : c->op == CHANGE_INSERT ? take_back_insert(w, t, conflict)
                                      : take_back_update(w, t, ref, c, conflict);
    arena_free(&arena);
    return rc;
}

/* A row that is taken back, and how others refer to it. */
struct taken {
    const struct rejected_ref *ref;
    const struct target *parent;
    const struct change *row;
    int64_t conflict;
};

static int take_back_reference(void *ctx, struct apply_context *w, struct target *t, struct change *c)
{
    const struct taken *taken = ctx;
    return take_back_one(w, t, taken->ref, c, taken->parent, taken->row, taken->conflict);
}

/* What this upload has made refer to the row goes back to what it was: the one here is another row. */
static int take_back(struct apply_context *w, struct target *t, const struct change *row, int64_t conflict)
{
    const struct rejected_rows *r = &w->merge->rejected;
    int rc = load_refs(w);
    for (size_t i = 0; rc == 0 && i < r->nref; i++)
        if (strcasecmp(r->ref[i].parent, t->table->name) == 0 && written(w, &r->ref[i]))
            rc = merge_upload_changes(w, r->ref[i].table, take_back_reference,
                                      &(struct taken){&r->ref[i], t, row, conflict});
    return rc;
}

/* ---- the merge ---- */

int rejected_rows_note(struct apply_context *w, struct target *t, const struct change *c)
{
    int64_t conflict;
    if (!from_node(w) || c->op != CHANGE_INSERT)
        return 0;
    if (db_get_int(w->db, &conflict, "SELECT last_insert_rowid()") || load(w))
        return -1;
    return note_row(w, t, c, conflict) || take_back(w, t, c, conflict) ? -1 : 0;
}

/* The change is of a row whose conflict is this one, or below it: 1, 0 when the row was taken after all, -1. */
static int wait_for(struct apply_context *w, struct target *t, const struct change *c,
                    const struct target *of, const struct change *row)
{
    int64_t conflict = 0;
    int state = conflict_of(w, of, row, &conflict), here;
    switch (state) {
    case REJECTED_WAITS:
        return set_aside(w, t, c, conflict) ? -1 : 1;
    case REJECTED_DROPPED:
        here = target_row(t, c, NULL);
        return here < 0 || conflict_dropped(w, t, c, here > 0) || merge_force(w, t, c, w->effect.origin) ? -1
                                                                                                         : 1;
    default:
        return state < 0 ? -1 : 0;
    }
}

int rejected_rows_wait(struct apply_context *w, struct target *t, const struct change *c)
{
    if (!from_node(w))
        return 0;
    struct rejected_rows *r = &w->merge->rejected;
    if (load(w))
        return -1;
    if (r->rows.n == 0)
        return 0;
    int waits = rowset_find(&r->rows, t, c) ? wait_for(w, t, c, t, c) : 0;
    for (size_t i = 0; waits == 0 && i < r->nref; i++) {
        struct arena arena = {0};
        struct target *parent;
        struct val *key;
        waits = parent_of(w, &r->ref[i], t, c, &parent, &arena, &key);
        if (waits > 0) {
            struct change row = {.table = parent->table, .op = CHANGE_DELETE, .origin = "", .old = key};
            waits = rowset_find(&r->rows, parent, &row) ? wait_for(w, t, c, parent, &row) : 0;
        }
        arena_free(&arena);
    }
    return waits;
}

int rejected_rows_known(struct apply_context *w, int64_t applied)
{
    int there = present(w->db);
    if (there <= 0)
        return there;
    return db_execf(w->db, "DELETE FROM dx_rejected WHERE node = %lld AND (archive <= %lld OR epoch <> %Q)",
                    (long long)w->merge->node.id, (long long)applied, w->merge->node.epoch);
}

/* ---- the quarantine ---- */

int rejected_rows_state(struct db *db, const struct quarantined *q)
{
    int there = present(db);
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, sql_state);
    enum step step = STEP_ERROR;
    if (s) {
        stmt_bind_int(s, 1, q->id);
        step = stmt_step(s);
    }
    int state = step == STEP_ERROR ? -1 : step == STEP_DONE ? REJECTED_NOT : (int)state_of(stmt_text(s, 0));
    stmt_free(s);
    return state;
}

int rejected_rows_due(struct db *db)
{
    int64_t n = 0;
    int there = present(db);
    if (there > 0 && db_get_int(db, &n,
                                "SELECT count(*) FROM dx_rejected_change WHERE conflict NOT IN"
                                " (SELECT id FROM dx_conflict WHERE resolved IS NULL)"))
        return -1;
    return there < 0 ? -1 : n > 0;
}

int rejected_rows_drop(struct db *db)
{
    int due = rejected_rows_due(db);
    return due <= 0 ? due : db_exec(db, sql_drop);
}

int rejected_rows_settle(struct db *db)
{
    int there = present(db);
    return there <= 0 ? there : db_exec(db, sql_settle);
}
