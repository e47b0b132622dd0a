/* sync: see compare/sync.h. */
#include "compare/sync.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha.h"
#include "compare/decide.h"
#include "compare/pack.h"
#include "compare/version.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4, PAIR_BYTES = 16 };

static const char *const side_name[SIDES] = {"mine", "theirs"};

static void warn(struct sync *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct sync *s, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (s->options->warn)
        s->options->warn(s->options->ctx, line);
}

/* ---- who they are ---- */

/* Whether the two have been a pair by a base that is not this one. */
static bool share_a_pair(const struct side_identity id[SIDES])
{
    const char *all = id[MINE].record.pairs, *other = id[THEIRS].record.pairs;
    for (const char *p = all; p && other && *p; p += strcspn(p, " ") + 1) {
        char *pair = mem_printf("%.*s ", (int)strcspn(p, " "), p);
        bool found = strstr(other, pair) != NULL;
        free(pair);
        if (found)
            return true;
    }
    return false;
}

static int check_fresh(struct sync *s, const struct side_identity id[SIDES])
{
    if (!share_a_pair(id))
        return 0;
    return fail(ERR_GUARD,
                "%s: no base is there, but %s and %s have been synchronized with each other: the base is "
                "lost, or has "
                "another name. Name it; or --initial begins again, and then nothing counts as deleted",
                s->options->base, s->side[MINE]->name, s->side[THEIRS]->name);
}

/* What is amiss with one side, NULL when nothing is; to free. */
static char *amiss(const struct sync *s, int side, const struct side_identity *id)
{
    const struct base_side *known = &s->base->side[side];
    const char *name = s->side[side]->name, *base = s->base->path;
    const struct pair_record *p = &id->record;
    long long run = p->run, expected = known->run;
    if (p->known && p->role != side)
        return mem_printf("%s is the other side of %s: mine and theirs have changed places", name, base);
    if (p->known && run != expected && run != s->base->running)
        return run < expected
                   ? mem_printf("%s was restored from a backup: it knows run %lld of %s, the newest is %lld",
                                name, run, base, expected)
                   : mem_printf("%s is older than %s, which knows run %lld of it: the base was restored from "
                                "a backup",
                                base, name, run);
    if (!p->known && expected)
        return mem_printf(
            "%s has never been synchronized with %s: it is another database, or was restored from a backup",
            name, base);
    if (!p->known && known->path && strcmp(known->path, id->path) != 0)
        return mem_printf("%s is the base of %s, not of %s", base, known->path, id->path);
    return NULL;
}

static int new_pair(struct sync *s)
{
    char pair[2 * PAIR_BYTES + 1];
    sha_random_hex(PAIR_BYTES, pair);
    free(s->base->pair);
    s->base->pair = mem_text(pair);
    s->base->side[MINE].run = s->base->side[THEIRS].run = 0;
    return db_execf(s->base->db, "INSERT OR REPLACE INTO dx_base VALUES ('pair', %Q)", pair);
}

static void keep_path(struct sync *s, int side, struct side_identity *id)
{
    free(s->base->side[side].path);
    s->base->side[side].path = id->path;
    id->path = NULL;
    s->noted[side] = id->writable && (s->options->only == SIDES || s->options->only == side);
    if (!s->noted[side] && s->options->base)
        warn(s,
             "%s: is not written, so it is known by its path only: whether it was restored from a backup "
             "cannot be told",
             s->side[side]->name);
}

/* *forget: the base is of other databases. */
static int check_identity(struct sync *s, bool *forget)
{
    struct side_identity id[SIDES];
    int rc = side_identify(s->side[MINE], s->base->pair, &id[MINE]);
    if (rc == 0)
        rc = side_identify(s->side[THEIRS], s->base->pair, &id[THEIRS]);
    else
        id[THEIRS] = (struct side_identity){0};
    *forget = false;
    if (rc == 0 && s->options->base && strcmp(id[MINE].path, id[THEIRS].path) == 0)
        rc = fail(ERR_REFUSED, "%s and %s are one database", s->side[MINE]->name, s->side[THEIRS]->name);
    if (rc == 0 && s->options->base && s->base->fresh && !s->options->initial)
        rc = check_fresh(s, id);
    for (int side = 0; side < SIDES && rc == 0 && !s->base->fresh && !*forget; side++) {
        char *why = amiss(s, side, &id[side]);
        if (why && s->options->initial)
            *forget = true;
        else if (why)
            rc = fail(ERR_GUARD,
                      "%s; nothing was changed. Put the right file in its place; or --initial begins again, "
                      "and then nothing counts as deleted",
                      why);
        free(why);
    }
    if (rc == 0 && *forget)
        rc = new_pair(s);
    for (int side = 0; side < SIDES; side++) {
        if (rc == 0)
            keep_path(s, side, &id[side]);
        free(id[side].path);
        if (rc == 0 && s->base->running && id[side].record.run == s->base->running) {
            s->given[side] = id[side].record.given;
            id[side].record.given = (struct buf){0};
        }
        pair_record_free(&id[side].record);
    }
    return rc;
}

static int check_digest(struct sync *s, bool *renew)
{
    specs_digest(&s->specs, s->digest);
    *renew = s->base->digest && strcmp(s->base->digest, s->digest) != 0;
    if (!*renew || s->options->initial)
        return 0;
    return fail(ERR_GUARD,
                "%s: the configuration, or the tables of %s or %s, are not what they were in the last run; "
                "nothing was "
                "changed. --initial compares as for the first time; rows deleted before do not come back",
                s->base->path, s->side[MINE]->name, s->side[THEIRS]->name);
}

/* The keys that an interrupted run gave to rows. */
static int take_given(struct sync *s, int side)
{
    struct wire w = wire_over(s->given[side].p, s->given[side].n);
    while (w.p < w.end) {
        struct val row[2];
        char *table = unpack_text(&w);
        int rc = unpack_row(&w, row, 2)
                     ? 0
                     : fail(ERR_REFUSED, "%s: dx_sync_given is damaged", s->side[side]->name);
        for (size_t i = 0; i < s->specs.n && rc == 0; i++)
            if (strcmp(s->specs.spec[i].at[side].table, table) == 0)
                rc = base_link(s->base, i, &row[side == MINE], &row[side == THEIRS]);
        free(table);
        if (rc)
            return -1;
    }
    return 0;
}

/* ---- opening ---- */

static int open_base(struct sync *s)
{
    const char *path = s->options->base;
    bool there = path && file_exists(path);
    s->lock = -1;
    if (path && !s->options->dry) {
        char *lock = mem_printf("%s.lock", path);
        s->lock = file_lock(lock, "syncdiff");
        free(lock);
        if (s->lock < 0)
            return -1;
    }
    s->base = path == NULL || (s->options->dry && !there) ? base_none() : base_open(path, true);
    return s->base ? 0 : -1;
}

static void compare_content(struct specs *specs)
{
    for (size_t i = 0; i < specs->n; i++) {
        specs->spec[i].nchecked = specs->spec[i].nchange;
        specs->spec[i].nchange = 0;
    }
}

static int open_all(struct sync *s)
{
    bool forget, renew;
    if (open_base(s))
        return -1;
    if (s->options->conf && (s->conf = conf_read_sparse(s->options->conf)) == NULL)
        return -1;
    if (check_identity(s, &forget))
        return -1;
    for (int side = 0; side < SIDES; side++)
        if (side_describe(s->side[side], &s->described[side]))
            return -1;
    if (specs_of(s->conf, s->described, &s->specs) || check_digest(s, &renew) ||
        base_objects(s->base, &s->specs, renew, forget) || take_given(s, MINE) || take_given(s, THEIRS) ||
        work_open(&s->work, &s->specs))
        return -1;
    for (size_t i = 0; i < s->specs.nnote; i++)
        warn(s, "%s", s->specs.note[i]);
    s->look = s->specs.nnote > 0;
    if (s->options->check)
        compare_content(&s->specs);
    s->count = mem_zero(s->specs.n, sizeof *s->count);
    for (int side = 0; side < SIDES; side++)
        if (side_use(s->side[side], &s->specs))
            return -1;
    return 0;
}

struct sync *sync_open(struct side *const side[SIDES], const struct sync_options *options)
{
    struct sync *s = mem_zero(1, sizeof *s);
    s->options = options;
    s->side[MINE] = side[MINE];
    s->side[THEIRS] = side[THEIRS];
    if (open_all(s) == 0)
        return s;
    sync_close(s);
    return NULL;
}

void sync_close(struct sync *s)
{
    if (s == NULL)
        return;
    for (int side = 0; side < SIDES; side++) {
        side_close(s->side[side]);
        described_free(&s->described[side]);
        free(s->written[side].undo);
        buf_free(&s->given[side]);
    }
    work_close(&s->work);
    base_close(s->base);
    specs_free(&s->specs);
    conf_free(s->conf);
    free(s->count);
    file_unlock(s->lock);
    free(s);
}

/* ---- comparing ---- */

static int fetch(struct sync *s, int side)
{
    char *wants = decide_wants(&s->specs, side, s->options->all_rows || s->options->revert);
    int rc = side_fetch(s->side[side], &s->work, wants);
    free(wants);
    return rc;
}

static int decide(struct sync *s)
{
    struct decide d = {.specs = &s->specs,
                       .work = &s->work,
                       .base = s->base,
                       .taking = s->options->taking,
                       .take = s->options->take,
                       .newest = s->options->newest,
                       .revert = s->options->revert};
    for (int side = 0; side < SIDES; side++) {
        d.writable[side] =
            s->options->only == SIDES ? s->noted[side] || s->options->base == NULL : s->options->only == side;
        d.why[side] = side == MINE ? "not done: mine is not written" : "not done: theirs is not written";
    }
    return decide_run(&d);
}

/* Rows that have NULL in their key are named, as nothing else can be done about them. */
static void tell_unkeyed(struct sync *s)
{
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; s->side[side]->unkeyed && i < s->specs.n; i++)
            if (s->side[side]->unkeyed[i]) {
                warn(s, "%s: %lld rows of %s are not compared: they have NULL in their key",
                     s->specs.spec[i].name, (long long)s->side[side]->unkeyed[i], side_name[side]);
                s->look = true;
            }
}

static int compare_round(struct sync *s, bool first)
{
    struct threeway t = {.side = {s->side[MINE], s->side[THEIRS]},
                         .base = s->base,
                         .specs = &s->specs,
                         .work = &s->work,
                         .keep = s->options->base && !s->options->dry,
                         .count = s->count};
    struct threeway_counts *scratch = first ? NULL : mem_zero(s->specs.n, sizeof *scratch);
    struct join *join = NULL;
    if (scratch)
        t.count = scratch;
    int rc = work_clear(&s->work) || side_agreed(s->side[MINE], s->base) ||
                     side_agreed(s->side[THEIRS], s->base) || (!t.keep && join_open(s->side, &join)) ||
                     side_begin(s->side[MINE]) || side_begin(s->side[THEIRS])
                 ? -1
                 : 0;
    int joined = rc == 0 && join ? join_begin(join) : 0;
    t.join = joined > 0 ? join : NULL;
    if (rc == 0)
        rc = joined < 0 || threeway_run(&t) || fetch(s, MINE) || fetch(s, THEIRS) ? -1 : 0;
    free(scratch);
    if (side_end(s->side[MINE]) || side_end(s->side[THEIRS]))
        rc = -1;
    join_close(join);
    if (rc || decide(s))
        return -1;
    s->conflicts = work_count(&s->work, "outcome = 2");
    s->left = work_count(&s->work, "outcome = 3");
    if (first)
        tell_unkeyed(s);
    return s->conflicts < 0 || s->left < 0 ? -1 : 0;
}

int sync_compare(struct sync *s)
{
    return compare_round(s, true);
}

int sync_guard(struct sync *s)
{
    return guard_check(&s->work, s->count, &s->options->limits, s->options->approve);
}

/* ---- writing ---- */

static int write_side(struct sync *s, int side, int round, bool dry)
{
    struct side_written w;
    char *undo = round ? mem_printf("%s.undo-%s-%d.dx", s->base->path, side_name[side], round + 1)
                       : mem_printf("%s.undo-%s.dx", s->base->path, side_name[side]);
    char *has = mem_printf("op%d <> 0", side);
    int64_t todo = work_count(&s->work, has);
    struct side_write how = {
        .pair = s->base->pair, .run = s->base->running, .undo = undo, .plan = todo > 0, .dry = dry};
    int rc = todo < 0                           ? -1
             : todo || (s->noted[side] && !dry) ? side_write(s->side[side], &s->work, &how, &w)
                                                : 0;
    if (rc == 0 && !dry && (todo || s->noted[side])) {
        struct side_written *sum = &s->written[side];
        sum->inserted += w.inserted;
        sum->updated += w.updated;
        sum->deleted += w.deleted;
        sum->left = w.left;
        if (w.undo) {
            free(sum->undo);
            sum->undo = w.undo;
        }
        s->base->side[side].mark = w.mark;
        if (s->noted[side])
            s->base->side[side].run = s->base->running;
    }
    free(undo);
    free(has);
    return rc;
}

struct linking {
    struct sync *s;
    int side;
};

/* The row was found under another key: the two are one, unless that one has a partner already. */
static int check_link(void *ctx, struct item *i)
{
    const struct linking *l = ctx;
    struct item other;
    char why[128];
    int found = work_find(&l->s->work, i->object, &i->given[l->side], &other);
    if (found < 0)
        return -1;
    if (found && other.op[!l->side] == CHANGE_INSERT)
        return 0;
    snprintf(why, sizeof why, "another row has its user key, key %s", val_show(&i->given[l->side]));
    i->reason[l->side] = why;
    i->state[l->side] = STATE_LEFT;
    return work_put(&l->s->work, i);
}

static int check_links(struct sync *s, int side)
{
    struct linking l = {s, side};
    char *condition = mem_printf("state%d = %d", side, STATE_LINKED);
    int rc = work_each(&s->work, check_link, &l, condition);
    free(condition);
    return rc;
}

struct recording {
    struct sync *s;
    int64_t left;
    bool again; /* another round can do more */
};

static int record_left(struct recording *r, const struct item *i, int side)
{
    r->left++;
    return base_issue(r->s->base, &r->s->specs, i, side);
}

/* The rows got keys of their own. */
static int record_fresh(struct recording *r, const struct item *i)
{
    for (int side = 0; side < SIDES; side++) {
        if (i->op[side] == 0 || i->state[side] != STATE_DONE || i->given[side].type == VAL_NULL)
            continue;
        const struct val *mine = side == THEIRS ? &i->key[0] : &i->given[side],
                         *theirs = side == THEIRS ? &i->given[side] : &i->key[0];
        if (base_link(r->s->base, i->object, mine, theirs))
            return -1;
        r->again = true;
    }
    return 0;
}

static int record_plan(struct recording *r, struct item *i)
{
    struct sync *s = r->s;
    const struct spec *spec = &s->specs.spec[i->object];
    bool done = true, linked = false;
    for (int side = 0; side < SIDES; side++) {
        if (i->op[side] == 0)
            continue;
        if (i->state[side] == STATE_LINKED) {
            const struct val *mine = side == THEIRS ? &i->key[0] : &i->given[side],
                             *theirs = side == THEIRS ? &i->given[side] : &i->key[0];
            if (base_link(s->base, i->object, mine, theirs))
                return -1;
            linked = true;
            done = false;
        } else if (i->state[side] != STATE_DONE) {
            done = false;
            if (record_left(r, i, side))
                return -1;
        }
    }
    r->again |= linked;
    if (i->fresh[MINE] || i->fresh[THEIRS])
        return record_fresh(r, i);
    if (!done)
        return 0;
    const struct val *row = i->out ? i->out : i->op[THEIRS] ? i->row[MINE] : i->row[THEIRS];
    if (row == NULL)
        return base_drop(s->base, spec, i->object, i->key);
    struct buf version = {0}, content = {0};
    version_of(spec, row, &version);
    content_of(spec, row, &content);
    const struct val v = {.type = VAL_BLOB, .p = version.p, .n = version.n},
                     c = {.type = content.n ? VAL_BLOB : VAL_NULL, .p = content.p, .n = content.n};
    int rc = base_agree(s->base, spec, i->object, i->key, &v, &c);
    buf_free(&version);
    buf_free(&content);
    return rc;
}

static int record_one(void *ctx, struct item *i)
{
    struct recording *r = ctx;
    struct sync *s = r->s;
    const struct spec *spec = &s->specs.spec[i->object];
    switch (i->outcome) {
    case OUTCOME_AGREED:
        return i->version[MINE].type == VAL_BLOB
                   ? base_agree(s->base, spec, i->object, i->key, &i->version[MINE], NULL)
                   : base_drop(s->base, spec, i->object, i->key);
    case OUTCOME_PLAN:
        return record_plan(r, i);
    case OUTCOME_CONFLICT:
        return base_conflict(s->base, &s->specs, i);
    default:
        r->left++;
        return base_issue(s->base, &s->specs, i, i->reason[MINE] ? SIDES : THEIRS);
    }
}

static int record(struct sync *s, bool *again)
{
    struct recording r = {.s = s};
    if (base_clear_lists(s->base) || work_each(&s->work, record_one, &r, "1 ORDER BY id") ||
        base_end_run(s->base, s->digest))
        return -1;
    s->left = r.left;
    *again = r.again;
    return 0;
}

/* Base and sides know each other, as they are. */
static bool settled_before(struct sync *s)
{
    bool noted = s->base->side[MINE].run || !s->noted[MINE];
    noted = noted && (s->base->side[THEIRS].run || !s->noted[THEIRS]);
    return !s->base->fresh && noted && s->base->running == 0 && s->base->digest &&
           strcmp(s->base->digest, s->digest) == 0;
}

/* Nothing is written, and nothing is to be noted. */
static bool nothing_new(struct sync *s)
{
    return settled_before(s) && work_count(&s->work, "outcome IN (0, 1)") == 0;
}

/* The lists of conflicts and issues are kept up also where nothing else is. */
static int record_lists(struct sync *s)
{
    struct recording r = {.s = s};
    static const char sum[] =
        "SELECT coalesce((SELECT group_concat(object || hex(key) || coalesce(hex(version_mine), '') || ' ' ||"
        " coalesce(hex(version_theirs), '')) FROM dx_conflict), '') ||"
        " coalesce((SELECT group_concat(object || hex(key) || side || reason) FROM dx_issue), '')";
    char *before = NULL, *after = NULL;
    int rc = db_get_text(s->base->db, &before, sum) || base_clear_lists(s->base) ||
                     work_each(&s->work, record_one, &r, "outcome IN (1, 2, 3) ORDER BY id") ||
                     db_exec(s->base->db, "DELETE FROM dx_conflict WHERE old") ||
                     db_get_text(s->base->db, &after, sum)
                 ? -1
                 : 0;
    if (rc == 0 && before && after && strcmp(before, after) != 0)
        rc = base_commit(s->base);
    s->left = r.left;
    free(before);
    free(after);
    return rc;
}

static int is_new(void *ctx, struct item *i)
{
    struct sync *s = ctx;
    return !base_has_issue(s->base, &s->specs, i);
}

/* All that is to be done was left alone by the last run, and is again: tried, without a trace. 1, 0, -1. */
static int only_left(struct sync *s)
{
    if (work_count(&s->work, "outcome = 0") != 0 || work_each(&s->work, is_new, s, "op0 <> 0 OR op1 <> 0"))
        return 0;
    s->base->running = s->base->run + 1;
    if (write_side(s, THEIRS, 0, true) || write_side(s, MINE, 0, true) || check_links(s, THEIRS) ||
        check_links(s, MINE))
        return -1;
    int64_t done = work_count(&s->work, "(op0 <> 0 AND state0 <> 3) OR (op1 <> 0 AND state1 <> 3)");
    if (done == 0)
        return 1;
    return done < 0 || db_exec(s->work.db,
                               "UPDATE item SET state0 = 0, state1 = 0, reason0 = NULL, reason1 = NULL,"
                               " given0 = NULL, given1 = NULL WHERE op0 <> 0 OR op1 <> 0")
               ? -1
               : 0;
}

static int write_round(struct sync *s, int round, bool *again)
{
    *again = false;
    int idle = nothing_new(s) ? 1 : settled_before(s) ? only_left(s) : 0;
    if (idle)
        return idle < 0 ? -1 : record_lists(s);
    if (base_begin_run(s->base) || write_side(s, THEIRS, round, false) || write_side(s, MINE, round, false) ||
        check_links(s, THEIRS) || check_links(s, MINE))
        return -1;
    return record(s, again);
}

int sync_write(struct sync *s)
{
    bool again = true;
    for (int round = 0; again && round < ROUNDS; round++) {
        if (round && compare_round(s, false))
            return -1;
        if (sync_guard(s) || write_round(s, round, &again))
            return -1;
        s->base->fresh = false;
        for (size_t i = 0; i < s->base->nobject; i++)
            s->base->object[i].initial = s->base->object[i].blind = false;
    }
    s->look |= s->conflicts > 0 || s->left > 0;
    return 0;
}

bool sync_pending(const struct sync *s)
{
    return work_count((struct work *)&s->work, "outcome <> 0") != 0;
}
