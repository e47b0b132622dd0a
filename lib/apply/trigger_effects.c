/* trigger_effects: see apply/trigger_effects.h. */
#include "apply/trigger_effects.h"

#include "apply/change_log.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/arena.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A row that a trigger wrote, in the columns as SQLite stores them. */
struct written {
    int op;
    char *table;
    size_t n;
    struct val *old, *new; /* NULL: none */
};

/* A table that triggers write to. */
struct written_table {
    char *name;
    struct target *target; /* NULL: it is not captured */
    size_t *stored;        /* per column of the target: its place in a row as stored */
};

struct trigger_effects {
    struct targets *targets;
    struct change_log *log;
    size_t n, ntable;
    struct written *row;
    struct written_table *table;
    bool noting;
};

static void on_row(void *ctx, int op, const char *table, const struct val *old, const struct val *new,
                   size_t n)
{
    struct trigger_effects *e = ctx;
    if (op == 0) {
        trigger_effects_forget(e);
        return;
    }
    if (strncasecmp(table, "dx_", 3) == 0 || strncasecmp(table, "sqlite_", 7) == 0)
        return;
    e->row = mem_grow(e->row, e->n + 1, sizeof *e->row);
    e->row[e->n++] = (struct written){op, mem_text(table), n, old ? vals_copy(old, n) : NULL,
                                      new ? vals_copy(new, n) : NULL};
}

struct trigger_effects *trigger_effects_begin(struct targets *ts, struct change_log *log)
{
    struct trigger_effects *e = mem_zero(1, sizeof *e);
    *e = (struct trigger_effects){.targets = ts, .log = log};
    db_watch_triggers(ts->db, on_row, e);
    return e;
}

void trigger_effects_forget(struct trigger_effects *e)
{
    for (size_t i = 0; e && i < e->n; i++) {
        free(e->row[i].table);
        free(e->row[i].old);
        free(e->row[i].new);
    }
    if (e)
        e->n = 0;
}

void trigger_effects_end(struct trigger_effects *e)
{
    if (e == NULL)
        return;
    db_watch_triggers(e->targets->db, NULL, NULL);
    trigger_effects_forget(e);
    for (size_t i = 0; i < e->ntable; i++) {
        free(e->table[i].name);
        free(e->table[i].stored);
    }
    free(e->table);
    free(e->row);
    free(e);
}

/* ---- tables ---- */

/* Where the target's columns are in a stored row: virtual generated columns (hidden = 2) are not in it. */
static int find_stored(struct db *db, struct written_table *t)
{
    struct stmt *s = db_preparef(
        db, "SELECT name, row_number() OVER (ORDER BY cid) - 1 FROM pragma_table_xinfo(%Q) WHERE hidden <> 2",
        t->name);
    enum step step = STEP_ERROR;
    t->stored = mem_zero(t->target->table->ncol, sizeof *t->stored);
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        int column = table_column(t->target->table, stmt_text(s, 0));
        if (column >= 0)
            t->stored[column] = (size_t)stmt_int(s, 1);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static struct written_table *table_of(struct trigger_effects *e, const char *name)
{
    int64_t captured;
    for (size_t i = 0; i < e->ntable; i++)
        if (strcasecmp(e->table[i].name, name) == 0)
            return &e->table[i];
    if (db_get_int(e->targets->db, &captured,
                   "SELECT count(*) FROM dx_table WHERE current AND name = %Q COLLATE NOCASE", name))
        return NULL;
    struct target *target = captured ? targets_named(e->targets, name) : NULL;
    if (captured && target == NULL)
        return NULL;
    e->table = mem_grow(e->table, e->ntable + 1, sizeof *e->table);
    struct written_table *t = &e->table[e->ntable++];
    *t = (struct written_table){.name = mem_text(name), .target = target};
    return target && find_stored(e->targets->db, t) ? NULL : t;
}

/* ---- noting ---- */

/* A column of type REAL that holds a whole number may be stored as an integer. */
static struct val value_of(const struct written_table *t, const struct val *row, size_t i)
{
    struct val v = row[t->stored[i]];
    if (v.type == VAL_INT && t->target->layout->column[i].affinity == AFFINITY_REAL)
        v = (struct val){.type = VAL_REAL, .r = (double)v.i};
    return v;
}

static int note_one(struct trigger_effects *e, struct target *t, enum change_op op, struct val *old,
                    struct val *new)
{
    struct change c = {.table = t->table, .op = op, .origin = "", .old = old, .new = new};
    return change_log_note(e->log, t, &c);
}

/* An update as a log tells it: the key and the old values of what changed; a new key as a delete and an insert. */
static int note_update(struct trigger_effects *e, struct target *t, struct val *old, struct val *new)
{
    struct val *none = mem_zero(t->table->ncol, sizeof *none);
    bool key = false, any = false;
    int rc = 0;
    for (size_t i = 0; i < t->table->ncol; i++) {
        bool changed = !val_same(&old[i], &new[i]);
        key |= changed && t->table->pk[i];
        any |= changed;
    }
    if (key)
        rc = note_one(e, t, CHANGE_DELETE, old, none) || note_one(e, t, CHANGE_INSERT, none, new) ? -1 : 0;
    else if (any) {
        for (size_t i = 0; i < t->table->ncol; i++) {
            bool same = val_same(&old[i], &new[i]);
            new[i].type = same ? VAL_NONE : new[i].type;
            old[i].type = same && !t->table->pk[i] ? VAL_NONE : old[i].type;
        }
        rc = note_one(e, t, CHANGE_UPDATE, old, new);
    }
    free(none);
    return rc;
}

static int note_row(struct trigger_effects *e, const struct written *r)
{
    struct written_table *wt = table_of(e, r->table);
    struct target *t = wt ? wt->target : NULL;
    if (t == NULL)
        return wt ? 0 : -1;
    size_t n = t->table->ncol;
    struct val *old = mem_zero(n, sizeof *old), *new = mem_zero(n, sizeof *new);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (wt->stored[i] >= r->n)
            rc = fail(ERR_REFUSED,
                      "table %s: what a trigger wrote to column %s cannot be read; say `triggers = copy` for "
                      "the object whose trigger it is",
                      r->table, t->table->col[i]);
        else if (r->old)
            old[i] = value_of(wt, r->old, i);
        if (rc == 0 && r->new)
            new[i] = value_of(wt, r->new, i);
    }
    if (rc == 0)
        rc = r->op == DB_ACTION_INSERT   ? note_one(e, t, CHANGE_INSERT, old, new)
             : r->op == DB_ACTION_DELETE ? note_one(e, t, CHANGE_DELETE, old, new)
                                         : note_update(e, t, old, new);
    free(old);
    free(new);
    return rc;
}

int trigger_effects_note(struct trigger_effects *e)
{
    const char *origin = e->log->origin;
    int rc = 0;
    if (e->noting || e->n == 0)
        return 0;
    e->noting = true;
    e->log->origin = NULL;
    for (size_t i = 0; rc == 0 && i < e->n; i++)
        rc = note_row(e, &e->row[i]);
    e->log->origin = origin;
    e->noting = false;
    trigger_effects_forget(e);
    return rc;
}
