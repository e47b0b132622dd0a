/* download: see apply/download.h. The rules are those of dx(7), "Pending changes": what was changed here and is not judged by
 * the server yet stays as it is. */
#include "apply/download.h"

#include "apply/client_schema.h"
#include "apply/next_key.h"
#include "apply/pending.h"
#include "apply/rekey_client.h"
#include "apply/verdict_receive.h"
#include "base/err.h"
#include "journal/applied_digests.h"
#include "journal/client_tables.h"
#include "journal/meta.h"
#include "nodes/node.h"

#include <stdlib.h>
#include <string.h>

int download_state(struct db *db, struct download_state *out)
{
    *out = (struct download_state){0};
    int present = meta_present(db);
    if (present <= 0)
        return present;
    if (meta_get_text(db, "node", &out->node) || meta_get_text(db, "server", &out->server) ||
        meta_get_text(db, "server_before", &out->before) || meta_get_int(db, "applied", &out->applied) ||
        meta_get_int(db, "acked", &out->acked))
        return -1;
    return 0;
}

void download_state_free(struct download_state *s)
{
    free(s->node);
    free(s->server);
    free(s->before);
    *s = (struct download_state){0};
}

int download_is_companion(struct db *db)
{
    struct node *nodes;
    size_t n;
    int64_t there;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_nodes'"))
        return -1;
    if (there == 0)
        return 0;
    if (node_list(db, &nodes, &n))
        return -1;
    for (size_t i = 0; i < n; i++)
        node_free(&nodes[i]);
    free(nodes);
    return n > 0;
}

/* Whether the server acknowledges only uploads that were made here: 1, -1. A copy that knows of fewer was restored from an
 * older file, or is a second one: what it numbers next was merged already, with other changes in it. */
static int check_acknowledged(struct apply_context *w)
{
    char *companion = NULL;
    int64_t sent;
    if (meta_get_int(w->db, "sent", &sent) || meta_get_text(w->db, "companion", &companion))
        return -1;
    int rc = w->head->ack <= sent
                 ? 1
                 : fail(ERR_REFUSED,
                        "%s: the archive acknowledges upload %lld, but this copy has made only %lld: it was "
                        "restored "
                        "from an older file, or is a second copy of %s; %s, what was not sent is kept",
                        w->name, (long long)w->head->ack, (long long)sent, w->head->to,
                        companion ? "run hhextract pair --adopt on its companion" : "run initsync");
    free(companion);
    return rc;
}

/* Whether the archive goes on from the one applied last, and not from another of that number: a server that was restored
 * from a backup counts on from there. */
static int check_line(struct apply_context *w, const struct download_state *s)
{
    const struct dx_head *h = w->head;
    char *digest;
    if (applied_digests_digest(w->db, dx_kind_name(DX_CHANGES), h->epoch, s->applied, &digest))
        return -1;
    bool other = *digest && *h->follows && strcmp(digest, h->follows) != 0;
    free(digest);
    if (other)
        return fail(ERR_REFUSED,
                    "%s: archive %lld does not follow the archive %lld that was applied here: the server was "
                    "restored from a backup, or this database was; run initsync, what was not sent is kept",
                    w->name, (long long)h->number, (long long)s->applied);
    return 1;
}

/* Whether the archive is in the numbering of this copy, or in that of the one before, as far as that goes: 1, 0, -1. */
static int is_numbered_here(struct apply_context *w, const struct download_state *s)
{
    const struct dx_head *h = w->head;
    int64_t end;
    if (s->server && strcmp(s->server, h->epoch) == 0)
        return 1;
    if (s->before == NULL || strcmp(s->before, h->epoch) != 0)
        return 0;
    return meta_get_int(w->db, "server_before_end", &end) ? -1 : end == 0 || h->number < end;
}

static int check(struct apply_context *w, const struct download_state *s)
{
    const struct dx_head *h = w->head;
    if (s->node == NULL)
        return fail(ERR_REFUSED,
                    "%s: this database is no client, but the archive is for node %s; use initsync first",
                    w->name, h->to);
    if (strcmp(s->node, h->to) != 0)
        return fail(ERR_REFUSED,
                    "%s: the archive is for node %s, this database is node %s; nothing was changed", w->name,
                    h->to, s->node);
    int numbered = is_numbered_here(w, s);
    if (numbered <= 0)
        return numbered ? -1
                        : fail(ERR_REFUSED,
                               "%s: the archive is numbered in epoch %s, this copy in %s: the node was "
                               "registered or extracted "
                               "again, or one side was restored from a backup; run initsync",
                               w->name, h->epoch, s->server ? s->server : "none");
    if (h->number < 0)
        return fail(ERR_REFUSED, "%s: the archive has no number, but a download needs one", w->name);
    if (h->number <= s->applied) /* 0 says that nothing has been made for the node yet, and holds nothing */
        return 0;
    if (h->number > s->applied + 1)
        return fail(
            ERR_REFUSED,
            "%s: archive %lld cannot be applied: archive %lld is missing; fetch it and apply it first",
            w->name, (long long)h->number, (long long)s->applied + 1);
    return check_line(w, s) < 0 ? -1 : check_acknowledged(w);
}

int download_begin(struct apply_context *w)
{
    struct download_state s;
    int go = download_state(w->db, &s) ? -1 : check(w, &s);
    download_state_free(&s);
    if (go <= 0)
        return go;
    int companion = client_schema_check(w) || client_schema_add(w) ? -1 : download_is_companion(w->db);
    /* What the server has judged is pending no more, and its judgement may be in this very archive. */
    if (companion < 0 || pending_settled(w->db, &w->settled_before) ||
        pending_acknowledge(w->db, w->head->ack) ||
        change_log_begin(&w->effect, w->db, companion, w->options->undo != NULL))
        return -1;
    w->effect.origin = companion ? STORE_UPSTREAM : NULL;
    w->way = WORK_DOWNLOAD;
    return 1;
}

int download_ready(struct apply_context *w)
{
    int64_t settled;
    int companion = download_is_companion(w->db);
    return companion < 0 || pending_settled(w->db, &settled) || rekey_client_rows(w, settled, companion) ||
                   pending_load(w->db, &w->targets, settled, &w->pending)
               ? -1
               : 0;
}

/* From the first archive in the copy's own numbering on, none of the one before comes any more. */
static int end_before(struct apply_context *w)
{
    struct download_state s;
    int64_t end;
    int rc = download_state(w->db, &s) || meta_get_int(w->db, "server_before_end", &end) ? -1 : 0;
    if (rc == 0 && s.before && end == 0 && strcmp(s.server, w->head->epoch) == 0)
        rc = meta_set_int(w->db, "server_before_end", w->head->number);
    download_state_free(&s);
    return rc;
}

int download_end(struct apply_context *w)
{
    if (client_schema_indexes(w) || next_key_begin_ranges(w) ||
        client_tables_set(w->db, w->head->table, w->head->ntable) || end_before(w) ||
        meta_set_int(w->db, "applied", w->head->number))
        return -1;
    if (*w->head->package)
        return meta_set_text(w->db, "package", w->head->package);
    return 0;
}

int download_last(struct apply_context *w)
{
    return client_schema_attach(w) || verdict_receive(w) ? -1 : 0;
}

/* ---- changes ---- */

/* Leaves in c->new only what may be written: columns without a pending change. Whether anything is left. */
static bool spare_pending(const struct target *t, const struct rowmark *mark, struct change *c)
{
    bool any = false;
    for (size_t i = 0; i < t->table->ncol; i++) {
        if (mark->columns && mark->columns[i])
            c->new[i].type = VAL_NONE;
        any |= c->new[i].type != VAL_NONE;
    }
    return any;
}

/* Tells in c->old what the row in t->now holds where c changes it, and takes out of c->new what is so already.
 * Whether anything is left. */
static bool tell_old(const struct target *t, struct change *c)
{
    bool any = false;
    for (size_t i = 0; i < t->table->ncol; i++) {
        if (t->table->pk[i] || c->new[i].type == VAL_NONE)
            continue;
        if (val_same(&c->new[i], &t->now[i]))
            c->new[i].type = VAL_NONE;
        else
            c->old[i] = t->now[i];
        any |= c->new[i].type != VAL_NONE;
    }
    return any;
}

/* An insert of a row that is there is an update of all its columns. */
static void as_update(const struct target *t, struct change *c)
{
    for (size_t i = 0; i < t->table->ncol; i++) {
        c->old[i].type = VAL_NONE;
        if (t->table->pk[i]) {
            c->old[i] = c->new[i];
            c->new[i].type = VAL_NONE;
        }
    }
    c->op = CHANGE_UPDATE;
}

static bool says_something(const struct target *t, const struct change *c)
{
    for (size_t i = 0; i < t->table->ncol; i++)
        if (c->new[i].type != VAL_NONE)
            return true;
    return false;
}

static int update_row(struct apply_context *w, struct target *t, struct change *c, const struct rowmark *mark)
{
    if (mark && !spare_pending(t, mark, c)) {
        w->count->kept++;
        return 0;
    }
    if (!change_log_wants_old(&w->effect))
        return says_something(t, c) ? apply_change(w, t, c) : 0;
    int got = target_row(t, c, NULL);
    if (got < 0)
        return -1;
    if (got == 0) {
        w->count->missing++;
        return 0;
    }
    return tell_old(t, c) ? apply_change(w, t, c) : 0;
}

/* Inserts the row whole, or makes the one that is there the same. */
static int enter_row(struct apply_context *w, struct target *t, struct change *c, const struct rowmark *mark)
{
    if (mark == NULL) {
        enum done done = target_insert(t, c, NULL);
        if (done == DONE)
            return change_log_note(&w->effect, t, c);
        if (done == DONE_ERROR)
            return -1;
        if (done == DONE_BLOCKED && !target_taken(t))
            return deferred_add(w, t, c, false, false, target_reason(t));
    }
    int got = target_row(t, c, NULL);
    if (got < 0)
        return -1;
    if (got == 0)
        return apply_change(w, t, c); /* another row is in the way, unless a pending change made us look */
    as_update(t, c);
    return update_row(w, t, c, mark);
}

static int remove_row(struct apply_context *w, struct target *t, struct change *c)
{
    if (change_log_wants_old(&w->effect)) {
        int got = target_row(t, c, NULL);
        if (got <= 0)
            return got;
        memcpy(c->old, t->now, t->table->ncol * sizeof *c->old);
    }
    enum done done = target_delete(t, c, false);
    if (done == DONE)
        return change_log_note(&w->effect, t, c);
    if (done == DONE_BLOCKED)
        return deferred_add(w, t, c, true, false, target_reason(t));
    return done == DONE_ERROR ? -1 : 0; /* a row that is gone already is as it should be */
}

int download_one(struct apply_context *w, struct target *t, struct change *c)
{
    const struct rowmark *mark = rowset_find(&w->pending, t, c);
    if (mark && (mark->whole || c->op == CHANGE_DELETE)) {
        w->count->kept++;
        return 0;
    }
    return c->op == CHANGE_INSERT   ? enter_row(w, t, c, mark)
           : c->op == CHANGE_UPDATE ? update_row(w, t, c, mark)
                                    : remove_row(w, t, c);
}
