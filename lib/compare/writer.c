/* writer: see compare/writer.h. */
#include "compare/writer.h"

#include "apply/app_triggers.h"
#include "apply/change_log.h"
#include "apply/fk_children.h"
#include "apply/fk_parents.h"
#include "apply/userkey.h"
#include "base/err.h"
#include "base/mem.h"
#include "compare/pack.h"
#include "compare/version.h"
#include "journal/meta.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is known of an object while it is written. */
struct writing {
    struct local_object *at;
    struct fk_parents *parents;
    struct fk_children *children;
    struct userkey *user;  /* NULL: none, or duplicates are kept */
    size_t depth;          /* parents have less */
    bool checked;          /* triggers of the application look at its updates */
    char *closed;          /* why no row of it can be written; NULL: they can */
    struct val *old, *new; /* a change in the target's columns */
};

struct writer {
    struct local_side *l;
    struct work *work;
    const struct side_write *how;
    struct side_written *out;
    struct change_log log;
    struct writing *object;
    struct arena arena; /* of the item at hand */
    char reason[512];
    struct app_triggers triggers;
    struct val given;
    size_t deepest;
    bool taken; /* what the newest attempt waits for is a value that another row has */
    size_t ntaken;
    int64_t *waits_taken; /* ids of the items that wait for one */
    bool marking;         /* the database is in other pairs, too */
};

/* What became of an attempt. */
enum tried { TRIED_ERROR = -1, TRIED_DONE, TRIED_LINKED, TRIED_WAITS, TRIED_LEFT };

static enum tried say(struct writer *w, enum tried tried, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static enum tried say(struct writer *w, enum tried tried, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->reason, sizeof w->reason, fmt, ap);
    va_end(ap);
    return tried;
}

/* ---- before ---- */

/* The user keys in the table's own names; alternatives with a fixed column tell nothing. */
static char *user_keys(const struct local_object *o)
{
    struct buf b = {0};
    const struct spec *s = o->spec;
    for (size_t i = 0; i < s->nuser && !s->keep_duplicates; i++) {
        bool whole = true;
        for (size_t k = 0; k < s->user[i].n; k++)
            whole &= o->column[s->user[i].column[k]] >= 0;
        for (size_t k = 0; whole && k < s->user[i].n; k++)
            buf_addf(&b, "%s%s", k ? ", " : b.n ? " | " : "", o->at->column[s->user[i].column[k]]);
    }
    return buf_take(&b);
}

static int open_object(struct writer *w, size_t i)
{
    struct writing *o = &w->object[i];
    o->at = &w->l->object[i];
    struct target *t = o->at->target;
    char *user = user_keys(o->at);
    o->old = mem_zero(t->table->ncol, sizeof *o->old);
    o->new = mem_zero(t->table->ncol, sizeof *o->new);
    int64_t checks = 0;
    if (db_get_int(w->l->db, &checks,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = %Q"
                   " COLLATE NOCASE AND sql LIKE '%%raise%%'",
                   t->table->name)) {
        free(user);
        return -1;
    }
    o->checked = checks > 0;
    int rc =
        (o->parents = fk_parents_open(t)) && (o->children = fk_children_open(&w->l->targets, t)) ? 0 : -1;
    if (rc == 0 && *user && (o->user = userkey_open(t, user)) == NULL)
        rc = -1;
    free(user);
    return rc;
}

/* How deep each object stands under what it refers to; circles end somewhere. */
static void find_depths(struct writer *w)
{
    const struct specs *specs = w->l->specs;
    bool moved = true;
    for (size_t round = 0; moved && round < specs->n; round++) {
        moved = false;
        for (size_t i = 0; i < specs->n; i++)
            for (size_t k = 0; k < specs->spec[i].nref; k++) {
                size_t parent = specs->spec[i].ref[k].parent, depth = w->object[parent].depth + 1;
                if (parent != i && w->object[i].depth < depth && depth < specs->n) {
                    w->object[i].depth = depth;
                    moved = true;
                }
            }
    }
    for (size_t i = 0; i < specs->n; i++)
        if (w->object[i].depth > w->deepest)
            w->deepest = w->object[i].depth;
}

/* Only the triggers fire that may; tables that cannot be written to are left out. */
static int begin_triggers(struct writer *w)
{
    size_t n = w->l->specs->n, open = 0;
    struct table **table = mem_zero(n, sizeof *table);
    w->object = mem_zero(n, sizeof *w->object);
    for (size_t i = 0; i < n; i++) {
        struct target *t = w->l->object[i].target;
        if (target_writable(t))
            w->object[i].closed = mem_printf("the table cannot be written to: %s", err_message());
        else
            table[open++] = (struct table *)t->table;
    }
    int rc = app_triggers_begin_checking(&w->triggers, w->l->db, table, open);
    free(table);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const char *trigger = app_triggers_tangled(&w->triggers, w->l->object[i].target->table->name);
        if (trigger && w->object[i].closed == NULL)
            w->object[i].closed =
                mem_printf("trigger %s refuses rows in a statement that also writes to a compared table; "
                           "give it a SELECT raise(...) of its own",
                           trigger);
    }
    return rc;
}

static int open_objects(struct writer *w)
{
    for (size_t i = 0; i < w->l->specs->n; i++)
        if (w->object[i].closed == NULL && open_object(w, i))
            return -1;
    find_depths(w);
    return 0;
}

static int end_children(struct writer *w)
{
    for (size_t i = 0; w->object && i < w->l->specs->n; i++)
        if (fk_children_end(w->object[i].children))
            return -1;
    return 0;
}

static void close_objects(struct writer *w)
{
    for (size_t i = 0; w->object && i < w->l->specs->n; i++) {
        fk_parents_free(w->object[i].parents);
        fk_children_free(w->object[i].children);
        userkey_free(w->object[i].user);
        free(w->object[i].old);
        free(w->object[i].new);
        free(w->object[i].closed);
    }
    free(w->object);
}

/* ---- one row ---- */

static const struct val *wanted(const struct writer *w, const struct item *i)
{
    return i->out ? i->out : i->row[!w->l->side.which];
}

/* The change that would make the target's row what is wanted; c->old has the key. now: the row is there (in
 * target->now), and only what differs is kept. Whether anything does. */
static int make_change(struct writer *w, struct writing *o, const struct item *i, struct change *c, bool now)
{
    const struct spec *s = o->at->spec;
    const struct target *t = o->at->target;
    const struct val *row = wanted(w, i);
    int any = 0;
    memset(o->old, 0, t->table->ncol * sizeof *o->old);
    memset(o->new, 0, t->table->ncol * sizeof *o->new);
    *c = (struct change){.table = t->table,
                         .op = now ? CHANGE_UPDATE : CHANGE_INSERT,
                         .origin = "",
                         .old = o->old,
                         .new = o->new};
    struct val *key = arena_alloc(&w->arena, s->row->nkey * sizeof *key);
    int can = local_key(w->l, i->object, i->key, key, &w->arena);
    if (can <= 0 && !(can == 0 && i->fresh[w->l->side.which]))
        return can < 0 ? -1 : 2;
    for (size_t k = 0; k < s->row->ncol; k++) {
        int at = o->at->column[k];
        if (at < 0 || s->row->pk[k])
            continue;
        o->new[at] = row[k];
    }
    for (size_t k = 0; k < s->nref; k++) {
        int at = o->at->column[s->ref[k].column];
        if (at >= 0 && !s->row->pk[s->ref[k].column] &&
            local_reference(w->l, s->ref[k].parent, &row[s->ref[k].column], &o->new[at], &w->arena))
            return -1;
    }
    for (size_t k = 0; k < s->row->nkey; k++)
        (now ? o->old : o->new)[o->at->column[s->row->key[k]]] = key[k];
    for (size_t k = 0; now && k < t->table->ncol; k++) {
        if (t->table->pk[k] || o->new[k].type == VAL_NONE)
            continue;
        if (val_same(&o->new[k], &t->now[k]))
            o->new[k].type = VAL_NONE;
        else {
            o->old[k] = arena_val(&w->arena, &t->now[k]);
            any = 1;
        }
    }
    return now ? any : 1;
}

/* Whether the row read last is what is wanted. */
static bool as_wanted(const struct writer *w, const struct writing *o, const struct item *i)
{
    const struct val *row = wanted(w, i);
    const struct spec *s = o->at->spec;
    bool fresh = i->fresh[w->l->side.which];
    for (size_t k = 0; k < s->row->ncol; k++)
        if (o->at->column[k] >= 0 && !(fresh && s->row->pk[k]) && !val_same(&row[k], &o->at->row[k]))
            return false;
    return true;
}

/* A column that the side has fixed, and the row otherwise: it can never be there. */
static bool fits_fixed(const struct writer *w, const struct writing *o, const struct item *i)
{
    const struct val *row = wanted(w, i);
    for (size_t k = 0; k < o->at->spec->row->ncol; k++)
        if (o->at->column[k] < 0 && !val_same(&row[k], &o->at->fixed[k]))
            return false;
    return true;
}

static bool version_stands(struct writer *w, const struct writing *o, const struct item *i)
{
    struct buf now = {0};
    version_of(o->at->spec, o->at->row, &now);
    const struct val v = {.type = VAL_BLOB, .p = now.p, .n = now.n};
    bool same = val_same(&v, &i->version[w->l->side.which]);
    buf_free(&now);
    return same;
}

/* Whether a parent of the row that comes in this batch is not there yet. Declared keys are checked by the table itself. */
static int parent_waits(struct writer *w, const struct item *i)
{
    const struct spec *s = &w->l->specs->spec[i->object];
    int which = w->l->side.which;
    for (size_t k = 0; k < s->nref; k++) {
        const struct val *v = &wanted(w, i)[s->ref[k].column];
        struct item parent;
        if (v->type == VAL_NULL || v->type == VAL_NONE)
            continue;
        int found = work_find(w->work, s->ref[k].parent, v, &parent);
        if (found < 0)
            return -1;
        if (found && parent.op[which] == CHANGE_INSERT && parent.id != i->id &&
            (parent.state[which] == STATE_TODO || parent.state[which] == STATE_LEFT ||
             parent.given[which].type != VAL_NULL)) {
            say(w, TRIED_WAITS, "it refers to %s %s, which is not there yet",
                w->l->specs->spec[s->ref[k].parent].name, val_show(v));
            return 1;
        }
    }
    return 0;
}

static enum tried check_parents(struct writer *w, struct writing *o, const struct item *i,
                                const struct change *c)
{
    int waits = parent_waits(w, i);
    if (waits)
        return waits < 0 ? TRIED_ERROR : TRIED_WAITS;
    int there = fk_parents_there(o->parents, o->at->target, c);
    if (there == 0)
        return say(w, TRIED_WAITS, "%s", fk_parents_missing(o->parents));
    return there < 0 ? TRIED_ERROR : TRIED_DONE;
}

/* Another row has a user key of this one: the same row if its content is, under another key. */
static enum tried check_user(struct writer *w, struct writing *o, const struct item *i,
                             const struct change *c)
{
    const struct spec *s = o->at->spec;
    struct target *t = o->at->target;
    struct change ask = *c;
    if (o->user == NULL)
        return TRIED_DONE;
    if (c->op == CHANGE_UPDATE) { /* as an insert of the row as it will be */
        ask.op = CHANGE_INSERT;
        ask.new = arena_alloc(&w->arena, t->table->ncol * sizeof *ask.new);
        for (size_t k = 0; k < t->table->ncol; k++)
            ask.new[k] = t->table->pk[k]              ? c->old[k]
                         : c->new[k].type != VAL_NONE ? c->new[k]
                                                      : arena_val(&w->arena, &t->now[k]);
    } else if (i->fresh[w->l->side.which]) {
        ask.new = mem_copy(c->new, t->table->ncol * sizeof *c->new);
        struct val *copy = arena_copy(&w->arena, ask.new, t->table->ncol * sizeof *c->new);
        free(ask.new);
        ask.new = copy;
        for (size_t k = 0; k < t->table->nkey; k++)
            ask.new[t->table->key[k]] = (struct val){.type = VAL_NULL};
    }
    int taken = userkey_taken(o->user, &ask);
    if (taken <= 0)
        return taken < 0 ? TRIED_ERROR : TRIED_DONE;
    w->taken = true;
    say(w, TRIED_WAITS, "another row has its user key, key %s",
        vals_show(&userkey_row(o->user)[t->table->key[0]], 1));
    if (c->op != CHANGE_INSERT || s->row->nkey != 1)
        return TRIED_WAITS;
    struct change other = {
        .table = t->table, .op = CHANGE_UPDATE, .origin = "", .old = (struct val *)userkey_row(o->user)};
    int got = target_row(t, &other, NULL);
    if (got < 0 || (got && local_canonical(w->l, o->at)))
        return TRIED_ERROR;
    if (got && rows_same_content(s, o->at->row, wanted(w, i))) {
        w->given = arena_val(&w->arena, &o->at->row[s->row->key[0]]);
        return TRIED_LINKED;
    }
    return TRIED_WAITS;
}

/* What was written is there as it should be; else it is taken back. */
static enum tried check_stored(struct writer *w, struct writing *o, const struct item *i,
                               const struct change *c)
{
    struct target *t = o->at->target;
    int got = target_row(t, c, NULL);
    if (got < 0 || (got && local_canonical(w->l, o->at)))
        return TRIED_ERROR;
    if (got && as_wanted(w, o, i))
        return TRIED_DONE;
    struct val *old = arena_alloc(&w->arena, t->table->ncol * sizeof *old);
    for (size_t k = 0; k < t->table->ncol; k++)
        old[k] = t->table->pk[k] ? (c->op == CHANGE_INSERT ? c->new : c->old)[k] : c->old[k];
    struct change back = {.table = t->table,
                          .op = c->op == CHANGE_INSERT ? CHANGE_DELETE : CHANGE_UPDATE,
                          .origin = "",
                          .old = old,
                          .new = c->old};
    if (back.op == CHANGE_UPDATE) {
        back.new = arena_copy(&w->arena, c->old, t->table->ncol * sizeof *old);
        for (size_t k = 0; k < t->table->nkey; k++)
            back.new[t->table->key[k]].type = VAL_NONE;
    }
    enum done done =
        back.op == CHANGE_DELETE ? target_delete(t, &back, false) : target_update(t, &back, false);
    if (done != DONE)
        return done == DONE_ERROR
                   ? TRIED_ERROR
                   : (fail(ERR_REFUSED, "%s: a row could not be taken back", w->l->side.name), TRIED_ERROR);
    return say(w, TRIED_LEFT, "the table stores one of its values as another type or value");
}

static enum tried written(struct writer *w, struct writing *o, const struct item *i, struct change *c,
                          enum done done, bool note)
{
    struct target *t = o->at->target;
    if (done == DONE_ERROR)
        return TRIED_ERROR;
    if (done == DONE_EXISTS)
        return say(w, TRIED_WAITS, "another row has its key: %s", target_reason(t));
    w->taken = done == DONE_BLOCKED && target_taken(t);
    if (done != DONE)
        return say(w, TRIED_WAITS, "%s",
                   done == DONE_NOTHING ? "the row is not there any more" : target_reason(t));
    if (c->op != CHANGE_DELETE) {
        enum tried stored = check_stored(w, o, i, c);
        if (stored != TRIED_DONE)
            return stored;
    }
    return note && change_log_note(&w->log, t, c) ? TRIED_ERROR : TRIED_DONE;
}

static enum tried do_insert(struct writer *w, struct writing *o, const struct item *i, struct change *c,
                            bool note)
{
    struct target *t = o->at->target;
    bool fresh = i->fresh[w->l->side.which];
    const size_t *key = t->table->key;
    if (fresh)
        for (size_t k = 0; k < t->table->nkey; k++)
            c->new[key[k]].type = VAL_NONE;
    enum done done = target_insert(t, c, NULL);
    if (done == DONE && fresh) {
        c->new[key[0]] = w->given = val_int(db_last_rowid(w->l->db));
        if (pair_record_give(w->l->db, w->how->pair, w->how->run, o->at->at->table, &i->key[0], &w->given))
            return TRIED_ERROR;
    }
    return written(w, o, i, c, done, note);
}

/* unchecked: what it refers to is looked at later. */
static enum tried try_insert(struct writer *w, struct item *i, bool unchecked, bool note)
{
    struct writing *o = &w->object[i->object];
    struct change c;
    int which = w->l->side.which;
    if (o->at->spec->rekey && !i->fresh[which]) {
        struct val key;
        int can = local_key(w->l, i->object, i->key, &key, &w->arena);
        if (can < 0)
            return TRIED_ERROR;
        i->fresh[which] = !can;
    }
    int there = i->fresh[which] ? 0 : local_row(w->l, i->object, i->key);
    if (there < 0)
        return TRIED_ERROR;
    if (!fits_fixed(w, o, i))
        return say(w, TRIED_LEFT, "one of its values is not the one that this side has for all rows");
    if (there)
        return as_wanted(w, o, i)
                   ? TRIED_DONE
                   : say(w, TRIED_WAITS, "a row with its key was inserted since the comparison");
    int can = make_change(w, o, i, &c, false);
    if (can < 0)
        return TRIED_ERROR;
    if (can == 2)
        return say(w, TRIED_LEFT, "its key is here that of another row");
    enum tried ok = check_user(w, o, i, &c);
    if (ok == TRIED_DONE && !unchecked)
        ok = check_parents(w, o, i, &c);
    return ok == TRIED_DONE ? do_insert(w, o, i, &c, note) : ok;
}

static enum tried try_update(struct writer *w, struct item *i, bool unchecked, bool note)
{
    struct writing *o = &w->object[i->object];
    struct change c;
    int there = local_row(w->l, i->object, i->key);
    if (there < 0)
        return TRIED_ERROR;
    if (there == 0)
        return say(w, TRIED_LEFT, "it was deleted since the comparison");
    if (as_wanted(w, o, i))
        return TRIED_DONE;
    if (!version_stands(w, o, i))
        return say(w, TRIED_LEFT, "it was changed since the comparison");
    if (!fits_fixed(w, o, i))
        return say(w, TRIED_LEFT, "one of its values is not the one that this side has for all rows");
    int any = make_change(w, o, i, &c, true);
    if (any < 0)
        return TRIED_ERROR;
    if (any == 0)
        return TRIED_DONE;
    enum tried ok = check_user(w, o, i, &c);
    if (ok == TRIED_DONE && !unchecked)
        ok = check_parents(w, o, i, &c);
    return ok == TRIED_DONE ? written(w, o, i, &c, target_update(o->at->target, &c, false), note) : ok;
}

/* The whole row of the target as the delete of it. */
static struct change whole_delete(struct writer *w, const struct writing *o)
{
    const struct target *t = o->at->target;
    struct val *row = arena_alloc(&w->arena, t->table->ncol * sizeof *row);
    for (size_t k = 0; k < t->table->ncol; k++)
        row[k] = arena_val(&w->arena, &t->now[k]);
    memset(o->new, 0, t->table->ncol * sizeof *o->new);
    return (struct change){.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row, .new = o->new};
}

static enum tried check_children(struct writer *w, struct writing *o, const struct val *row)
{
    struct child *child;
    size_t n;
    if (fk_children_none(o->children))
        return TRIED_DONE;
    if (fk_children_load(o->children, row, &w->arena, &child, &n))
        return TRIED_ERROR;
    return n == 0 ? TRIED_DONE
                  : say(w, TRIED_WAITS, "a row of %s refers to it", child[0].target->table->name);
}

static enum tried try_delete(struct writer *w, struct item *i, bool unchecked, bool note)
{
    struct writing *o = &w->object[i->object];
    int there = local_row(w->l, i->object, i->key);
    if (there <= 0)
        return there < 0 ? TRIED_ERROR : TRIED_DONE;
    if (!version_stands(w, o, i))
        return say(w, TRIED_LEFT, "it was changed since the comparison");
    struct change c = whole_delete(w, o);
    enum tried ok = unchecked ? TRIED_DONE : check_children(w, o, c.old);
    if (ok != TRIED_DONE)
        return ok;
    fk_parents_forget(o->parents, o->at->target->table->name);
    return written(w, o, i, &c, target_delete(o->at->target, &c, false), note);
}

static enum tried attempt(struct writer *w, struct item *i, bool unchecked, bool note)
{
    arena_clear(&w->arena);
    w->given = (struct val){.type = VAL_NULL};
    w->taken = false;
    if (w->object[i->object].closed)
        return say(w, TRIED_LEFT, "%s", w->object[i->object].closed);
    switch (i->op[w->l->side.which]) {
    case CHANGE_INSERT:
        return try_insert(w, i, unchecked, note);
    case CHANGE_UPDATE:
        return try_update(w, i, unchecked, note);
    default:
        return try_delete(w, i, unchecked, note);
    }
}

/* ---- all rows ---- */

struct pass {
    struct writer *w;
    bool progress;
};

static int settle(struct writer *w, struct item *i, enum tried tried)
{
    int which = w->l->side.which;
    i->reason[which] = tried == TRIED_DONE || tried == TRIED_LINKED ? NULL : w->reason;
    i->given[which] = w->given;
    i->state[which] = tried == TRIED_DONE     ? STATE_DONE
                      : tried == TRIED_LINKED ? STATE_LINKED
                      : tried == TRIED_LEFT   ? STATE_LEFT
                                              : STATE_TODO;
    return work_put(w->work, i);
}

static int try_one(void *ctx, struct item *i)
{
    struct pass *p = ctx;
    enum tried tried = attempt(p->w, i, false, true);
    if (tried == TRIED_ERROR)
        return -1;
    p->progress |= tried != TRIED_WAITS;
    if (tried == TRIED_WAITS && p->w->taken) {
        p->w->waits_taken = mem_grow(p->w->waits_taken, p->w->ntaken + 1, sizeof *p->w->waits_taken);
        p->w->waits_taken[p->w->ntaken++] = i->id;
    }
    return settle(p->w, i, tried);
}

/* One object's changes of one kind. */
static int pass_over(struct pass *p, size_t object, enum change_op op)
{
    int which = p->w->l->side.which;
    char *condition = mem_printf("object = %zu AND op%d = %d AND state%d = %d ORDER BY id", object, which, op,
                                 which, STATE_TODO);
    int rc = work_each(p->w->work, try_one, p, condition);
    free(condition);
    return rc;
}

/* Children go before their parents, and come after them. */
static int pass_all(struct pass *p)
{
    size_t n = p->w->l->specs->n;
    for (size_t depth = p->w->deepest + 1; depth-- > 0;)
        for (size_t i = 0; i < n; i++)
            if (p->w->object[i].depth == depth && pass_over(p, i, CHANGE_DELETE))
                return -1;
    for (size_t depth = 0; depth <= p->w->deepest; depth++)
        for (size_t i = 0; i < n; i++)
            if (p->w->object[i].depth == depth &&
                (pass_over(p, i, CHANGE_UPDATE) || pass_over(p, i, CHANGE_INSERT)))
                return -1;
    return 0;
}

static int64_t waiting(struct writer *w)
{
    char *condition =
        mem_printf("op%d <> 0 AND state%d = %d", w->l->side.which, w->l->side.which, STATE_TODO);
    int64_t n = work_count(w->work, condition);
    free(condition);
    return n;
}

/* ---- what waits for each other ---- */

enum { TOGETHER_MAX = 10000, TOGETHER_ROUNDS = 100 };

/* A row of a group, as it was and as it shall be. */
struct member {
    int64_t id;
    bool out;          /* it cannot go with the others */
    bool swaps;        /* an update whose row is taken out and put in again as it shall be */
    struct change was; /* an update's row, whole, in the target's columns; its texts are the group's */
    int64_t rowid;
};

struct group {
    struct writer *w;
    size_t n;
    struct member *member;
    struct arena arena;
};

static int add_member(void *ctx, struct item *i)
{
    struct group *g = ctx;
    g->member = mem_grow(g->member, g->n + 1, sizeof *g->member);
    g->member[g->n++] = (struct member){.id = i->id};
    return g->n > TOGETHER_MAX;
}

/* Takes the row of an update out, to be put in again as it shall be. */
static enum tried take_out(struct group *g, struct member *m, struct item *i)
{
    struct writer *w = g->w;
    struct writing *o = &w->object[i->object];
    struct target *t = o->at->target;
    int there = local_row(w->l, i->object, i->key);
    if (there <= 0)
        return there < 0 ? TRIED_ERROR : TRIED_LEFT;
    struct change key = whole_delete(w, o);
    if (target_row(t, &key, &m->rowid) < 0)
        return TRIED_ERROR;
    struct val *row = arena_alloc(&g->arena, t->table->ncol * sizeof *row);
    for (size_t k = 0; k < t->table->ncol; k++)
        row[k] = arena_val(&g->arena, &t->now[k]);
    m->was = (struct change){.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row, .new = o->new};
    return target_delete(t, &m->was, false) == DONE ? TRIED_DONE : TRIED_ERROR;
}

static enum tried put_in(struct group *g, struct member *m, struct item *i)
{
    struct writer *w = g->w;
    struct writing *o = &w->object[i->object];
    struct target *t = o->at->target;
    struct change c;
    for (size_t k = 0; k < t->table->ncol; k++)
        t->now[k] = m->was.old[k];
    if (make_change(w, o, i, &c, true) < 0)
        return TRIED_ERROR;
    struct val *row = arena_alloc(&w->arena, t->table->ncol * sizeof *row);
    for (size_t k = 0; k < t->table->ncol; k++)
        row[k] = c.new[k].type != VAL_NONE ? c.new[k] : m->was.old[k];
    struct change insert = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = o->old, .new = row};
    enum tried ok = check_user(w, o, i, &insert);
    if (ok != TRIED_DONE)
        return ok == TRIED_LINKED ? TRIED_WAITS : ok;
    return written(w, o, i, &insert, target_insert(t, &insert, m->rowid ? &m->rowid : NULL), false);
}

/* What the rows of the group refer to, and what refers to them, now that all are written. */
static enum tried check_together(struct group *g, struct item *i)
{
    struct writer *w = g->w;
    struct writing *o = &w->object[i->object];
    struct change c;
    arena_clear(&w->arena);
    if (i->op[w->l->side.which] == CHANGE_DELETE) {
        struct val *row = arena_alloc(&w->arena, o->at->target->table->ncol * sizeof *row);
        memset(row, 0, o->at->target->table->ncol * sizeof *row);
        for (size_t k = 0; k < o->at->spec->row->ncol; k++)
            if (o->at->column[k] >= 0)
                row[o->at->column[k]] =
                    i->row[w->l->side.which] ? i->row[w->l->side.which][k] : (struct val){.type = VAL_NULL};
        for (size_t k = 0; k < o->at->spec->row->nkey; k++)
            row[o->at->column[o->at->spec->row->key[k]]] = i->key[k];
        return check_children(w, o, row);
    }
    fk_parents_forget(o->parents, NULL);
    if (make_change(w, o, i, &c, false) != 1)
        return TRIED_ERROR;
    int there = fk_parents_there(o->parents, o->at->target, &c);
    if (there == 0)
        return say(w, TRIED_WAITS, "%s", fk_parents_missing(o->parents));
    return there < 0 ? TRIED_ERROR : TRIED_DONE;
}

enum step_of_group { GROUP_OUT, GROUP_IN, GROUP_CHECK };

/* Rows of a table whose updates are looked at by triggers are not written past those. */
static bool swaps(const struct writer *w, const struct item *i)
{
    bool taken = false;
    for (size_t k = 0; k < w->ntaken; k++)
        taken |= w->waits_taken[k] == i->id;
    return taken && i->op[w->l->side.which] == CHANGE_UPDATE && !w->object[i->object].checked;
}

static enum tried one_together(struct group *g, struct member *m, enum step_of_group step, struct item *i)
{
    bool update = m->swaps = swaps(g->w, i);
    arena_clear(&g->w->arena);
    if (step == GROUP_OUT)
        return update ? take_out(g, m, i) : TRIED_DONE;
    if (step == GROUP_CHECK)
        return check_together(g, i);
    return update ? put_in(g, m, i) : attempt(g->w, i, true, false);
}

/* One step over all that are in: whether none fell out: 1, 0, -1. Those that did say why. */
static int step_together(struct group *g, enum step_of_group step)
{
    struct writer *w = g->w;
    int all = 1;
    for (size_t k = 0; k < g->n; k++) {
        struct member *m = &g->member[k];
        struct item read, *i = &read;
        struct arena arena = w->work->arena;
        if (m->out)
            continue;
        w->work->arena = (struct arena){0}; /* the item must outlive what is looked up meanwhile */
        int got = work_get(w->work, m->id, i);
        struct arena own = w->work->arena;
        w->work->arena = arena;
        enum tried tried = got > 0 ? one_together(g, m, step, i) : TRIED_ERROR;
        if (tried == TRIED_WAITS || tried == TRIED_LEFT || tried == TRIED_LINKED) {
            m->out = true;
            all = 0;
            if (tried != TRIED_LINKED && settle(w, i, TRIED_WAITS))
                tried = TRIED_ERROR;
        }
        arena_free(&own);
        if (tried == TRIED_ERROR)
            return -1;
    }
    return all;
}

static int note_together(struct group *g)
{
    struct writer *w = g->w;
    for (size_t k = 0; k < g->n; k++) {
        struct member *m = &g->member[k];
        struct item i;
        struct change c;
        if (m->out)
            continue;
        if (work_get(w->work, m->id, &i) <= 0)
            return -1;
        struct writing *o = &w->object[i.object];
        arena_clear(&w->arena);
        w->given = (struct val){.type = VAL_NULL};
        if (i.op[w->l->side.which] == CHANGE_DELETE) {
            memset(o->new, 0, o->at->target->table->ncol * sizeof *o->new);
            c = m->was;
        } else {
            for (size_t v = 0; m->was.old && v < o->at->target->table->ncol; v++)
                o->at->target->now[v] = m->was.old[v];
            if (make_change(w, o, &i, &c, m->was.old != NULL) < 0)
                return -1;
        }
        if ((c.old && change_log_note(&w->log, o->at->target, &c)) || settle(w, &i, TRIED_DONE))
            return -1;
    }
    return 0;
}

/* Rows as they are before the group goes, for who takes it back. */
static int remember_rows(struct group *g)
{
    struct writer *w = g->w;
    for (size_t k = 0; k < g->n; k++) {
        struct item i;
        if (work_get(w->work, g->member[k].id, &i) <= 0)
            return -1;
        struct writing *o = &w->object[i.object];
        struct target *t = o->at->target;
        if (i.op[w->l->side.which] == CHANGE_INSERT || local_row(w->l, i.object, i.key) <= 0)
            continue;
        struct val *row = arena_alloc(&g->arena, t->table->ncol * sizeof *row);
        for (size_t v = 0; v < t->table->ncol; v++)
            row[v] = arena_val(&g->arena, &t->now[v]);
        g->member[k].was =
            (struct change){.table = t->table, .op = CHANGE_DELETE, .origin = "", .old = row, .new = o->new};
    }
    return 0;
}

/* Tries all that waits at once; those that cannot go with the others fall out, until the rest goes or none is left. */
static int go_together(struct writer *w)
{
    struct group g = {.w = w};
    char *condition = mem_printf("op%d <> 0 AND state%d = %d ORDER BY object, id", w->l->side.which,
                                 w->l->side.which, STATE_TODO);
    int rc = work_each(w->work, add_member, &g, condition);
    free(condition);
    int all = 0;
    if (rc == 0)
        rc = remember_rows(&g);
    if (g.n > TOGETHER_MAX)
        rc = 0;
    for (int round = 0; rc == 0 && all == 0 && round < TOGETHER_ROUNDS && g.n <= TOGETHER_MAX; round++) {
        size_t in = 0;
        for (size_t k = 0; k < g.n; k++)
            in += !g.member[k].out;
        if (in == 0)
            break;
        if (db_exec(w->l->db, "SAVEPOINT together"))
            rc = -1;
        for (int step = GROUP_OUT; rc == 0 && step <= GROUP_CHECK && (all = step_together(&g, step)) > 0;)
            step++;
        if (all < 0)
            rc = -1;
        if (rc == 0 && all == 0)
            rc = db_exec(w->l->db, "ROLLBACK TO together; RELEASE together");
        else if (rc == 0)
            rc = note_together(&g) || db_exec(w->l->db, "RELEASE together") ? -1 : 0;
    }
    arena_free(&g.arena);
    free(g.member);
    return rc;
}

static int write_rows(struct writer *w)
{
    struct pass p = {.w = w, .progress = true};
    while (p.progress) {
        p.progress = false;
        w->ntaken = 0;
        if (pass_all(&p))
            return -1;
        int64_t n = waiting(w);
        if (n <= 0)
            return n < 0 ? -1 : 0;
    }
    return go_together(w);
}

/* ---- the end ---- */

static int leave(void *ctx, struct item *i)
{
    struct writer *w = ctx;
    int which = w->l->side.which;
    w->out->left++;
    if (i->state[which] == STATE_LEFT)
        return 0;
    i->state[which] = STATE_LEFT;
    return work_put(w->work, i);
}

/* What is deleted here is noted where the database has other pairs. */
static int mark(void *ctx, struct item *i)
{
    struct writer *w = ctx;
    const struct spec *s = &w->l->specs->spec[i->object];
    struct buf b = {0};
    pack_row(&b, i->key, s->row->nkey);
    struct val key = {.type = VAL_BLOB, .p = b.p, .n = b.n};
    int rc = pair_record_mark(w->l->db, s->at[w->l->side.which].table, &key);
    buf_free(&b);
    return rc;
}

static int finish_rows(struct writer *w)
{
    int which = w->l->side.which;
    char *left = mem_printf("op%d <> 0 AND state%d IN (%d, %d)", which, which, STATE_TODO, STATE_LEFT);
    char *gone = mem_printf("what%d = %d OR (op%d = %d AND state%d = %d)", which, WHAT_DELETED, which,
                            CHANGE_DELETE, which, STATE_DONE);
    int rc = work_each(w->work, leave, w, left);
    if (rc == 0 && w->marking)
        rc = work_each(w->work, mark, w, gone);
    free(left);
    free(gone);
    return rc;
}

static void sum_up(struct writer *w)
{
    for (size_t i = 0; i < w->log.n; i++) {
        w->out->inserted += w->log.count[i].inserted;
        w->out->updated += w->log.count[i].updated;
        w->out->deleted += w->log.count[i].deleted;
    }
}

static char *undo_path(const struct writer *w)
{
    return w->how->undo ? mem_text(w->how->undo) : mem_printf("%s.undo.dx", db_path(w->l->db));
}

static int do_all(struct writer *w)
{
    struct pair_record before = {0}, after = {0};
    int present = meta_present(w->l->db);
    if (present < 0 || pair_record_get(w->l->db, w->how->pair, &before) ||
        pair_record_put(w->l->db, w->how->pair, w->l->side.which, w->how->run))
        return -1;
    w->marking = before.others > 0;
    pair_record_free(&before);
    if (w->how->plan && (begin_triggers(w) || change_log_begin(&w->log, w->l->db, present, true) ||
                         open_objects(w) || write_rows(w)))
        return -1;
    if (finish_rows(w) || end_children(w) || db_triggers(w->l->db, false) || app_triggers_end(&w->triggers) ||
        pair_record_get(w->l->db, w->how->pair, &after))
        return -1;
    w->out->mark = after.mark;
    pair_record_free(&after);
    sum_up(w);
    if (!w->how->dry && w->out->inserted + w->out->updated + w->out->deleted) {
        w->out->undo = undo_path(w);
        if (change_log_write_undo(&w->log, &w->l->targets, w->out->undo)) {
            free(w->out->undo);
            w->out->undo = NULL;
            return -1;
        }
    }
    if (w->how->dry || db_commit(w->l->db) == 0)
        return 0;
    free(w->out->undo);
    w->out->undo = NULL;
    return -1;
}

int writer_run(struct local_side *l, struct work *work, const struct side_write *how,
               struct side_written *out)
{
    struct writer w = {.l = l, .work = work, .how = how, .out = out};
    if (db_begin_write(l->db))
        return -1;
    int rc = do_all(&w);
    close_objects(&w);
    free(w.waits_taken);
    change_log_end(&w.log);
    arena_free(&w.arena);
    db_rollback(l->db);
    db_triggers(l->db, true);
    app_triggers_free(&w.triggers);
    return rc;
}
