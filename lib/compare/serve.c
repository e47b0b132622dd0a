/* serve: the other end of a comparison (compare/remote.h): answers for one database. */
#include "base/err.h"
#include "base/mem.h"
#include "compare/local.h"
#include "compare/pack.h"
#include "compare/ranges.h"
#include "compare/remote.h"
#include "compare/talk.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };

struct serving {
    const char *path;
    struct talk *talk;
    struct side *side;
    struct specs specs;
    struct work work;
    struct buf say;
    struct ranges *ranges; /* per object */
    bool used;
    int writes; /* so far, which names their undo archives */
};

static struct buf *begin_message(struct serving *s, enum talk_message kind)
{
    buf_clear(&s->say);
    pack_int(&s->say, kind);
    return &s->say;
}

static int done(struct serving *s)
{
    return talk_say(s->talk, begin_message(s, TALK_DONE));
}

static int nonsense(const struct serving *s)
{
    return fail(ERR_REFUSED, "%s: what is asked makes no sense; are both ends of one version?", s->path);
}

static int hello(struct serving *s, struct wire *w)
{
    struct described d = {0};
    int64_t format = unpack_int(w, INT64_MAX);
    int which = (int)unpack_int(w, THEIRS);
    if (w->state != WIRE_OK || format != FORMAT || s->side)
        return nonsense(s);
    s->side = local_open(s->path, which);
    int rc = s->side ? side_describe(s->side, &d) : -1;
    if (rc == 0) {
        described_put(begin_message(s, TALK_HELLO), &d);
        rc = talk_say(s->talk, &s->say);
    }
    described_free(&d);
    return rc;
}

static int identify(struct serving *s, struct wire *w)
{
    struct side_identity id;
    char *pair = unpack_text(w);
    int rc = w->state == WIRE_OK ? side_identify(s->side, pair, &id) : nonsense(s);
    free(pair);
    if (rc)
        return rc;
    struct buf *b = begin_message(s, TALK_IDENTIFY);
    pack_int(b, id.record.known);
    pack_int(b, id.record.role);
    pack_int(b, id.record.run);
    pack_int(b, id.record.others);
    pack_int(b, id.record.mark);
    pack_text(b, id.record.pairs);
    const struct val given = {.type = VAL_BLOB, .p = id.record.given.p, .n = id.record.given.n};
    val_put(b, &given);
    pack_int(b, id.writable);
    pack_text(b, id.path);
    free(id.path);
    pair_record_free(&id.record);
    return talk_say(s->talk, b) || done(s) ? -1 : 0;
}

static int use(struct serving *s, struct wire *w)
{
    if (s->used || !specs_get(w, &s->specs, s->side->which))
        return nonsense(s);
    s->used = true;
    s->ranges = mem_zero(s->specs.n, sizeof *s->ranges);
    return side_use(s->side, &s->specs) || work_open(&s->work, &s->specs) ? -1 : 0;
}

static int say_mark(void *ctx, const char *table, const struct val *key)
{
    struct serving *s = ctx;
    struct buf *b = begin_message(s, TALK_MARKS);
    pack_text(b, table);
    val_put(b, key);
    return talk_say(s->talk, b);
}

static int marks(struct serving *s, struct wire *w)
{
    int64_t since = unpack_int(w, INT64_MAX);
    return side_marks(s->side, since, say_mark, s) || done(s) ? -1 : 0;
}

static int say_blob(struct serving *s, const struct buf *b)
{
    const struct val blob = {.type = VAL_BLOB, .p = b->p, .n = b->n};
    val_put(begin_message(s, TALK_RANGES), &blob);
    return talk_say(s->talk, &s->say);
}

static int say_row(struct serving *s, size_t object, const struct val *row)
{
    pack_row(begin_message(s, TALK_ROW), row, s->specs.spec[object].row->nkey + 1);
    return talk_say(s->talk, &s->say);
}

static int rows_done(struct serving *s, size_t object)
{
    pack_int(begin_message(s, TALK_DONE), s->side->unkeyed[object]);
    return talk_say(s->talk, &s->say);
}

/* All rows, or the root of their sums. */
static int list(struct serving *s, struct wire *w)
{
    size_t object = (size_t)unpack_int(w, (int64_t)s->specs.n - 1);
    bool sums = unpack_int(w, 1) != 0;
    const struct val *row;
    if (w->state != WIRE_OK)
        return nonsense(s);
    size_t nkey = s->specs.spec[object].row->nkey;
    struct ranges *r = &s->ranges[object];
    int got = side_list(s->side, object) ? -1 : 1;
    if (sums) {
        ranges_free(r);
        ranges_begin(r);
    }
    while (got > 0 && (got = side_next(s->side, &row)) > 0) {
        if (sums)
            ranges_add(r, row, nkey, &row[nkey]);
        else if (say_row(s, object, row))
            got = -1;
    }
    if (got < 0)
        return -1;
    if (!sums)
        return rows_done(s, object);
    ranges_end(r);
    return say_blob(s, &(struct buf){.p = r->root, .n = SHA_BYTES});
}

static int say_groups(struct serving *s, const struct ranges *r)
{
    struct buf b = {0};
    for (size_t i = 0; i < r->ngroup; i++)
        wire_put_u64(&b, r->group[i]);
    int rc = say_blob(s, &b);
    buf_free(&b);
    return rc;
}

static int say_ranges(struct serving *s, const struct ranges *r, struct wire wanted)
{
    struct buf b = {0};
    while (wanted.p < wanted.end) {
        uint64_t group = wire_varint(&wanted);
        if (wanted.state != WIRE_OK || group >= r->ngroup) {
            buf_free(&b);
            return nonsense(s);
        }
        size_t first = group ? r->group_end[group - 1] : 0, end = r->group_end[group];
        wire_put_varint(&b, first);
        wire_put_varint(&b, end - first);
        for (size_t i = first; i < end; i++)
            wire_put_u64(&b, r->range[i]);
    }
    int rc = say_blob(s, &b);
    buf_free(&b);
    return rc;
}

/* The rows of the ranges of these numbers, which ascend. */
static int say_rows_of(struct serving *s, size_t object, struct wire wanted)
{
    struct ranges walk;
    const struct val *row;
    size_t nkey = s->specs.spec[object].row->nkey;
    uint64_t none = UINT64_MAX, next = wanted.p < wanted.end ? wire_varint(&wanted) : none;
    int got = side_list(s->side, object) ? -1 : 1;
    ranges_begin(&walk);
    while (got > 0 && next != none && (got = side_next(s->side, &row)) > 0) {
        if (walk.nrange == next && say_row(s, object, row))
            got = -1;
        if (ranges_add(&walk, row, nkey, &row[nkey]) && walk.nrange == next + 1)
            next = wanted.p < wanted.end ? wire_varint(&wanted) : none;
        if (wanted.state != WIRE_OK || (next != none && next < walk.nrange))
            got = nonsense(s);
    }
    ranges_free(&walk);
    return got < 0 ? -1 : rows_done(s, object);
}

static int ranges(struct serving *s, struct wire *w)
{
    size_t object = (size_t)unpack_int(w, (int64_t)s->specs.n - 1);
    int64_t level = unpack_int(w, TALK_LEVEL_ROWS);
    struct val blob = val_get(w);
    if (w->state != WIRE_OK || blob.type != VAL_BLOB || s->ranges[object].all == NULL)
        return nonsense(s);
    struct wire wanted = wire_over(blob.p, blob.n);
    switch (level) {
    case TALK_LEVEL_GROUPS:
        return say_groups(s, &s->ranges[object]);
    case TALK_LEVEL_RANGES:
        return say_ranges(s, &s->ranges[object], wanted);
    case TALK_LEVEL_ROWS:
        return say_rows_of(s, object, wanted);
    default:
        return nonsense(s);
    }
}

/* An item for work, as far as it was sent; the values point into the message. */
static int get_item(struct serving *s, struct wire *w, struct item *i, struct val *key, bool whole)
{
    *i = (struct item){
        .id = unpack_int(w, INT64_MAX), .object = (size_t)unpack_int(w, (int64_t)s->specs.n - 1), .key = key};
    if (w->state != WIRE_OK || !unpack_row(w, key, s->specs.spec[i->object].row->nkey))
        return nonsense(s);
    if (!whole)
        return 0;
    int which = s->side->which;
    i->what[which] = (enum what)unpack_int(w, WHAT_DELETED);
    i->op[which] = (enum change_op)unpack_int(w, CHANGE_UPDATE);
    i->fresh[which] = unpack_int(w, 1) != 0;
    i->version[which] = val_get(w);
    bool op = i->op[which] == 0 || i->op[which] == CHANGE_INSERT || i->op[which] == CHANGE_UPDATE ||
              i->op[which] == CHANGE_DELETE;
    return w->state == WIRE_OK && op ? 0 : nonsense(s);
}

static size_t widest(const struct serving *s)
{
    size_t n = 1;
    for (size_t i = 0; i < s->specs.n; i++)
        n = s->specs.spec[i].row->ncol > n ? s->specs.spec[i].row->ncol : n;
    return n;
}

static int take_key(struct serving *s, struct wire *w)
{
    struct item i;
    struct val *key = mem_zero(widest(s), sizeof *key);
    int rc = get_item(s, w, &i, key, false);
    if (rc == 0)
        rc = work_put(&s->work, &i);
    free(key);
    return rc;
}

static int say_fetched(void *ctx, struct item *i)
{
    struct serving *s = ctx;
    int which = s->side->which;
    struct buf *b = begin_message(s, TALK_FETCH);
    pack_int(b, i->id);
    if (i->row[which] == NULL) {
        if (i->reason[which] == NULL)
            return 0;
        pack_int(b, 1);
        pack_text(b, i->reason[which]);
        return talk_say(s->talk, b);
    }
    pack_int(b, 0);
    val_put(b, &i->version[which]);
    pack_row(b, i->row[which], s->specs.spec[i->object].row->ncol);
    return talk_say(s->talk, b);
}

/* All keys of the turn have come. */
static int fetch(struct serving *s)
{
    return side_fetch(s->side, &s->work, "1") || work_each(&s->work, say_fetched, s, "1 ORDER BY id") ||
                   work_clear(&s->work) || done(s)
               ? -1
               : 0;
}

static int take_item(struct serving *s, struct wire *w)
{
    struct item i;
    struct val *row = mem_zero(2 * widest(s), sizeof *row), *out = row + widest(s);
    int rc = get_item(s, w, &i, row, true);
    if (rc == 0 && unpack_int(w, 1)) {
        i.out = out;
        rc = unpack_row(w, out, s->specs.spec[i.object].row->ncol) ? 0 : nonsense(s);
    }
    if (rc == 0 && i.op[s->side->which] != 0 && i.op[s->side->which] != CHANGE_DELETE && i.out == NULL)
        rc = nonsense(s);
    if (rc == 0)
        rc = work_put(&s->work, &i);
    free(row);
    return rc;
}

static int say_result(void *ctx, struct item *i)
{
    struct serving *s = ctx;
    int which = s->side->which;
    struct buf *b = begin_message(s, TALK_ITEM);
    struct val given = i->given[which];
    if (given.type == VAL_NONE)
        given.type = VAL_NULL;
    pack_int(b, i->id);
    pack_int(b, i->state[which]);
    val_put(b, &given);
    pack_text(b, i->reason[which]);
    return talk_say(s->talk, b);
}

static int write_side(struct serving *s, struct wire *w)
{
    struct side_written out = {0};
    char *pair = unpack_text(w);
    int64_t run = unpack_int(w, INT64_MAX);
    bool plan = unpack_int(w, 1) != 0, dry = unpack_int(w, 1) != 0;
    s->writes += !dry;
    char *undo =
        s->writes > 1 ? mem_printf("%s.undo-%d.dx", s->path, s->writes) : mem_printf("%s.undo.dx", s->path);
    struct side_write how = {.pair = pair, .run = run, .undo = undo, .plan = plan, .dry = dry};
    char *asked = mem_printf("op%d <> 0 ORDER BY id", s->side->which);
    int rc = w->state == WIRE_OK ? side_write(s->side, &s->work, &how, &out) : nonsense(s);
    if (rc == 0)
        rc = work_each(&s->work, say_result, s, asked) || work_clear(&s->work) ? -1 : 0;
    if (rc == 0) {
        struct buf *b = begin_message(s, TALK_WRITE);
        pack_int(b, out.inserted);
        pack_int(b, out.updated);
        pack_int(b, out.deleted);
        pack_int(b, out.left);
        pack_int(b, out.mark);
        pack_text(b, out.undo);
        rc = talk_say(s->talk, b) || done(s) ? -1 : 0;
    }
    free(out.undo);
    free(asked);
    free(undo);
    free(pair);
    return rc;
}

static int answer(struct serving *s, enum talk_message kind, struct wire *w, bool *fetching)
{
    if (kind != TALK_HELLO && (s->side == NULL || (kind != TALK_IDENTIFY && kind != TALK_USE && !s->used)))
        return nonsense(s);
    switch (kind) {
    case TALK_HELLO:
        return hello(s, w);
    case TALK_IDENTIFY:
        return identify(s, w);
    case TALK_USE:
        return use(s, w);
    case TALK_BEGIN:
        return side_begin(s->side);
    case TALK_END:
        return side_end(s->side);
    case TALK_MARKS:
        return marks(s, w);
    case TALK_LIST:
        return list(s, w);
    case TALK_RANGES:
        return ranges(s, w);
    case TALK_FETCH:
        *fetching = true;
        return take_key(s, w);
    case TALK_ITEM:
        return take_item(s, w);
    case TALK_WRITE:
        return write_side(s, w);
    default:
        return nonsense(s);
    }
}

/* One turn: answers each message, and sends the answers. */
static int take_turn(struct serving *s)
{
    enum talk_message kind;
    struct wire w;
    bool fetching = false;
    int got;
    while ((got = talk_next(s->talk, &kind, &w)) > 0)
        if (answer(s, kind, &w, &fetching))
            return -1;
    if (got < 0 || (fetching && fetch(s)))
        return -1;
    return talk_turn(s->talk);
}

/* Tells the other end, who has the base, why. */
static void say_failure(struct serving *s)
{
    struct buf *b = begin_message(s, TALK_FAILED);
    char *message = mem_text(err_message());
    enum err_code code = err_code();
    pack_int(b, code);
    pack_text(b, message);
    if (talk_say(s->talk, b) == 0)
        talk_turn(s->talk);
    fail(code, "%s", message);
    free(message);
}

int serve_run(const char *path, int in, int out)
{
    struct serving s = {.path = path, .talk = talk_open(in, out, "the other end")};
    int more = s.talk ? 1 : -1;
    while (more > 0 && (more = talk_more(s.talk)) > 0)
        if (take_turn(&s)) {
            say_failure(&s);
            more = -1;
        }
    side_close(s.side);
    if (s.used)
        work_close(&s.work);
    for (size_t i = 0; s.ranges && i < s.specs.n; i++)
        ranges_free(&s.ranges[i]);
    free(s.ranges);
    specs_free(&s.specs);
    talk_close(s.talk);
    buf_free(&s.say);
    return more;
}
