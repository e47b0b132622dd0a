/* decide: see compare/decide.h. */
#include "compare/decide.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/threeway.h"
#include "compare/version.h"

#include <stdlib.h>
#include <string.h>

static bool filtered(const struct spec *s)
{
    return *s->at[MINE].filter || *s->at[THEIRS].filter;
}

char *decide_wants(const struct specs *specs, int side, bool all)
{
    struct buf b = {0};
    buf_addf(&b, "outcome <> %d AND (version%d IS NOT NULL AND (%d OR op%d IN (%d, %d) OR outcome = %d)",
             OUTCOME_AGREED, side, all, !side, CHANGE_INSERT, CHANGE_UPDATE, OUTCOME_CONFLICT);
    for (size_t i = 0; i < specs->n; i++)
        if (filtered(&specs->spec[i]))
            buf_addf(&b, " OR object = %zu", i);
    buf_puts(&b, ")");
    return buf_take(&b);
}

static bool there(const struct item *i, int side)
{
    return i->version[side].type == VAL_BLOB;
}

/* ---- filters ---- */

/* A row that the filter alone hides is neither deleted nor absent. */
static void heed_hidden(const struct spec *s, struct item *i)
{
    bool changed = false;
    for (int side = 0; side < SIDES; side++) {
        if (i->row[side] == NULL || i->what[side] == WHAT_INSERTED || i->what[side] == WHAT_UPDATED)
            continue;
        if (i->what[side] == WHAT_DELETED)
            i->what[side] = WHAT_UPDATED;
        else if (i->base.type != VAL_BLOB)
            i->what[side] = WHAT_INSERTED;
        else
            continue;
        changed = true;
    }
    if (changed)
        threeway_plan(s, i);
}

/* ---- conflicts ---- */

/* Makes the item one whose row on that side is what it shall be on both. */
static void take_side(struct item *i, int side, enum take taken)
{
    i->op[!side] = !there(i, side) ? CHANGE_DELETE : there(i, !side) ? CHANGE_UPDATE : CHANGE_INSERT;
    i->op[side] = 0;
    i->outcome = OUTCOME_PLAN;
    i->taken = taken;
}

/* Makes it one whose row shall be `row` on both sides, which have it. */
static void take_row(const struct spec *s, struct item *i, const struct val *row, enum take taken)
{
    i->out = row;
    i->outcome = OUTCOME_PLAN;
    i->taken = taken;
    for (int side = 0; side < SIDES; side++)
        i->op[side] = rows_same(s, row, i->row[side]) ? 0 : CHANGE_UPDATE;
    if (i->op[MINE] == 0 && i->op[THEIRS] == 0)
        i->outcome = OUTCOME_AGREED;
}

/* Which side has the later change key, or neither: -1. */
static int later(const struct spec *s, const struct item *i)
{
    for (size_t k = 0; k < s->nchange; k++) {
        int order = val_compare(&i->row[MINE][s->change[k]], &i->row[THEIRS][s->change[k]]);
        if (order)
            return order > 0 ? MINE : THEIRS;
    }
    return -1;
}

/* Only the change key moved, on one side or on both: no conflict. */
static bool settle_touched(const struct spec *s, struct item *i)
{
    bool touched[SIDES] = {false, false};
    if (s->nchange == 0 || i->row[MINE] == NULL || i->row[THEIRS] == NULL)
        return false;
    if (rows_same_content(s, i->row[MINE], i->row[THEIRS])) {
        int newer = later(s, i);
        take_side(i, newer < 0 ? THEIRS : newer, TAKE_ASK);
        return true;
    }
    for (int side = 0; side < SIDES; side++) {
        struct buf content = {0};
        content_of(s, i->row[side], &content);
        const struct val v = {.type = VAL_BLOB, .p = content.p, .n = content.n};
        touched[side] = i->content.type == VAL_BLOB && val_same(&v, &i->content);
        buf_free(&content);
    }
    if (touched[MINE] == touched[THEIRS])
        return false;
    take_side(i, touched[MINE] ? THEIRS : MINE, TAKE_ASK);
    return true;
}

static bool in_change_key(const struct spec *s, size_t column)
{
    for (size_t k = 0; k < s->nchange; k++)
        if (s->change[k] == column)
            return true;
    return false;
}

/* fields = changed: each side's changes of other columns are put together. */
static bool settle_columns(const struct spec *s, struct item *i, struct arena *a)
{
    const struct val *known = version_is_content(s) ? &i->base : &i->content;
    if (!s->by_column || i->row[MINE] == NULL || i->row[THEIRS] == NULL)
        return false;
    uint8_t *mine = arena_alloc(a, s->row->ncol), *theirs = arena_alloc(a, s->row->ncol);
    struct val *row = arena_alloc(a, s->row->ncol * sizeof *row);
    if (!version_columns(s, i->row[MINE], known, mine) || !version_columns(s, i->row[THEIRS], known, theirs))
        return false;
    int newer = later(s, i);
    for (size_t k = 0; k < s->row->ncol; k++) {
        const struct val *m = &i->row[MINE][k], *t = &i->row[THEIRS][k];
        if (in_change_key(s, k)) {
            row[k] = newer == MINE ? *m : *t;
            continue;
        }
        if (mine[k] && theirs[k] && !val_same(m, t))
            return false;
        row[k] = mine[k] ? *m : *t;
    }
    take_row(s, i, row, TAKE_ASK);
    return true;
}

/* As someone has answered. 1, 0, -1. */
static int settle_answered(struct decide *d, const struct spec *s, struct item *i, struct arena *a)
{
    char *answer;
    int got = base_answer(d->base, d->specs, i, &answer);
    if (got <= 0)
        return got;
    if (i->row[MINE] == NULL || i->row[THEIRS] == NULL)
        take_side(i, answer[0] == 'm' ? MINE : THEIRS, answer[0] == 'm' ? TAKE_MINE : TAKE_THEIRS);
    else {
        struct val *row = arena_alloc(a, s->row->ncol * sizeof *row);
        for (size_t k = 0; k < s->row->ncol; k++)
            row[k] = i->row[answer[k] == 'm' ? MINE : THEIRS][k];
        take_row(s, i, row, TAKE_ASK);
    }
    free(answer);
    return 1;
}

static void settle_by(const struct spec *s, struct item *i, enum take take, size_t newest, bool forced)
{
    bool deleted = !there(i, MINE) || !there(i, THEIRS);
    if (deleted && !(forced && (take == TAKE_MINE || take == TAKE_THEIRS))) {
        int gone = there(i, MINE) ? THEIRS : MINE;
        if (s->deletes == DELETE_WINS)
            take_side(i, gone, TAKE_ASK);
        else if (s->deletes == DELETE_LOSES)
            take_side(i, !gone, TAKE_ASK);
        return;
    }
    if (take == TAKE_MINE || take == TAKE_THEIRS)
        take_side(i, take == TAKE_MINE ? MINE : THEIRS, take);
    else if (take == TAKE_NEWEST) {
        int order = val_compare(&i->row[MINE][newest], &i->row[THEIRS][newest]);
        if (order)
            take_side(i, order > 0 ? MINE : THEIRS, TAKE_NEWEST);
    }
}

static int settle_policy(struct decide *d, const struct spec *s, struct item *i)
{
    size_t newest = s->newest;
    enum take take = s->take;
    if (d->taking) {
        int column = d->take == TAKE_NEWEST ? table_column(s->row, d->newest) : 0;
        if (column < 0)
            return fail(ERR_REFUSED, "--take newest %s: object %s has no such column", d->newest, s->name);
        newest = (size_t)column;
        take = d->take;
    }
    settle_by(s, i, take, newest, d->taking);
    return 0;
}

static int settle(struct decide *d, const struct spec *s, struct item *i, struct arena *a)
{
    if (settle_touched(s, i) || settle_columns(s, i, a))
        return 0;
    int answered = settle_answered(d, s, i, a);
    return answered ? (answered < 0 ? -1 : 0) : settle_policy(d, s, i);
}

/* ---- what may not be written ---- */

static unsigned flag_of(enum change_op op)
{
    return op == CHANGE_INSERT ? SPEC_INSERT : op == CHANGE_UPDATE ? SPEC_UPDATE : SPEC_DELETE;
}

static void leave(struct item *i, const char *why)
{
    i->op[MINE] = i->op[THEIRS] = 0;
    i->outcome = OUTCOME_LEFT;
    i->reason[MINE] = why;
}

static void heed_limits(struct decide *d, const struct spec *s, struct item *i)
{
    if (i->outcome != OUTCOME_PLAN && i->outcome != OUTCOME_CONFLICT)
        return;
    int only = d->writable[MINE] && !d->writable[THEIRS]   ? MINE
               : d->writable[THEIRS] && !d->writable[MINE] ? THEIRS
                                                           : SIDES;
    if (only != SIDES && d->revert && (i->outcome == OUTCOME_CONFLICT || i->op[!only])) {
        i->out = NULL;
        i->fresh[MINE] = i->fresh[THEIRS] = false;
        take_side(i, !only, i->outcome == OUTCOME_CONFLICT ? TAKE_MINE : TAKE_ASK);
    }
    for (int side = 0; side < SIDES; side++)
        if (i->op[side] && !d->writable[side]) {
            leave(i, d->why[side]);
            return;
        }
    if (i->op[THEIRS] && !(s->write & flag_of(i->op[THEIRS])))
        leave(i, "mine may not do that in theirs (write =)");
}

static int decide_one(void *ctx, struct item *i)
{
    struct decide *d = ctx;
    const struct spec *s = &d->specs->spec[i->object];
    struct arena arena = {0};
    if (filtered(s))
        heed_hidden(s, i);
    int rc = i->outcome == OUTCOME_CONFLICT ? settle(d, s, i, &arena) : 0;
    if (rc == 0) {
        heed_limits(d, s, i);
        rc = work_put(d->work, i);
    }
    arena_free(&arena);
    return rc;
}

int decide_run(struct decide *d)
{
    return work_each(d->work, decide_one, d, "outcome IN (1, 2) ORDER BY id");
}
