/* apply: see apply/apply.h. */
#include "apply/apply.h"

#include "apply/app_triggers.h"
#include "apply/download.h"
#include "apply/log_apply.h"
#include "apply/merge.h"
#include "apply/plan_apply.h"
#include "apply/quarantine_recheck.h"
#include "apply/rejected_rows.h"
#include "apply/settle.h"
#include "apply/snapshot.h"
#include "apply/upload_apply.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/applied_digests.h"
#include "journal/capture.h"
#include "journal/meta.h"
#include "sql/changekey.h"

#include <stdlib.h>
#include <string.h>

/* What the ways of applying do. */
struct kind {
    int (*begin)(struct apply_context *w); /* before the first change: 1 go on, 0 applied before, -1 */
    int (*ready)(struct apply_context *w); /* behind that, when the triggers are set; or NULL */
    apply_one_fn *one;                     /* with each */
    int (*end)(struct apply_context *w);   /* after the last */
    int (*last)(struct apply_context *w);  /* when the triggers are back; or NULL */
    bool behind;                           /* `one` itself has changes wait behind others of their row */
    /* with a change of a table that cannot be written here; NULL: the archive is refused */
    int (*stranger)(struct apply_context *w, const struct change *c);
};

static const struct kind download = {download_begin, download_ready, download_one, download_end,
                                     download_last,  false,          NULL};
static const struct kind snapshot = {snapshot_begin,  snapshot_ready, snapshot_one, snapshot_end,
                                     snapshot_attach, false,          NULL};
static const struct kind upload = {upload_apply_begin, NULL, upload_apply_one,     upload_apply_end,
                                   upload_apply_last,  true, upload_apply_stranger};
static const struct kind replay = {log_apply_begin, NULL, merge_one, log_apply_end, NULL, false, NULL};
static const struct kind rows = {plan_apply_begin, NULL, plan_apply_one, plan_apply_end, NULL, false, NULL};

/* What the archive may do comes from the caller, not from its head: 0, or -1 when it is not what the caller says. */
static int check_authority(const struct dx_head *h, const struct apply_options *o, const char *name)
{
    bool log = h->kind == DX_CHANGES && *h->to == 0;
    bool empty = h->ntable == 0 && h->upto == 0; /* the router's answer to a node that has everything */
    if (o->upload_from && (h->kind != DX_UPLOAD || strcmp(h->from, o->upload_from) != 0))
        return fail(ERR_REFUSED, "%s: not an upload of node %s, but of kind %s from '%.100s'", name,
                    o->upload_from, dx_kind_name(h->kind), h->from);
    if (o->log && !log)
        return fail(ERR_REFUSED, "%s: not a log, but an archive of kind %s%s; apply it without --log", name,
                    dx_kind_name(h->kind), *h->to ? " with a receiver" : "");
    if (log && !empty && !o->log)
        return fail(ERR_REFUSED,
                    "%s: a log may change everything; if you trust where it comes from, apply it with --log",
                    name);
    return 0;
}

static const struct kind *choose(const struct dx_head *h, const struct apply_options *o, const char *name)
{
    if (check_authority(h, o, name))
        return NULL;
    switch (h->kind) {
    case DX_SNAPSHOT:
        return &snapshot;
    case DX_UPLOAD:
        return &upload;
    case DX_CHANGES:
        return *h->to ? &download : &replay;
    case DX_ROWS:
        return &rows;
    default:
        fail(ERR_REFUSED, "%s: an archive of kind %s cannot be applied", name, dx_kind_name(h->kind));
        return NULL;
    }
}

/* ---- changes ---- */

/* A value whose column is not here is not passed over in silence: of an upload it is recorded with the change. */
static int check_columns(struct apply_context *w, const struct kind *k, const struct target *t,
                         const struct change *c)
{
    int column = target_unplaced(t, c->table, c);
    bool hash = column >= 0 && w->head->kind == DX_ROWS && changekey_is_hash(c->table->col[column]);
    if (column < 0 || hash) /* the hash behind a row that was asked for is no value of it */
        return 0;
    w->count->unplaced++;
    fail(ERR_REFUSED, "%s: table %s has no column %s", w->name, c->table->name, c->table->col[column]);
    if (w->count->unplaced == 1)
        w->count->unplaced_why = mem_text(err_message());
    return k->stranger ? k->stranger(w, c) : 0;
}

static int apply_changes(struct apply_context *w, const struct kind *k)
{
    struct change *c = &w->read, local;
    int got;
    while ((got = dx_read(w->reader, c)) > 0) {
        struct target *t = targets_for(&w->targets, c->table);
        if (t == NULL) {
            if (k->stranger == NULL || err_code() != ERR_REFUSED || k->stranger(w, c))
                return -1;
            continue;
        }
        if (check_columns(w, k, t, c))
            return -1;
        target_map(t, c->table, c, &local);
        if (w->leave && deferred_blocks(w, t, &local)) {
            w->count->left++;
            continue;
        }
        int behind = k->behind ? 0 : deferred_behind(w, t, &local);
        if (behind < 0 || (behind == 0 && k->one(w, t, &local)))
            return -1;
    }
    return got;
}

/* From a node comes one archive: what is behind it would be read by no rule of this one. */
static int check_last(struct apply_context *w)
{
    return w->options->upload_from ? dx_require_last(w->reader) : 0;
}

static int forget(struct apply_context *w)
{
    return meta_present(w->db) > 0 ? capture_forget(w->db) : 0;
}

/* What is written to a table while it is not captured, or was before, must not be written over. */
static int check_capture(struct apply_context *w)
{
    int present = meta_present(w->db);
    return present > 0 ? capture_check(w->db) : present;
}

static int note_capture(struct apply_context *w)
{
    return meta_present(w->db) > 0 ? capture_note_whole(w->db) : 0;
}

static int note_seen(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    return h->number ? applied_digests_note(w->db, dx_kind_name(h->kind), h->epoch, h->number,
                                            dx_end(w->reader)->sha256)
                     : 0;
}

/* An archive that was applied before is read to its end; it must be the same one, or say nothing, as the router's
 * answer to a node that has everything does. */
static int again(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    w->count->repeat = true;
    if (dx_skip(w->reader) || check_last(w))
        return -1;
    if (*h->to && h->number == 0 && dx_end(w->reader)->changes)
        return fail(ERR_REFUSED, "%s: the archive has no number, but a download needs one", w->name);
    int same = h->number && dx_end(w->reader)->changes
                   ? applied_digests_same(w->db, dx_kind_name(h->kind), h->epoch, h->number,
                                          dx_end(w->reader)->sha256)
                   : 1;
    if (same == 0)
        return fail(
            ERR_REFUSED,
            "%s: an archive numbered %lld was applied before, but it was another one: this database or the "
            "sender's was restored from a backup; run initsync on the client, what it has not sent is kept",
            w->name, (long long)h->number);
    return same < 0 ? -1 : 0;
}

/* Which triggers fire, and for an upload that what the server's own write is its own, too. */
static int begin_triggers(struct apply_context *w, const struct kind *k, struct app_triggers *f)
{
    app_triggers_act *act = k == &upload ? upload_apply_triggers : NULL;
    if (app_triggers_begin(f, w->db, w->head->table, w->head->ntable, act, w, k == &replay))
        return -1;
    if (act && !f->off && w->effect.journal)
        w->effect.triggers = trigger_effects_begin(&w->targets, &w->effect);
    return 0;
}

static int apply_all(struct apply_context *w, const struct kind *k, struct app_triggers *f)
{
    if (begin_triggers(w, k, f) || (k->ready && k->ready(w)) || deferred_begin(w) || quarantine_recheck(w))
        return -1;
    if (apply_changes(w, k) || check_last(w))
        return -1;
    if (k->end(w) || settle_deferred(w) || merge_end_children(w) || note_seen(w))
        return -1;
    if (db_triggers(w->db, false) || forget(w) || app_triggers_end(f))
        return -1;
    return (k->last && k->last(w)) || note_capture(w) ? -1 : 0;
}

/* ---- guards ---- */

static int over_percent(struct apply_context *w, const struct target *t, const struct change_log_count *n,
                        bool *over)
{
    int64_t now;
    if (w->options->guard_percent < 0)
        return 0;
    if (db_get_int(w->db, &now, "SELECT count(*) FROM main.\"%w\"", t->table->name))
        return -1;
    int64_t before = now - n->inserted + n->deleted;
    *over |= (n->deleted + n->updated) * 100 > before * w->options->guard_percent;
    return 0;
}

static int guard(struct apply_context *w)
{
    const struct apply_options *o = w->options;
    const char *digest = dx_end(w->reader)->sha256;
    if ((o->guard_rows < 0 && o->guard_percent < 0) || (o->approve && strcmp(o->approve, digest) == 0))
        return 0;
    for (size_t i = 0; i < w->effect.n; i++) {
        const struct change_log_count *n = &w->effect.count[i];
        bool over = o->guard_rows >= 0 && n->deleted + n->updated > o->guard_rows;
        if (over_percent(w, w->targets.target[i], n, &over))
            return -1;
        if (over)
            return fail(ERR_GUARD,
                        "%s: %lld rows of table %s would be deleted and %lld overwritten, more than the "
                        "guard allows; "
                        "nothing was changed. If that is right: --approve %s",
                        w->name, (long long)n->deleted, w->targets.target[i]->table->name,
                        (long long)n->updated, digest);
    }
    return 0;
}

/* ---- one archive ---- */

static void sum_up(struct apply_context *w)
{
    for (size_t i = 0; i < w->effect.n; i++) {
        w->count->inserted += w->effect.count[i].inserted;
        w->count->updated += w->effect.count[i].updated;
        w->count->deleted += w->effect.count[i].deleted;
    }
}

/* Who must have signed it: what is for a copy, the server, whatever its head says. NULL: its sender. */
static const char *signer(const struct dx_head *h, const struct apply_options *o)
{
    if (o->upload_from)
        return o->upload_from;
    return h->kind == DX_SNAPSHOT || (h->kind == DX_CHANGES && *h->to) ? SIGNATURE_SERVER : NULL;
}

static int finish(struct apply_context *w)
{
    const struct apply_options *o = w->options;
    sum_up(w);
    if (o->signers.file && signature_check(w->reader, w->head, &o->signers, signer(w->head, o), w->name))
        return -1;
    if (guard(w))
        return -1;
    if (o->dry) {
        db_rollback(w->db);
        return 0;
    }
    if (o->undo && change_log_write_undo(&w->effect, &w->targets, o->undo))
        return -1;
    return db_commit(w->db);
}

static char *label(const struct dx_head *h)
{
    return mem_printf("%s %s%lld",
                      *h->from ? h->from
                      : *h->to ? "server"
                               : "changes",
                      h->number ? "" : "upto ", (long long)(h->number ? h->number : h->upto));
}

/* A copy that begins gets write-ahead logging, so that it stays readable while archives are applied. */
static int prepare_new(struct db *db, const struct dx_head *h)
{
    int64_t n;
    if (h->kind != DX_SNAPSHOT)
        return 0;
    if (db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema"))
        return -1;
    return n ? 0 : db_exec(db, "PRAGMA journal_mode = WAL");
}

/* What a copy may hold no more is not to be found in its free pages either. */
static int leave_no_trace(struct db *db, const struct dx_head *h)
{
    return *h->to ? db_exec(db, "PRAGMA secure_delete = ON") : 0;
}

static int run(struct apply_context *w, const struct kind *k, struct app_triggers *f)
{
    int go = check_capture(w) ? -1 : k->begin(w);
    if (go < 0)
        return -1;
    if (go == 0)
        return again(w);
    return apply_all(w, k, f) ? -1 : finish(w);
}

static void end(struct apply_context *w, struct app_triggers *fires)
{
    deferred_free(w);
    merge_free(w->merge);
    stmt_free(w->conflict);
    change_log_end(&w->effect);
    targets_free(&w->targets);
    rowset_free(&w->pending);
    snapshot_free(w->snapshot);
    plan_apply_free(w->rows);
    free(w->archive);
    db_rollback(w->db); /* whatever was not committed */
    db_triggers(w->db, true);
    app_triggers_free(fires);
}

int apply_archive(struct db *db, struct dx_reader *r, const struct dx_head *h, const struct apply_options *o,
                  struct apply_count *count)
{
    struct apply_context w = {
        .db = db, .name = db_path(db), .reader = r, .head = h, .options = o, .count = count};
    struct app_triggers fires = {0};
    const struct kind *k = choose(h, o, w.name);
    *count = (struct apply_count){0};
    if (k == NULL || prepare_new(db, h) || leave_no_trace(db, h) || db_begin_write(db))
        return -1;
    targets_init(&w.targets, db);
    w.archive = label(h);
    merge_begin(&w);
    int rc = run(&w, k, &fires);
    if (rc && k == &upload) {
        db_rollback(db);
        upload_apply_failed(&w);
    }
    end(&w, &fires);
    return rc;
}

/* ---- no archive ---- */

static int finish_waiting(struct apply_context *w, struct app_triggers *f)
{
    if (check_capture(w) || change_log_begin(&w->effect, w->db, true, false))
        return -1;
    upload_apply_watch(w);
    if (begin_triggers(w, &upload, f) || deferred_begin(w) || quarantine_recheck(w))
        return -1;
    if (settle_deferred(w) || db_triggers(w->db, false) || forget(w) || app_triggers_end(f))
        return -1;
    return note_capture(w) ? -1 : db_commit(w->db);
}

int apply_waiting(struct db *db, struct apply_count *count)
{
    char nobody[] = "";
    struct dx_head head = {.kind = DX_UPLOAD, .from = nobody, .to = nobody};
    struct apply_options options = {.guard_rows = -1, .guard_percent = -1};
    struct apply_context w = {
        .db = db, .name = db_path(db), .head = &head, .options = &options, .count = count};
    struct app_triggers fires = {0};
    *count = (struct apply_count){0};
    if (db_begin_write(db))
        return -1;
    w.way = WORK_MERGE;
    targets_init(&w.targets, db);
    merge_begin(&w);
    int due = rejected_rows_due(db), rc = due < 0 ? -1 : 0;
    if (due > 0)
        rc = finish_waiting(&w, &fires);
    end(&w, &fires);
    return rc;
}
