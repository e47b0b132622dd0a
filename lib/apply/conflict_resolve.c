/* conflict_resolve: see apply/conflict_resolve.h. */
#include "apply/conflict_resolve.h"

#include "apply/conflict_print.h"
#include "apply/deleted_row.h"
#include "apply/fk_children.h"
#include "apply/fk_parents.h"
#include "base/err.h"
#include "data/jsonl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    [RESOLVE_OURS] = "ours", [RESOLVE_THEIRS] = "theirs", [RESOLVE_BASE] = "base", [RESOLVE_OTHER] = "value"};

int conflict_resolve_side(const char *word, enum conflict_resolve_side *out)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (enum conflict_resolve_side)i;
            return 0;
        }
    return fail(ERR_USAGE, "'%s' is none of ours, theirs, base", word);
}

struct choice {
    struct db *db;
    struct targets targets;
    enum conflict_resolve_side side;
    const char *json;     /* RESOLVE_OTHER: what it shall hold */
    struct jsonl *parsed; /* ... as read; the values are its */
    struct arena deleted; /* a row that the journal still has */
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
static struct change of_row(struct conflict_view *r, enum change_op op)
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

/* A decision, too, leaves no row that refers to nothing. */
static int require_parents(struct target *t, const struct change *c)
{
    struct fk_parents *p = fk_parents_open(t);
    int there = p ? fk_parents_there(p, t, c) : -1;
    if (there == 0)
        fail(ERR_REFUSED, "%s: table %s: %s; nothing was changed", db_path(t->db), t->table->name,
             fk_parents_missing(p));
    fk_parents_free(p);
    return there > 0 ? 0 : -1;
}

/* Makes the row hold these values (VAL_NONE: as it is), inserting it when it is not there. */
static int make_row(struct conflict_view *r, const struct val *values)
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
    if (require_parents(t, &c))
        return -1;
    return written(t, here ? target_update(t, &c, false) : target_insert(t, &c, NULL));
}

static int remove_row(struct choice *k, struct conflict_view *r)
{
    struct change c = of_row(r, CHANGE_DELETE);
    int here = target_row(r->target, &c, NULL);
    if (here <= 0)
        return here;
    struct fk_children *referrers = fk_children_open(&k->targets, r->target);
    struct child *child;
    size_t n = 0;
    int rc = referrers ? fk_children_load(referrers, r->target->now, &r->arena, &child, &n) : -1;
    fk_children_free(referrers);
    if (rc == 0 && n)
        rc = fail(ERR_REFUSED, "%s: %zu rows of table %s and others refer to the row; delete them first",
                  db_path(k->db), n, child->target->table->name);
    if (rc)
        return -1;
    return written(r->target, target_delete(r->target, &c, false));
}

/* ---- what a side wanted ---- */

static int nothing_to_take(const struct conflict *c, const struct choice *k)
{
    return fail(ERR_REFUSED, "conflict %lld: %s has nothing to take here; choose another side",
                (long long)c->id, words[k->side]);
}

static int resolve_column(struct choice *k, const struct conflict *c, struct conflict_view *r)
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

/* Puts what `values` leaves out in from the row as it was deleted last. */
static int complete_from_journal(struct choice *k, struct conflict_view *r, struct val *values)
{
    size_t n = r->target->table->ncol;
    struct val *last = arena_alloc(&r->arena, n * sizeof *last);
    struct change wanted = of_row(r, CHANGE_DELETE);
    int64_t seq;
    int found = deleted_row(&k->targets, r->target, &wanted, &k->deleted, last, &seq);
    for (size_t i = 0; i < n && found > 0; i++)
        if (values[i].type == VAL_NONE)
            values[i] = last[i];
    if (found < 0)
        return -1;
    return found ? 0
                 : fail(ERR_REFUSED, "the journal does not hold the deleted row any more; insert it by hand");
}

/* Their update of a row that is deleted here: the row comes back as they would have it. */
static int take_gone(struct choice *k, struct conflict_view *r)
{
    struct change row = of_row(r, CHANGE_DELETE);
    int here = target_row(r->target, &row, NULL);
    if (here < 0 || (here == 0 && complete_from_journal(k, r, r->incoming.new)))
        return -1;
    return make_row(r, r->incoming.new);
}

/* Their row, though another has its user key. */
static int take_duplicate(const struct conflict *c, struct conflict_view *r)
{
    struct change row = of_row(r, CHANGE_DELETE);
    int here = target_row(r->target, &row, NULL);
    if (here > 0)
        return fail(ERR_REFUSED, "conflict %lld: another row has that key by now; insert it by hand",
                    (long long)c->id);
    return here < 0 ? -1 : make_row(r, r->incoming.new);
}

static int resolve_row(struct choice *k, const struct conflict *c, struct conflict_view *r)
{
    bool gone = strcmp(c->kind, CONFLICT_GONE) == 0;
    switch (k->side) {
    case RESOLVE_OURS:
        return r->here ? make_row(r, r->row.new) : gone ? remove_row(k, r) : 0;
    case RESOLVE_THEIRS:
        if (r->incoming.op == CHANGE_DELETE)
            return remove_row(k, r);
        if (strcmp(c->kind, CONFLICT_DUPLICATE) == 0 && !r->here)
            return take_duplicate(c, r);
        return gone ? take_gone(k, r) : make_row(r, r->incoming.new);
    default:
        return r->incoming.op == CHANGE_DELETE ? make_row(r, r->incoming.old) : nothing_to_take(c, k);
    }
}

/* {"table":...,"op":...,"key":{...},"new":...} of the conflict's row */
static void put_line(const struct choice *k, const struct conflict *c, const struct conflict_view *r,
                     bool gone, struct buf *line)
{
    const struct table *t = r->target->table;
    struct buf column = {0};
    buf_puts(line, "{\"table\":");
    jsonl_string(line, t->name, strlen(t->name));
    buf_puts(line, gone ? ",\"op\":\"delete\"" : ",\"op\":\"update\"");
    for (size_t i = 0; i < t->nkey; i++) {
        const char *name = t->col[t->key[i]];
        buf_puts(line, i ? "," : ",\"key\":{");
        jsonl_string(line, name, strlen(name));
        buf_byte(line, ':');
        jsonl_value(line, &r->key[i]);
    }
    if (c->column)
        jsonl_string(&column, c->column, strlen(c->column));
    if (gone)
        buf_puts(line, "}}");
    else if (c->column)
        buf_addf(line, "},\"new\":{%s:%s}}", buf_text(&column), k->json);
    else
        buf_addf(line, "},\"new\":%s}", k->json);
    buf_free(&column);
}

static int resolve_other(struct choice *k, const struct conflict *c, struct conflict_view *r)
{
    struct buf line = {0};
    struct change change;
    bool gone = c->column == NULL && strcmp(k->json, "null") == 0;
    put_line(k, c, r, gone, &line);
    k->parsed = jsonl_new();
    int rc =
        jsonl_parse(k->parsed, buf_text(&line), line.n) || jsonl_change(k->parsed, r->target->table, &change)
            ? fail_in("conflict %lld: the value", (long long)c->id)
            : 0;
    if (rc == 0)
        rc = gone ? remove_row(k, r) : make_row(r, change.new);
    buf_free(&line);
    return rc;
}

/* A change made here that the server did not take is made once more: it goes up again, and is judged again. */
static int repeat_own(struct choice *k, const struct conflict *c, struct conflict_view *r)
{
    if (k->side == RESOLVE_BASE || c->key.type == VAL_NULL)
        return nothing_to_take(c, k);
    if (r->incoming.op == CHANGE_DELETE)
        return remove_row(k, r);
    struct change row = of_row(r, CHANGE_DELETE);
    int here = target_row(r->target, &row, NULL);
    if (here == 0 && r->incoming.op == CHANGE_UPDATE)
        return fail(ERR_REFUSED, "conflict %lld: the row is not there any more; insert it by hand",
                    (long long)c->id);
    return here < 0 ? -1 : make_row(r, r->incoming.new);
}

static int resolve_one(void *ctx, const struct conflict *c)
{
    struct choice *k = ctx;
    struct conflict_view r;
    if (c->resolved)
        return fail(ERR_REFUSED, "conflict %lld was resolved already: %s", (long long)c->id, c->resolved);
    if (strcmp(c->outcome, words[k->side]) == 0 || (k->side == (c->own ? RESOLVE_THEIRS : RESOLVE_OURS) &&
                                                    (c->own || strcmp(c->outcome, CONFLICT_ASK) == 0)))
        return 0; /* as it was decided */
    int rc = conflict_print_conflict(&k->targets, c, &r);
    if (rc == 0 && r.target == NULL)
        rc = k->side == RESOLVE_OURS
                 ? 0
                 : fail(ERR_REFUSED, "conflict %lld: there is no table %s", (long long)c->id, c->table);
    else if (rc == 0 && k->side == RESOLVE_OTHER)
        rc = resolve_other(k, c, &r);
    else if (rc == 0)
        rc = c->column ? resolve_column(k, c, &r) : c->own ? repeat_own(k, c, &r) : resolve_row(k, c, &r);
    conflict_print_free(&r);
    return rc;
}

static int resolve(struct db *db, int64_t id, enum conflict_resolve_side side, const char *json)
{
    struct choice k = {.db = db, .side = side, .json = json};
    if (db_begin_write(db))
        return -1;
    targets_init(&k.targets, db);
    int rc = conflict_get(db, id, resolve_one, &k);
    targets_free(&k.targets);
    arena_free(&k.deleted);
    jsonl_free(k.parsed);
    if (rc == 0)
        rc = conflict_note_resolved(db, id, words[side]);
    if (rc == 0)
        return db_commit(db);
    db_rollback(db);
    return -1;
}

int conflict_resolve_conflict(struct db *db, int64_t id, enum conflict_resolve_side side)
{
    return resolve(db, id, side, NULL);
}

int conflict_resolve_value(struct db *db, int64_t id, const char *json)
{
    json_error_t error;
    json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(value);
    if (text == NULL)
        return fail(ERR_REFUSED, "conflict %lld: the value is not JSON: %s (text stands in quotes)",
                    (long long)id, error.text);
    int rc = resolve(db, id, RESOLVE_OTHER, text);
    free(text);
    return rc;
}
