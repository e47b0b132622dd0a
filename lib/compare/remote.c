/* remote: see compare/remote.h. */
#include "compare/remote.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/pack.h"
#include "compare/ranges.h"
#include "compare/talk.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };

/* An object's list, as far as the base spares it: what is as agreed is taken from there. */
struct spared {
    bool known;              /* the base has its rows */
    bool same;               /* and the other end has just those */
    struct ranges own;       /* of the base */
    struct range_set groups; /* of the other end, those that are in the base, too */
    struct range_set ranges; /* of the other end, in its other groups */
    uint8_t root[SHA_BYTES]; /* of the other end */
    struct buf wanted;       /* numbers of the other end's ranges that the base has not, as varints */
    bool streams;            /* rows of it come */
};

/* Where a list stands that is put together from both. */
struct joining {
    struct val *base, *read; /* a row ahead of each */
    bool base_here, base_ended, read_here, read_ended;
    size_t range, group; /* of the base, that its row is in */
    bool range_ended;
    struct ranges walk, proof;
};

struct remote {
    struct side side;
    struct talk *talk;
    const struct specs *specs;
    struct described described;
    bool hello; /* said */
    struct buf say;
    struct val *row;
    size_t listed;
    struct base *base;
    struct spared *spared; /* per object */
    struct joining join;
    size_t streaming; /* objects of which rows are still to come in this turn */
};

static struct remote *remote(struct side *s)
{
    return (struct remote *)s;
}

static struct buf *begin_message(struct remote *p, enum talk_message kind)
{
    buf_clear(&p->say);
    pack_int(&p->say, kind);
    return &p->say;
}

static int nonsense(const struct remote *p)
{
    return fail(ERR_REFUSED, "%s: the other end's answer makes no sense; are both of one version?",
                p->side.name);
}

/* The next message, which must be of that kind. 1, 0 at the end of the turn, -1. */
static int expect(struct remote *p, enum talk_message kind, struct wire *w)
{
    enum talk_message got;
    int rc = talk_next(p->talk, &got, w);
    return rc > 0 && got != kind ? nonsense(p) : rc;
}

/* Reads the rest of a turn that should be at its end. */
static int finish(struct remote *p)
{
    struct wire w;
    int rc = expect(p, TALK_DONE, &w);
    if (rc > 0)
        rc = expect(p, TALK_DONE, &w) == 0 ? 0 : -1;
    else if (rc == 0)
        rc = nonsense(p);
    return rc;
}

/* ---- who it is ---- */

/* One turn for both: who it is, and what tables it has. */
static int identify(struct side *s, const char *pair, struct side_identity *out)
{
    struct remote *p = remote(s);
    struct wire w;
    struct buf *b = begin_message(p, TALK_HELLO);
    pack_int(b, FORMAT);
    pack_int(b, s->which);
    if (talk_say(p->talk, b))
        return -1;
    b = begin_message(p, TALK_IDENTIFY);
    pack_text(b, pair);
    if (talk_say(p->talk, b) || talk_turn(p->talk))
        return -1;
    int heard = expect(p, TALK_HELLO, &w);
    if (heard <= 0)
        return heard < 0 ? -1 : nonsense(p);
    if (!described_get(&w, &p->described))
        return nonsense(p);
    p->hello = true;
    if (expect(p, TALK_IDENTIFY, &w) <= 0)
        return -1;
    struct pair_record *g = &out->record;
    g->known = unpack_int(&w, 1) != 0;
    g->role = (int)unpack_int(&w, THEIRS);
    g->run = unpack_int(&w, INT64_MAX);
    g->others = unpack_int(&w, INT64_MAX);
    g->mark = unpack_int(&w, INT64_MAX);
    g->pairs = unpack_text(&w);
    struct val given = val_get(&w);
    if (w.state == WIRE_OK && given.type == VAL_BLOB)
        buf_add(&g->given, given.p, given.n);
    out->writable = unpack_int(&w, 1) != 0;
    char *path = unpack_text(&w);
    out->path = mem_printf("%s %s", s->name, path);
    free(path);
    return w.state == WIRE_OK ? finish(p) : nonsense(p);
}

static int describe(struct side *s, struct described *out)
{
    struct remote *p = remote(s);
    *out = p->described;
    p->described = (struct described){0};
    return p->hello ? 0 : fail(ERR_SYSTEM, "%s: has not been asked who it is", s->name);
}

static int use(struct side *s, const struct specs *specs)
{
    struct remote *p = remote(s);
    struct buf *b = begin_message(p, TALK_USE);
    size_t widest = 0;
    p->specs = specs;
    s->unkeyed = mem_zero(specs->n, sizeof *s->unkeyed);
    specs_put(b, specs, s->which);
    for (size_t i = 0; i < specs->n; i++)
        widest = specs->spec[i].row->ncol > widest ? specs->spec[i].row->ncol : widest;
    p->row = mem_zero(widest + 2, sizeof *p->row);
    p->join.base = mem_zero(widest + 2, sizeof *p->row);
    p->join.read = mem_zero(widest + 2, sizeof *p->row);
    p->spared = mem_zero(specs->n, sizeof *p->spared);
    return talk_say(p->talk, b); /* goes with the next turn */
}

/* ---- comparing ---- */

static int begin(struct side *s)
{
    return talk_say(remote(s)->talk, begin_message(remote(s), TALK_BEGIN));
}

static void free_spared(struct spared *o)
{
    ranges_free(&o->own);
    range_set_free(&o->groups);
    range_set_free(&o->ranges);
    buf_free(&o->wanted);
    *o = (struct spared){0};
}

/* The sums of what the base has of each object. */
static int agreed(struct side *s, struct base *b)
{
    struct remote *p = remote(s);
    p->base = b;
    for (size_t i = 0; i < p->specs->n; i++) {
        struct spared *o = &p->spared[i];
        const struct spec *spec = &p->specs->spec[i];
        size_t nkey = spec->row->nkey;
        free_spared(o);
        o->known = !b->object[i].initial && !b->object[i].blind;
        int got = base_again_begin(b, i) ? -1 : 1;
        ranges_begin(&o->own);
        while (o->known && got > 0 && (got = base_again_next(b, spec, i, p->row)) > 0)
            ranges_add(&o->own, p->row, nkey, &p->row[nkey]);
        ranges_end(&o->own);
        if (got < 0)
            return -1;
    }
    return 0;
}

/* Asks of each object that the base knows; the answers come in that order. */
static int ask_each(struct remote *p, enum talk_message kind, int64_t level)
{
    for (size_t i = 0; i < p->specs->n; i++) {
        const struct spared *o = &p->spared[i];
        if (!o->known || (kind == TALK_RANGES && o->same))
            continue;
        struct buf *b = begin_message(p, kind);
        pack_int(b, (int64_t)i);
        pack_int(b, level);
        if (kind == TALK_RANGES) {
            const struct val wanted = {.type = VAL_BLOB, .p = o->wanted.p, .n = o->wanted.n};
            val_put(b, &wanted);
        }
        if (talk_say(p->talk, b))
            return -1;
    }
    return 0;
}

/* The next answer of that kind, a blob. */
static int take_blob(struct remote *p, struct val *blob)
{
    struct wire w;
    int got = expect(p, TALK_RANGES, &w);
    *blob = got > 0 ? val_get(&w) : (struct val){0};
    return got > 0 && w.state == WIRE_OK && blob->type == VAL_BLOB ? 0 : got < 0 ? -1 : nonsense(p);
}

static int take_root(struct remote *p, struct spared *o)
{
    struct val blob;
    if (take_blob(p, &blob) || blob.n != SHA_BYTES)
        return nonsense(p);
    memcpy(o->root, blob.p, SHA_BYTES);
    o->same = memcmp(o->root, o->own.root, SHA_BYTES) == 0;
    return 0;
}

/* The other end's groups: those that the base has not are wanted. */
static int take_groups(struct remote *p, struct spared *o)
{
    struct val blob;
    struct range_set own = {0};
    if (take_blob(p, &blob))
        return -1;
    range_set_add(&own, o->own.group, o->own.ngroup);
    range_set_sort(&own);
    struct wire w = wire_over(blob.p, blob.n);
    for (uint64_t i = 0; w.p < w.end && w.state == WIRE_OK; i++) {
        uint64_t sum = wire_u64(&w);
        if (range_set_has(&own, sum))
            range_set_add(&o->groups, &sum, 1);
        else
            wire_put_varint(&o->wanted, i);
    }
    range_set_sort(&o->groups);
    range_set_free(&own);
    return w.state == WIRE_OK ? 0 : nonsense(p);
}

/* The ranges of those groups: first number, how many, their sums. */
static int take_ranges(struct remote *p, struct spared *o)
{
    struct val blob;
    struct range_set own = {0};
    if (take_blob(p, &blob))
        return -1;
    range_set_add(&own, o->own.range, o->own.nrange);
    range_set_sort(&own);
    buf_clear(&o->wanted);
    struct wire w = wire_over(blob.p, blob.n);
    while (w.p < w.end && w.state == WIRE_OK) {
        uint64_t first = wire_varint(&w), n = wire_varint(&w);
        for (uint64_t i = 0; i < n && w.state == WIRE_OK; i++) {
            uint64_t sum = wire_u64(&w);
            range_set_add(&o->ranges, &sum, 1);
            if (!range_set_has(&own, sum))
                wire_put_varint(&o->wanted, first + i);
        }
    }
    range_set_sort(&o->ranges);
    range_set_free(&own);
    return w.state == WIRE_OK ? 0 : nonsense(p);
}

static int take_marks(struct remote *p, pair_record_fn *fn, void *ctx)
{
    struct wire w;
    enum talk_message kind;
    int got;
    while ((got = talk_next(p->talk, &kind, &w)) > 0 && kind == TALK_MARKS) {
        char *table = unpack_text(&w);
        struct val key = val_get(&w);
        int rc = w.state == WIRE_OK ? fn(ctx, table, &key) : nonsense(p);
        free(table);
        if (rc)
            return rc;
    }
    return got < 0 ? -1 : got > 0 && kind == TALK_DONE ? 0 : nonsense(p);
}

static int end_turn(struct remote *p)
{
    struct wire w;
    enum talk_message kind;
    int got = talk_next(p->talk, &kind, &w);
    return got == 0 ? 0 : got < 0 ? -1 : nonsense(p);
}

/* One turn of questions and answers about all objects that differ. */
static int turn_of_ranges(struct remote *p, int64_t level, int (*take)(struct remote *p, struct spared *o))
{
    if (ask_each(p, TALK_RANGES, level) || talk_turn(p->talk))
        return -1;
    for (size_t i = 0; i < p->specs->n; i++)
        if (p->spared[i].known && !p->spared[i].same && take(p, &p->spared[i]))
            return -1;
    return end_turn(p);
}

/* Asks for the rows: whole lists, and ranges that the base has not. They come in one turn, as next reads them. */
static int ask_rows(struct remote *p)
{
    for (size_t i = 0; i < p->specs->n; i++) {
        struct spared *o = &p->spared[i];
        if (o->known && o->same)
            continue;
        struct buf *b = begin_message(p, o->known ? TALK_RANGES : TALK_LIST);
        pack_int(b, (int64_t)i);
        pack_int(b, o->known ? TALK_LEVEL_ROWS : 0);
        const struct val wanted = {.type = VAL_BLOB, .p = o->wanted.p, .n = o->wanted.n};
        if (o->known)
            val_put(b, &wanted);
        if (talk_say(p->talk, b))
            return -1;
        o->streams = true;
        p->streaming++;
    }
    return p->streaming ? talk_turn(p->talk) : 0;
}

/* With the marks, the sums of all lists; then, as far as they differ from the base, what differs. */
static int marks(struct side *s, int64_t since, pair_record_fn *fn, void *ctx)
{
    struct remote *p = remote(s);
    bool differs = false;
    struct buf *b = begin_message(p, TALK_MARKS);
    pack_int(b, since);
    p->streaming = 0;
    if (talk_say(p->talk, b) || ask_each(p, TALK_LIST, 1) || talk_turn(p->talk) || take_marks(p, fn, ctx))
        return -1;
    for (size_t i = 0; i < p->specs->n; i++) {
        if (p->spared[i].known && take_root(p, &p->spared[i]))
            return -1;
        differs |= p->spared[i].known && !p->spared[i].same;
    }
    if (end_turn(p) || (differs && (turn_of_ranges(p, TALK_LEVEL_GROUPS, take_groups) ||
                                    turn_of_ranges(p, TALK_LEVEL_RANGES, take_ranges))))
        return -1;
    return ask_rows(p);
}

static void free_join(struct joining *j)
{
    ranges_free(&j->walk);
    ranges_free(&j->proof);
}

static int list(struct side *s, size_t object)
{
    struct remote *p = remote(s);
    struct joining *j = &p->join;
    struct val *base = j->base, *read = j->read;
    free_join(j);
    *j = (struct joining){.base = base, .read = read, .read_ended = !p->spared[object].streams};
    ranges_begin(&j->walk);
    ranges_begin(&j->proof);
    p->listed = object;
    return p->spared[object].known ? base_again_begin(p->base, object) : 0;
}

/* The next row that comes: 1 in row, 0 when the object's are over, -1. */
static int read_row(struct remote *p, struct val *row)
{
    const struct spec *spec = &p->specs->spec[p->listed];
    struct wire w;
    enum talk_message kind;
    int got = talk_next(p->talk, &kind, &w);
    if (got <= 0)
        return got < 0 ? -1 : nonsense(p);
    if (kind == TALK_DONE) {
        p->side.unkeyed[p->listed] = unpack_int(&w, INT64_MAX);
        return --p->streaming ? 0 : end_turn(p);
    }
    if (kind != TALK_ROW || !unpack_row(&w, row, spec->row->nkey + 1) ||
        row[spec->row->nkey].type != VAL_BLOB)
        return nonsense(p);
    return 1;
}

/* Whether the other end has the base's range, too. */
static bool range_stands(const struct spared *o, struct joining *j)
{
    while (j->group < o->own.ngroup && o->own.group_end[j->group] <= j->range)
        j->group++;
    return o->same || (j->group < o->own.ngroup && range_set_has(&o->groups, o->own.group[j->group])) ||
           (j->range < o->own.nrange && range_set_has(&o->ranges, o->own.range[j->range]));
}

/* The next row of the base that the other end has, too, into j->base: 1, 0, -1. */
static int base_row(struct remote *p)
{
    struct joining *j = &p->join;
    const struct spared *o = &p->spared[p->listed];
    const struct spec *spec = &p->specs->spec[p->listed];
    size_t nkey = spec->row->nkey;
    int got;
    while ((got = base_again_next(p->base, spec, p->listed, j->base)) > 0) {
        bool stands = range_stands(o, j);
        j->range += ranges_add(&j->walk, j->base, nkey, &j->base[nkey]);
        if (stands)
            return 1;
    }
    return got;
}

/* Both in key order, proved by the other end's root when they are at their end. */
static int next_joined(struct remote *p, const struct val **row)
{
    struct joining *j = &p->join;
    const struct spared *o = &p->spared[p->listed];
    size_t nkey = p->specs->spec[p->listed].row->nkey;
    if (!j->base_here && !j->base_ended) {
        int got = base_row(p);
        if (got < 0)
            return -1;
        j->base_here = got > 0;
        j->base_ended = got == 0;
    }
    if (!j->read_here && !j->read_ended) {
        int got = read_row(p, j->read);
        if (got < 0)
            return -1;
        j->read_here = got > 0;
        j->read_ended = got == 0;
    }
    if (!j->base_here && !j->read_here) {
        ranges_end(&j->proof);
        return memcmp(j->proof.root, o->root, SHA_BYTES) == 0
                   ? 0
                   : fail(ERR_REFUSED,
                          "%s: the list of %s that was put together is not the one there; run it again",
                          p->side.name, p->specs->spec[p->listed].name);
    }
    bool from_base = j->base_here && (!j->read_here || vals_compare(j->base, j->read, nkey) < 0);
    *row = from_base ? j->base : j->read;
    ranges_add(&j->proof, *row, nkey, &(*row)[nkey]);
    *(from_base ? &j->base_here : &j->read_here) = false;
    return 1;
}

static int next(struct side *s, const struct val **row)
{
    struct remote *p = remote(s);
    if (p->spared[p->listed].known)
        return next_joined(p, row);
    *row = p->row;
    return read_row(p, p->row);
}

/* ---- rows ---- */

struct asking {
    struct remote *p;
    int64_t n;
};

static int ask(void *ctx, struct item *i)
{
    struct asking *a = ctx;
    struct buf *b = begin_message(a->p, TALK_FETCH);
    pack_int(b, i->id);
    pack_int(b, (int64_t)i->object);
    pack_row(b, i->key, a->p->specs->spec[i->object].row->nkey);
    a->n++;
    return talk_say(a->p->talk, b);
}

static int take_fetched(struct remote *p, struct work *w, struct wire *wire)
{
    int64_t id = unpack_int(wire, INT64_MAX);
    struct item i;
    char *too_large = NULL;
    if (wire->state != WIRE_OK || work_get(w, id, &i) <= 0)
        return nonsense(p);
    int which = p->side.which;
    if (unpack_int(wire, 1)) {
        i.outcome = OUTCOME_LEFT;
        i.op[MINE] = i.op[THEIRS] = 0;
        i.reason[which] = too_large = unpack_text(wire);
    } else {
        i.version[which] = val_get(wire);
        if (!unpack_row(wire, p->row, p->specs->spec[i.object].row->ncol) ||
            i.version[which].type != VAL_BLOB)
            return nonsense(p);
        i.row[which] = p->row;
    }
    int rc = wire->state == WIRE_OK ? work_put(w, &i) : nonsense(p);
    free(too_large);
    return rc;
}

static int fetch(struct side *s, struct work *w, const char *condition)
{
    struct remote *p = remote(s);
    struct asking a = {p, 0};
    struct wire wire;
    int got;
    if (work_each(w, ask, &a, condition))
        return -1;
    if (a.n == 0)
        return 0;
    if (talk_turn(p->talk))
        return -1;
    enum talk_message kind;
    while ((got = talk_next(p->talk, &kind, &wire)) > 0 && kind == TALK_FETCH)
        if (take_fetched(p, w, &wire))
            return -1;
    if (got < 0 || kind != TALK_DONE)
        return got < 0 ? -1 : nonsense(p);
    return talk_next(p->talk, &kind, &wire) == 0 ? 0 : -1;
}

static int end(struct side *s)
{
    struct remote *p = remote(s);
    return p->specs ? talk_say(p->talk, begin_message(p, TALK_END)) : 0;
}

/* ---- writing ---- */

static void put_val(struct buf *b, struct val v)
{
    if (v.type == VAL_NONE)
        v.type = VAL_NULL;
    val_put(b, &v);
}

/* What a writer needs of an item: its own side's version and row, and what is to be there. */
static int say_item(void *ctx, struct item *i)
{
    struct remote *p = ctx;
    const struct table *t = p->specs->spec[i->object].row;
    int which = p->side.which;
    const struct val *out = i->op[which] == CHANGE_DELETE || i->op[which] == 0 ? NULL
                            : i->out                                           ? i->out
                                                                               : i->row[!which];
    struct buf *b = begin_message(p, TALK_ITEM);
    pack_int(b, i->id);
    pack_int(b, (int64_t)i->object);
    pack_row(b, i->key, t->nkey);
    pack_int(b, i->what[which]);
    pack_int(b, i->op[which]);
    pack_int(b, i->fresh[which]);
    put_val(b, i->version[which]);
    pack_int(b, out != NULL);
    if (out)
        pack_row(b, out, t->ncol);
    return talk_say(p->talk, b);
}

static int take_result(struct remote *p, struct work *w, struct wire *wire)
{
    struct item i;
    int64_t id = unpack_int(wire, INT64_MAX);
    if (wire->state != WIRE_OK || work_get(w, id, &i) <= 0)
        return nonsense(p);
    int which = p->side.which;
    i.state[which] = (enum state)unpack_int(wire, STATE_LEFT);
    i.given[which] = val_get(wire);
    char *reason = unpack_text(wire);
    i.reason[which] = *reason ? reason : NULL;
    int rc = wire->state == WIRE_OK ? work_put(w, &i) : nonsense(p);
    free(reason);
    return rc;
}

static int write_side(struct side *s, struct work *w, const struct side_write *how, struct side_written *out)
{
    struct remote *p = remote(s);
    char *condition = mem_printf("op%d <> 0 OR what%d = %d ORDER BY id", s->which, s->which, WHAT_DELETED);
    int rc = work_each(w, say_item, p, condition);
    free(condition);
    struct buf *b = begin_message(p, TALK_WRITE);
    pack_text(b, how->pair);
    pack_int(b, how->run);
    pack_int(b, how->plan);
    pack_int(b, how->dry);
    if (rc || talk_say(p->talk, b) || talk_turn(p->talk))
        return -1;
    struct wire wire;
    enum talk_message kind;
    int got;
    while ((got = talk_next(p->talk, &kind, &wire)) > 0 && kind == TALK_ITEM)
        if (take_result(p, w, &wire))
            return -1;
    if (got <= 0 || kind != TALK_WRITE)
        return got < 0 ? -1 : nonsense(p);
    out->inserted = unpack_int(&wire, INT64_MAX);
    out->updated = unpack_int(&wire, INT64_MAX);
    out->deleted = unpack_int(&wire, INT64_MAX);
    out->left = unpack_int(&wire, INT64_MAX);
    out->mark = unpack_int(&wire, INT64_MAX);
    char *undo = unpack_text(&wire);
    if (*undo)
        out->undo = undo;
    else
        free(undo);
    return wire.state == WIRE_OK ? finish(p) : nonsense(p);
}

static void close_side(struct side *s)
{
    struct remote *p = remote(s);
    talk_close(p->talk);
    described_free(&p->described);
    for (size_t i = 0; p->spared && i < p->specs->n; i++)
        free_spared(&p->spared[i]);
    free(p->spared);
    free_join(&p->join);
    free(p->join.base);
    free(p->join.read);
    buf_free(&p->say);
    free(p->row);
    free(s->unkeyed);
    free(s->name);
    free(p);
}

static const struct side_ops ops = {describe, identify, use,   agreed, begin,      marks,
                                    list,     next,     fetch, end,    write_side, close_side};

struct side *remote_open(int in, int out, const char *name, int which)
{
    struct remote *p = mem_zero(1, sizeof *p);
    p->side = (struct side){.ops = &ops, .which = which, .name = mem_text(name)};
    p->talk = talk_open(in, out, name);
    if (p->talk)
        return &p->side;
    close_side(&p->side);
    return NULL;
}
