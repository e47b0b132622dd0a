/* resolve: see resolve.h. */
#include "resolve.h"

#include "err.h"
#include "journal.h"
#include "mem.h"
#include "review.h"

#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    [RESOLVE_OURS] = "ours", [RESOLVE_THEIRS] = "theirs", [RESOLVE_BASE] = "base"};

int resolve_side(const char *word, enum resolve_side *out)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (enum resolve_side)i;
            return 0;
        }
    return fail(ERR_USAGE, "'%s' is none of ours, theirs, base", word);
}

struct choice {
    struct db *db;
    struct targets targets;
    enum resolve_side side;
};

/* ---- writing ---- */

static int written(struct target *t, enum done done)
{
    if (done == DONE_BLOCKED || done == DONE_EXISTS)
        return fail(ERR_REFUSED, "%s: table %s: %s; nothing was changed", db_path(t->db), t->table->name,
                    target_reason(t));
    return done == DONE_ERROR ? -1 : 0;
}

/* An empty change of the conflict's row; its arrays are the review's. */
static struct change of_row(struct review *r, enum change_op op)
{
    const struct table *t = r->target->table;
    size_t size = t->ncol * sizeof(struct val);
    struct change c = {.table = t, .op = op, .origin = ""};
    c.old = memset(arena_alloc(&r->arena, size), 0, size);
    c.new = memset(arena_alloc(&r->arena, size), 0, size);
    for (size_t i = 0; i < t->nkey; i++)
        (op == CHANGE_INSERT ? c.new : c.old)[t->key[i]] = r->key[i];
    return c;
}

/* Makes the row hold these values (VAL_NONE: as it is), inserting it when it is not there. */
static int make_row(struct review *r, const struct val *values)
{
    struct target *t = r->target;
    struct change c = of_row(r, CHANGE_UPDATE);
    int here = target_row(t, &c, NULL);
    if (here < 0)
        return -1;
    if (!here)
        c = of_row(r, CHANGE_INSERT);
    bool any = !here;
    for (size_t i = 0; i < t->table->ncol; i++)
        if (!t->table->pk[i] && values[i].type != VAL_NONE && !(here && val_same(&values[i], &t->now[i]))) {
            c.new[i] = values[i];
            any = true;
        }
    if (!any)
        return 0;
    return written(t, here ? target_update(t, &c, false) : target_insert(t, &c, NULL));
}

static int remove_row(struct review *r)
{
    struct change c = of_row(r, CHANGE_DELETE);
    return written(r->target, target_delete(r->target, &c, false));
}

/* ---- what a side wanted ---- */

static int nothing_to_take(const struct conflict *c, const struct choice *k)
{
    return fail(ERR_REFUSED, "conflict %lld: %s has nothing to take here; choose another side",
                (long long)c->id, words[k->side]);
}

static int resolve_column(struct choice *k, const struct conflict *c, struct review *r)
{
    int column = table_column(r->target->table, c->column);
    struct change row = of_row(r, CHANGE_UPDATE);
    int here = column < 0 ? 0 : target_row(r->target, &row, NULL);
    if (here <= 0)
        return here < 0 ? -1
                        : fail(ERR_REFUSED, "conflict %lld: the row is not there any more", (long long)c->id);
    struct change values = of_row(r, CHANGE_UPDATE);
    values.new[column] = k->side == RESOLVE_OURS ? c->ours : k->side == RESOLVE_THEIRS ? c->theirs : c->base;
    return make_row(r, values.new);
}

/* Finds in the journal the row as it was deleted last, and puts what is not told in `values` in. */
static int complete_from_journal(struct choice *k, struct review *r, struct val *values)
{
    int64_t end;
    struct change c, mapped, wanted = of_row(r, CHANGE_DELETE);
    struct buf key = {0}, other = {0};
    struct journal_reader *j = journal_end(k->db, &end) ? NULL : journal_read(k->db, 0, end);
    int got = -1;
    bool found = false;
    struct val *last = mem_zero(r->target->table->ncol, sizeof *last);
    change_key_bytes(&wanted, &key);
    while (j && (got = journal_next(j, &c)) > 0) {
        if (c.op != CHANGE_DELETE || strcmp(c.table->name, r->target->table->name) != 0)
            continue;
        if (targets_for(&k->targets, c.table) == NULL) {
            got = -1;
            break;
        }
        target_map(r->target, c.table, &c, &mapped);
        buf_clear(&other);
        change_key_bytes(&mapped, &other);
        if (key.n != other.n || memcmp(key.p, other.p, key.n) != 0)
            continue;
        found = true;
        for (size_t i = 0; i < r->target->table->ncol; i++)
            last[i] = arena_val(&r->arena, &mapped.old[i]);
    }
    journal_reader_close(j);
    for (size_t i = 0; i < r->target->table->ncol && found; i++)
        if (values[i].type == VAL_NONE)
            values[i] = last[i];
    free(last);
    buf_free(&key);
    buf_free(&other);
    if (got < 0)
        return -1;
    return found ? 0
                 : fail(ERR_REFUSED, "the journal does not hold the deleted row any more; insert it by hand");
}

/* Their update of a row that is deleted here: the row comes back as they would have it. */
static int take_gone(struct choice *k, struct review *r)
{
    struct change row = of_row(r, CHANGE_DELETE);
    int here = target_row(r->target, &row, NULL);
    if (here < 0 || (here == 0 && complete_from_journal(k, r, r->incoming.new)))
        return -1;
    return make_row(r, r->incoming.new);
}

static int resolve_row(struct choice *k, const struct conflict *c, struct review *r)
{
    bool gone = strcmp(c->kind, CONFLICT_GONE) == 0;
    switch (k->side) {
    case RESOLVE_OURS:
        return r->here ? make_row(r, r->row.new) : gone ? remove_row(r) : 0;
    case RESOLVE_THEIRS:
        if (r->incoming.op == CHANGE_DELETE)
            return remove_row(r);
        return gone ? take_gone(k, r) : make_row(r, r->incoming.new);
    default:
        return r->incoming.op == CHANGE_DELETE ? make_row(r, r->incoming.old) : nothing_to_take(c, k);
    }
}

static int resolve_one(void *ctx, const struct conflict *c)
{
    struct choice *k = ctx;
    struct review r;
    if (c->resolved)
        return fail(ERR_REFUSED, "conflict %lld was resolved already: %s", (long long)c->id, c->resolved);
    if (strcmp(c->outcome, words[k->side]) == 0 ||
        (k->side == RESOLVE_OURS && strcmp(c->outcome, CONFLICT_ASK) == 0))
        return 0; /* as it was decided */
    int rc = review_conflict(&k->targets, c, &r);
    if (rc == 0 && r.target == NULL)
        rc = k->side == RESOLVE_OURS
                 ? 0
                 : fail(ERR_REFUSED, "conflict %lld: there is no table %s", (long long)c->id, c->table);
    else if (rc == 0)
        rc = c->column ? resolve_column(k, c, &r) : resolve_row(k, c, &r);
    review_free(&r);
    return rc;
}

int resolve_conflict(struct db *db, int64_t id, enum resolve_side side)
{
    struct choice k = {.db = db, .side = side};
    if (db_begin_write(db))
        return -1;
    targets_init(&k.targets, db);
    int rc = conflict_get(db, id, resolve_one, &k);
    targets_free(&k.targets);
    if (rc == 0)
        rc = conflict_note_resolved(db, id, words[side]);
    if (rc == 0)
        return db_commit(db);
    db_rollback(db);
    return -1;
}
