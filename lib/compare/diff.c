/* diff: see compare/diff.h. */
#include "compare/diff.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/diffout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASE = SIDES, CURSORS };

/* Where one of the three stands in the object being compared. */
struct cursor {
    struct diff_side *side; /* NULL: it does not have the object */
    const struct val *row;  /* NULL: no more */
    bool here;              /* its row is the one being looked at */
};

struct comparison {
    struct cursor at[CURSORS];
    const struct table *keys;
    const struct diff_options *options;
    struct diff_out *plan[SIDES], *base;
    struct diff_counts counts;
    struct buf refused; /* what the guards said of all objects so far, and the approval they ask for */
    struct buf approval;
};

static int advance(struct cursor *c)
{
    if (c->side == NULL)
        return 0;
    int got = diff_side_next(c->side, &c->row);
    if (got <= 0)
        c->row = NULL;
    return got < 0 ? -1 : 0;
}

/* Marks the cursors that stand at the smallest key. False when there is no row any more. */
static bool mark_smallest(struct comparison *c)
{
    const struct val *smallest = NULL;
    for (int i = 0; i < CURSORS; i++) {
        struct cursor *at = &c->at[i];
        int order = at->row == NULL    ? 1
                    : smallest == NULL ? -1
                                       : vals_compare(at->row, smallest, c->keys->nkey);
        at->here = order <= 0;
        if (order < 0) {
            smallest = at->row;
            for (int before = 0; before < i; before++)
                c->at[before].here = false;
        }
    }
    return smallest != NULL;
}

static bool same_change_key(const struct comparison *c, const struct val *a, const struct val *b)
{
    for (size_t i = c->keys->nkey; i < c->keys->ncol; i++)
        if (!val_same(&a[i], &b[i]))
            return false;
    return true;
}

static enum diff_what what_happened(const struct comparison *c, int side)
{
    const struct cursor *at = &c->at[side], *base = &c->at[BASE];
    if (!base->here)
        return at->here ? DIFF_INSERTED : DIFF_SAME;
    if (!at->here)
        return DIFF_DELETED;
    return same_change_key(c, at->row, base->row) ? DIFF_SAME : DIFF_UPDATED;
}

static bool both_alike(const struct comparison *c)
{
    const struct cursor *mine = &c->at[MINE], *theirs = &c->at[THEIRS];
    return mine->here == theirs->here && (!mine->here || same_change_key(c, mine->row, theirs->row));
}

/* Notes what the side must do, as the other has the row now. */
static int plan_for(struct comparison *c, int side)
{
    const struct cursor *mine = &c->at[side], *other = &c->at[!side];
    enum change_op op = !other->here ? CHANGE_DELETE : !mine->here ? CHANGE_INSERT : CHANGE_UPDATE;
    int64_t *count = op == CHANGE_INSERT   ? c->counts.inserts
                     : op == CHANGE_UPDATE ? c->counts.updates
                                           : c->counts.deletes;
    count[side]++;
    return diff_out_add(c->plan[side], c->keys, op, mine->row, other->row);
}

static int decide(struct comparison *c)
{
    enum diff_what what[SIDES] = {what_happened(c, MINE), what_happened(c, THEIRS)};
    const struct val *agreed = c->at[BASE].here ? c->at[BASE].row : NULL;
    int rc = 0;
    if (both_alike(c)) {
        agreed = c->at[MINE].here ? c->at[MINE].row : NULL;
        c->counts.agreed += agreed != NULL;
    } else if (what[MINE] == DIFF_SAME)
        rc = plan_for(c, MINE);
    else if (what[THEIRS] == DIFF_SAME)
        rc = plan_for(c, THEIRS);
    else {
        c->counts.conflicts++;
        const struct cursor *known = &c->at[c->at[MINE].here ? MINE : THEIRS];
        c->options->conflict(c->options->ctx, c->keys, known->row, what);
    }
    if (rc == 0 && agreed)
        rc = diff_out_add(c->base, c->keys, CHANGE_INSERT, NULL, agreed);
    return rc;
}

static int merge(struct comparison *c)
{
    int64_t *count[CURSORS] = {&c->counts.rows[MINE], &c->counts.rows[THEIRS], &c->counts.base};
    for (int i = 0; i < CURSORS; i++)
        if (advance(&c->at[i]))
            return -1;
    while (mark_smallest(c)) {
        if (decide(c))
            return -1;
        for (int i = 0; i < CURSORS; i++) {
            *count[i] += c->at[i].here;
            if (c->at[i].here && advance(&c->at[i]))
                return -1;
        }
    }
    return 0;
}

/* ---- guards ---- */

/* Whether the list "OBJECT:N,..." holds exactly these deletes. */
static bool approved(const char *list, const char *table, int64_t deletes)
{
    char *wanted = mem_printf("%s:%lld", table, (long long)deletes);
    size_t n = strlen(wanted);
    bool found = false;
    while (list && *list && !found) {
        found = strncmp(list, wanted, n) == 0 && (list[n] == ',' || list[n] == 0);
        list += strcspn(list, ",");
        list += *list == ',';
    }
    free(wanted);
    return found;
}

static bool too_many(const struct diff_options *o, int64_t deletes, int64_t base)
{
    if (o->max_deletes >= 0 && deletes > o->max_deletes)
        return true;
    return o->max_percent < 100 && deletes > o->free_deletes &&
           (double)deletes * 100 > (double)base * o->max_percent;
}

static void guard(struct comparison *c, int side)
{
    static const char *const names[SIDES] = {"mine", "theirs"};
    struct diff_counts *n = &c->counts;
    int64_t deletes = n->deletes[side];
    if (deletes == 0 || approved(c->options->approve, n->table, deletes))
        return;
    if (n->rows[!side] == 0)
        n->guard[side] = GUARD_EMPTIED;
    else if (too_many(c->options, deletes, n->base))
        n->guard[side] = GUARD_DELETES;
    else
        return;
    buf_addf(&c->refused, "%s%s: %s %lld of %lld rows would be deleted in %s", c->refused.n ? "; " : "",
             n->table, n->guard[side] == GUARD_EMPTIED ? "all rows are gone on the other side," : "",
             (long long)deletes, (long long)n->base, names[side]);
    buf_addf(&c->approval, "%s%s:%lld", c->approval.n ? "," : "", n->table, (long long)deletes);
}

static int guards_said(struct comparison *c)
{
    if (c->refused.n == 0)
        return 0;
    return fail(ERR_GUARD, "%s; nothing was planned. If that is what is wanted: --approve %s",
                buf_text(&c->refused), buf_text(&c->approval));
}

/* ---- objects ---- */

static int compare_object(struct comparison *c, struct diff_side *const all[CURSORS],
                          const struct table *keys)
{
    const struct table *base = diff_side_find(all[BASE], keys->name);
    c->keys = keys;
    c->counts = (struct diff_counts){.table = keys->name, .initial = base == NULL || !table_same(base, keys)};
    for (int i = 0; i < CURSORS; i++) {
        c->at[i] = (struct cursor){.side = i == BASE && c->counts.initial ? NULL : all[i]};
        if (c->at[i].side && diff_side_begin(all[i], keys->name))
            return -1;
    }
    if (merge(c))
        return -1;
    guard(c, MINE);
    guard(c, THEIRS);
    c->options->counted(c->options->ctx, &c->counts);
    return 0;
}

/* What the base knows of an object that is not compared now stays as it is. */
static int carry_over(struct comparison *c, struct diff_side *base, const struct table *keys)
{
    const struct val *row;
    int got = diff_side_begin(base, keys->name) ? -1 : 1;
    while (got > 0 && (got = diff_side_next(base, &row)) > 0)
        if (diff_out_add(c->base, keys, CHANGE_INSERT, NULL, row))
            got = -1;
    return got;
}

static int check_alike(struct diff_side *const side[SIDES], const struct table *mine,
                       const struct table *theirs)
{
    if (table_same(mine, theirs))
        return 0;
    return fail(
        ERR_REFUSED,
        "table %s has not the same key, or not the same columns, in %s and %s; give both the same, or name "
        "the columns to compare in a configuration (columns =, change_key =)",
        mine->name, diff_side_name(side[MINE]), diff_side_name(side[THEIRS]));
}

/* The tables of all three by name; the caller frees the array. */
static const struct table **all_tables(struct diff_side *const all[CURSORS], size_t *n)
{
    const struct table **out = NULL;
    *n = 0;
    for (int i = 0; i < CURSORS; i++)
        for (size_t k = 0; all[i] && k < diff_side_tables(all[i]); k++) {
            const struct table *t = diff_side_table(all[i], k);
            size_t place = 0;
            while (place < *n && strcmp(out[place]->name, t->name) < 0)
                place++;
            if (place < *n && strcmp(out[place]->name, t->name) == 0)
                continue;
            out = mem_grow(out, *n + 1, sizeof *out);
            memmove(&out[place + 1], &out[place], (*n - place) * sizeof *out);
            out[place] = t;
            ++*n;
        }
    return out;
}

/* Tells of the tables that only one side has and the base does not know, and takes them out of the list. */
static void drop_lone(struct comparison *c, struct diff_side *const all[CURSORS], const struct table **table,
                      size_t *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        const char *name = table[i]->name;
        const bool has[SIDES] = {diff_side_find(all[MINE], name), diff_side_find(all[THEIRS], name)};
        if (has[MINE] != has[THEIRS] && !diff_side_find(all[BASE], name))
            c->options->only(c->options->ctx, has[MINE] ? MINE : THEIRS, name);
        else
            table[kept++] = table[i];
    }
    *n = kept;
}

static int compare_table(struct comparison *c, struct diff_side *const all[CURSORS], const struct table *keys)
{
    const struct table *mine = diff_side_find(all[MINE], keys->name);
    const struct table *theirs = diff_side_find(all[THEIRS], keys->name);
    if (mine && theirs)
        return check_alike(all, mine, theirs) ? -1 : compare_object(c, all, mine);
    if (mine == theirs)
        return carry_over(c, all[BASE], keys);
    return fail(
        ERR_REFUSED,
        "table %s, known to the base, is gone from %s; bring it back, or leave it out with a configuration",
        keys->name, diff_side_name(all[mine ? THEIRS : MINE]));
}

/* Opens what is written: the base is of all tables, plans only of those that both sides have. */
static int begin_out(struct comparison *c, struct diff_side *const all[CURSORS],
                     const struct table *const *table, size_t n)
{
    const struct table **both = mem_zero(n, sizeof *both);
    size_t nboth = 0;
    for (size_t i = 0; i < n; i++)
        if (diff_side_find(all[MINE], table[i]->name))
            both[nboth++] = table[i];
    int rc = diff_out_begin(c->plan[MINE], both, nboth) || diff_out_begin(c->plan[THEIRS], both, nboth) ||
             diff_out_begin(c->base, table, n);
    free(both);
    return rc ? -1 : 0;
}

static int compare_all(struct comparison *c, struct diff_side *const all[CURSORS])
{
    size_t n;
    const struct table **table = all_tables(all, &n);
    drop_lone(c, all, table, &n);
    int rc = begin_out(c, all, table, n);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = compare_table(c, all, table[i]);
    for (int i = 0; i < CURSORS && rc == 0; i++)
        rc = all[i] ? diff_side_finish(all[i]) : 0;
    free(table);
    return rc ? -1 : guards_said(c);
}

int diff_compare(struct diff_side *const side[SIDES], struct diff_side *base,
                 const struct diff_options *options)
{
    struct diff_side *const all[CURSORS] = {side[MINE], side[THEIRS], base};
    struct comparison c = {.options = options};
    for (int i = 0; i < SIDES; i++)
        c.plan[i] = diff_out_new(options->plan[i], false);
    c.base = diff_out_new(options->new_base, true);
    int rc = compare_all(&c, all);
    struct diff_out *out[] = {c.plan[MINE], c.plan[THEIRS], c.base};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        if (diff_out_close(out[i], rc == 0))
            rc = -1;
    buf_free(&c.refused);
    buf_free(&c.approval);
    return rc;
}
