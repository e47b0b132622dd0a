/* upload_apply: see apply/upload_apply.h. What the node may not do is refused row by row, recorded, and the row as it is here sent back. */
#include "apply/upload_apply.h"

#include "apply/deleted_row.h"
#include "apply/hidden_columns.h"
#include "apply/merge.h"
#include "apply/node_view.h"
#include "apply/rekey_server.h"
#include "base/err.h"
#include "base/mem.h"
#include "nodes/hold.h"
#include "nodes/key_range.h"
#include "nodes/membership_log.h"
#include "nodes/offer.h"
#include "nodes/verdict.h"

#include <stdlib.h>
#include <string.h>

/* A merge works in more trees at once than a download does: the rows, their indexes, the journal, who holds what. With
 * SQLite's 2 MB they push each other out. */
static const char sql_cache[] = "PRAGMA cache_size = -32768";

/* Whether the archive that the node has applied last is one that was made here: 1, -1. */
static int check_line(struct apply_context *w, const struct node *n)
{
    const struct dx_head *h = w->head;
    char *digest;
    if (membership_log_digest(w->db, n->id, h->applied, &digest))
        return -1;
    bool other = *digest && *h->follows && strcmp(digest, h->follows) != 0;
    free(digest);
    if (other)
        return fail(
            ERR_REFUSED,
            "%s: node %s has applied an archive %lld that is not the one made here: this database was "
            "restored from a backup; extract the node again (initsync), what it has not sent is kept",
            w->name, n->name, (long long)h->applied);
    return 1;
}

static int check(struct apply_context *w, struct node *n)
{
    const struct dx_head *h = w->head;
    int current = strcmp(h->epoch, n->epoch) == 0 ? 1 : offer_accept(w->db, n, h->epoch);
    if (current <= 0)
        return current ? -1
                       : fail(ERR_REFUSED,
                              "%s: the upload of node %s is numbered in epoch %s, here the node is in %s: it "
                              "was registered or "
                              "extracted again, or one side was restored from a backup; run initsync on the "
                              "node, what it has "
                              "not "
                              "sent yet is kept",
                              w->name, n->name, *h->epoch ? h->epoch : "none", n->epoch);
    if (h->number <= 0)
        return fail(ERR_REFUSED, "%s: the upload of node %s has no number", w->name, n->name);
    if (h->applied > n->archive)
        return fail(ERR_REFUSED,
                    "%s: node %s has applied archive %lld, but only %lld were made here: this database was "
                    "restored from "
                    "a backup; extract the node again (initsync)",
                    w->name, n->name, (long long)h->applied, (long long)n->archive);
    if (check_line(w, n) < 0)
        return -1;
    if (h->number <= n->merged)
        return 0;
    if (h->number > n->merged + 1)
        return fail(ERR_REFUSED, "%s: upload %lld of node %s cannot be merged: upload %lld is missing",
                    w->name, (long long)h->number, n->name, (long long)n->merged + 1);
    return 1;
}

static int check_hold(struct apply_context *w, const struct node *n)
{
    char *why, *since;
    int held = hold_find(w->db, n->id, &why, &since);
    if (held > 0)
        fail(ERR_GUARD,
             "%s: node %s is held since %s: %s; its uploads are kept. To go on: txnroute node release %s %s",
             w->name, n->name, since, why, w->name, n->name);
    free(why);
    free(since);
    return held ? -1 : 0;
}

/* The node whose change is noted; NULL where it is none's. */
static struct merge *merge_of_origin(const struct apply_context *w)
{
    struct merge *m = w->merge;
    do {
        if (m->noded && w->effect.origin && strcmp(w->effect.origin, m->node.name) == 0)
            return m;
    } while ((m = m->next) != NULL && m != w->merge);
    return NULL;
}

/* A file that a row names now by the node's doing, and that the node may not have, is its claim. */
static int claim_files(void *ctx, struct target *t, const struct change *c)
{
    struct apply_context *w = ctx;
    struct merge *m = c->op == CHANGE_DELETE ? NULL : merge_of_origin(w);
    if (m == NULL || m->package == NULL || m->package->attachments == NULL)
        return 0;
    if (m->files == NULL && (m->files = attachment_view_open(w->db, &m->node)) == NULL)
        return -1;
    struct buf room = {0};
    struct val key = change_packed_key(c, &room);
    int rc = attachment_claim(m->files, t->table, c->new, &key);
    buf_free(&room);
    return rc;
}

void upload_apply_watch(struct apply_context *w)
{
    w->effect.made = claim_files;
    w->effect.made_ctx = w;
}

int upload_apply_begin(struct apply_context *w)
{
    struct merge *m = w->merge;
    if (node_require(w->db, w->head->from, &m->node))
        return -1;
    m->noded = true;
    w->way = WORK_MERGE;
    int go = check(w, &m->node);
    if (go <= 0)
        return go;
    if (check_hold(w, &m->node) || upload_quota_read(&m->quota, w->db, m->node.name) ||
        upload_guard_read(&m->guard, w->db, &m->node, w->head->number))
        return -1;
    m->package = package_get(w->db, m->node.package);
    if (m->package == NULL || rekey_map_load(&m->rekeys, w->db, m->node.id, w->head->applied, m->package) ||
        journal_end(w->db, &m->start) || db_exec(w->db, sql_cache) ||
        change_log_begin(&w->effect, w->db, true, w->options->undo != NULL))
        return -1;
    w->effect.origin = w->effect.sender = m->node.name;
    upload_apply_watch(w);
    return 1;
}

/* All keys that the node's rows got go with its next archive, in its head. */
static int check_rekeys(struct apply_context *w, struct merge *m)
{
    enum { BYTES = DX_JSON_MAX - (1 << 19) };
    int64_t bytes = 0;
    if (m->rekeys.n && rekey_unsent_bytes(w->db, m->node.id, &bytes))
        return -1;
    m->quota.over |= bytes > BYTES;
    return bytes <= BYTES
               ? 0
               : fail(ERR_GUARD,
                      "%s: upload %lld of node %s: more of its rows have keys that are taken here than one "
                      "archive can give other keys; nothing was changed; `keys = ranges` of a package gives "
                      "each copy keys of its own",
                      w->name, (long long)w->head->number, m->node.name);
}

int upload_apply_last(struct apply_context *w)
{
    struct merge *m = w->merge;
    if (check_rekeys(w, m) || upload_guard_check(&m->guard, w, &m->node, m->package))
        return -1;
    return upload_quota_end(&m->quota, w->db, m->node.name, w->count)
               ? fail_in("%s: upload %lld of node %s", w->name, (long long)w->head->number, m->node.name)
               : 0;
}

void upload_apply_failed(struct apply_context *w)
{
    struct merge *m = w->merge;
    char *message = mem_text(err_message());
    enum err_code code = err_code();
    bool over = m->quota.over || m->guard.over;
    if (over && !w->options->dry &&
        (db_begin_write(w->db) || hold_node(w->db, m->node.name, message) ||
         upload_guard_ask(&m->guard, w, &m->node) || db_commit(w->db)))
        db_rollback(w->db);
    if (m->guard.over)
        fail(code,
             "%s. It waits until an operator decides: txnroute node approve %s %s, or txnroute node reject "
             "%s %s",
             message, w->name, m->node.name, w->name, m->node.name);
    else if (m->quota.over)
        fail(code, "%s; the node is held until an operator releases it: txnroute node release %s %s", message,
             w->name, m->node.name);
    free(message);
}

int upload_apply_end(struct apply_context *w)
{
    const struct node *n = &w->merge->node;
    return node_note_merged(w->db, n->id, w->head->number) ||
                   node_note_applied(w->db, n->id, w->head->applied) ||
                   rejected_rows_known(w, w->head->applied) ||
                   verdict_known(w->db, n->id, w->head->applied) || approval_forget(w->db, n->id)
               ? -1
               : 0;
}

/* ---- permission ---- */

static bool permitted(const struct object *o, enum change_op op)
{
    unsigned needed = op == CHANGE_INSERT ? WRITE_INSERT : op == CHANGE_UPDATE ? WRITE_UPDATE : WRITE_DELETE;
    return o && (o->write & needed);
}

/* Takes the columns that do not travel out of the change. Whether it would have written one of them: an insert may tell
 * NULL of a column that its table has. */
static bool strip_hidden(const struct merge_table *m, const struct target *t, struct change *c)
{
    bool wrote = false;
    for (size_t i = 0; i < t->table->ncol; i++) {
        if (m->sent[i])
            continue;
        wrote |= c->new[i].type != VAL_NONE && !(c->op == CHANGE_INSERT && c->new[i].type == VAL_NULL);
        c->old[i].type = c->new[i].type = VAL_NONE;
    }
    return wrote;
}

/* Merges what the node may do, behind other changes of the row that wait. */
static int merge(struct apply_context *w, struct target *t, struct change *c)
{
    int behind = deferred_behind(w, t, c);
    return behind ? (behind < 0 ? -1 : 0) : merge_one(w, t, c);
}

static int refuse(struct apply_context *w, struct target *t, const struct change *c, const char *why)
{
    int here = target_row(t, c, NULL);
    if (here < 0 || conflict_row(w, t, c, here > 0, CONFLICT_PERMISSION, CONFLICT_OURS, why) ||
        rejected_rows_note(w, t, c))
        return -1;
    return merge_force(w, t, c, w->merge->node.name);
}

/* Whether the node held the row until it was deleted, and did not lose it before. */
static int held_when_deleted(struct apply_context *w, const struct merge_table *m, struct target *t,
                             const struct change *c)
{
    struct val *row = mem_zero(t->table->ncol, sizeof *row);
    struct arena arena = {0};
    struct buf room = {0};
    struct membership_log_entry lost = {0};
    int64_t seq;
    int found = deleted_row(&w->targets, t, c, &arena, row, &seq);
    struct val packed = change_packed_key(c, &room);
    if (found > 0)
        found = membership_log_of(w->db, w->merge->node.id, m->object->id, &packed, &lost);
    buf_free(&room);
    arena_free(&arena);
    free(row);
    return found > 0 ? !lost.gained && lost.position >= seq : found;
}

/* A row that the node does not hold: gone in the meantime, or never its to touch. 1 when it may be changed yet. */
static int refuse_unseen(struct apply_context *w, struct merge_table *m, struct target *t, struct change *c)
{
    int here = target_row(t, c, NULL);
    if (here < 0)
        return -1;
    if (here) {
        int late = node_view_too_late(w, m, t, c);
        return late < 0 ? -1
                        : refuse(w, t, c,
                                 late ? "the node saw this row until it went to others; `late` of the "
                                        "package does not "
                                        "take the change any more"
                                      : "the node does not see this row");
    }
    int held = c->op == CHANGE_UPDATE && m->policy.lose ? held_when_deleted(w, m, t, c) : 0;
    if (held)
        return held;
    if (c->op == CHANGE_UPDATE && conflict_row(w, t, c, false, CONFLICT_GONE, CONFLICT_OURS, NULL))
        return -1;
    return merge_force(w, t, c, w->merge->node.name);
}

/* Whether the node saw the row when it changed it, and the row is here: it went to others meanwhile, who get the result. */
static int late(struct apply_context *w, struct merge_table *m, struct target *t, struct change *c)
{
    int held = node_view_held(w, m, t, c);
    return held > 0 ? target_row(t, c, NULL) : held;
}

/* Whether the change only says that the row was touched and is as it was (JOURNAL_OWN): what the node held back for its
 * sake meanwhile must be sent again. */
static bool only_touched(const struct change *c)
{
    for (size_t i = 0; i < c->table->ncol; i++)
        if (c->new[i].type != VAL_NONE && !val_same(&c->new[i], &c->old[i]))
            return false;
    return c->op == CHANGE_UPDATE;
}

/* Whether the row is on a handheld only because others refer to it: 1, 0, -1. */
static int is_stub(const struct merge_table *m, struct target *t, const struct change *c)
{
    if (m->inside == NULL)
        return 0;
    stmt_bind(m->inside, 1, &c->old[t->table->key[0]]);
    enum step step = stmt_step(m->inside);
    stmt_reset(m->inside);
    return step == STEP_ERROR ? -1 : step == STEP_ROW ? 0 : target_row(t, c, NULL);
}

/* Whether the node may do it: 1; 0 when it is refused; -1. */
static int allow(struct apply_context *w, struct target *t, struct change *c)
{
    struct merge_table *m = merge_table(w, t);
    if (m == NULL)
        return -1;
    if (m->object == NULL)
        return refuse(w, t, c, "the node's package does not have this table");
    if (!permitted(m->object, c->op))
        return refuse(w, t, c, "the node's package does not allow it");
    if (strip_hidden(m, t, c))
        return refuse(w, t, c, "it sets a column that the node does not see");
    if (c->op != CHANGE_INSERT) {
        int held = node_view_holds(w, m, t, c);
        if (held == 0)
            held = late(w, m, t, c);
        if (held <= 0)
            return held < 0 ? -1 : refuse_unseen(w, m, t, c);
        int stub = is_stub(m, t, c);
        if (stub)
            return stub < 0 ? -1
                            : refuse(w, t, c, "the row is on the device only because others refer to it");
    }
    return 1;
}

/* A change of an upload that an operator rejected: refused, recorded as settled, the row sent back as it is here. */
static int reject(struct apply_context *w, struct target *t, const struct change *c)
{
    int64_t before = w->count->refused;
    if (refuse(w, t, c, "an operator of the server rejected the upload"))
        return -1;
    w->count->refused = before;
    w->count->rejected++;
    return db_exec(
        w->db, "UPDATE dx_conflict SET resolved = 'rejected' WHERE id = (SELECT max(id) FROM dx_conflict)");
}

/* Whether the row's key would end the ranges of the table: 1, 0, -1. */
static int far_key(struct apply_context *w, const struct target *t, const struct change *c)
{
    const struct object *o = package_object(w->merge->package, t->table->name);
    bool counted = o && c->op == CHANGE_INSERT && t->layout->autoincrement;
    return counted ? key_range_beyond(w->db, o, c->new[t->table->key[0]].i) : 0;
}

static int judge(struct apply_context *w, struct target *t, struct change *c)
{
    struct arena arena = {0};
    if (only_touched(c))
        return merge_force(w, t, c, w->merge->node.name);
    if (w->merge->guard.rejected)
        return reject(w, t, c);
    int waits = rejected_rows_wait(w, t, c);
    if (waits)
        return waits < 0 ? -1 : 0;
    int rc = allow(w, t, c);
    int beyond = rc > 0 ? far_key(w, t, c) : 0;
    if (beyond)
        rc = beyond < 0 || rekey_server_give(w, t, c) ? -1 : 0;
    if (rc > 0)
        rc = hidden_columns(w, t, c, &arena) || merge(w, t, c) ? -1 : 0;
    arena_free(&arena);
    return rc;
}

/* Values that no row of the table can have are refused before anything is looked up by them: such a key is no row's, so
 * that there is nothing to send back. Whether the change is sound: 1, 0, -1. */
static int check_values(struct apply_context *w, struct target *t, const struct change *c)
{
    const char *why;
    int sound = value_check(t, c, &w->merge->quota.values, &why);
    if (sound == 0 && conflict_row(w, t, c, false, CONFLICT_PERMISSION, CONFLICT_OURS, why))
        return -1;
    if (sound == 0 && value_key_sound(t, c) &&
        (rejected_rows_note(w, t, c) || merge_force(w, t, c, w->merge->node.name)))
        return -1;
    return sound;
}

int upload_apply_still(struct apply_context *w, struct target *t, struct change *c)
{
    return w->merge->noded ? allow(w, t, c) : 1;
}

bool upload_apply_triggers(void *ctx, const char *table)
{
    const struct apply_context *w = ctx;
    const struct object *o = w->merge->package ? package_object(w->merge->package, table) : NULL;
    return o == NULL || !object_policy(o).triggers_of_copy;
}

int upload_apply_stranger(struct apply_context *w, const struct change *c)
{
    return conflict_stranger(w, c, err_message());
}

/* The node's row was adopted: its delete leaves the row alone that took its place. What it inserts under that key is
 * another row, which gets another key at once, so that the two are told apart. */
static int judge_adopted(struct apply_context *w, struct target *t, struct change *c)
{
    if (c->op == CHANGE_DELETE)
        return merge_force(w, t, c, w->merge->node.name);
    if (w->merge->guard.rejected)
        return reject(w, t, c);
    int may = t->layout->rowid_key ? allow(w, t, c) : 0;
    return may > 0 ? rekey_server_give(w, t, c) : may < 0 ? -1 : t->layout->rowid_key ? 0 : judge(w, t, c);
}

int upload_apply_one(struct apply_context *w, struct target *t, struct change *c)
{
    if (upload_quota_row(&w->merge->quota, w->reader, w->count))
        return fail_in("%s: upload %lld of node %s", w->name, (long long)w->head->number,
                       w->merge->node.name);
    int sound = check_values(w, t, c);
    if (sound <= 0)
        return sound;
    if (!upload_rows_add(&w->merge->rows, t, c))
        return fail(
            ERR_REFUSED,
            "%s: upload %lld of node %s tells of row %s twice, where a delete and an insert behind it "
            "is all that may follow each other; nothing was changed",
            w->name, (long long)w->head->number, w->merge->node.name, change_show(c));
    if (w->merge->rekeys.n == 0)
        return judge(w, t, c);
    if (rekey_server_of_adopted(w, t, c))
        return judge_adopted(w, t, c);
    /* The row under the node's own key is not what the node takes it for; the row under the one here is. */
    struct buf room = {0};
    struct val own = change_packed_key(c, &room);
    int rc = 0;
    if (rekey_server_map(w, t, c))
        rc = node_force(w->db, w->merge->node.id, t->table->name, &own) ||
             merge_force(w, t, c, w->merge->node.name);
    buf_free(&room);
    return rc ? -1 : judge(w, t, c);
}
