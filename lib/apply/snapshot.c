/* snapshot: see apply/snapshot.h. */
#include "apply/snapshot.h"

#include "apply/client_schema.h"
#include "apply/download.h"
#include "apply/next_key.h"
#include "apply/pending.h"
#include "apply/rekey_client.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/arena.h"
#include "journal/applied_digests.h"
#include "journal/capture.h"
#include "journal/client_tables.h"
#include "journal/meta.h"
#include "sql/schema.h"

#include <stdlib.h>
#include <string.h>

struct snapshot {
    bool over;       /* laid over a copy that is there */
    bool renumbered; /* new copy, or a new epoch */
    struct stmt **seen;
    size_t nseen; /* per target: notes the keys of the rows that came */
};

/* ---- before ---- */

/* A database that is no client must be empty where the snapshot would write: rows of others are not replaced. */
static int check_stranger(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    int64_t n;
    if (db_get_int(w->db, &n, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_nodes'"))
        return -1;
    if (n)
        return fail(ERR_REFUSED,
                    "%s: this database feeds nodes and is no client, a snapshot for node %s would replace it",
                    w->name, h->to);
    for (size_t i = 0; i < h->ntable; i++) {
        if (db_get_int(w->db, &n, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q",
                       h->table[i]->name))
            return -1;
        if (n && db_get_int(w->db, &n, "SELECT count(*) FROM (SELECT 1 FROM main.\"%w\" LIMIT 1)",
                            h->table[i]->name))
            return -1;
        if (n)
            return fail(ERR_REFUSED,
                        "%s: table %s has rows, but the database is no copy of a node yet; take a new file",
                        w->name, h->table[i]->name);
    }
    return 0;
}

static int check(struct apply_context *w, const struct download_state *s, struct snapshot *p)
{
    const struct dx_head *h = w->head;
    if (*h->to == 0 || *h->epoch == 0)
        return fail(ERR_REFUSED, "%s: the snapshot does not say which node it is for", w->name);
    p->renumbered = s->server == NULL || strcmp(s->server, h->epoch) != 0;
    if (s->node == NULL)
        return check_stranger(w);
    p->over = true;
    if (strcmp(s->node, h->to) != 0)
        return fail(ERR_REFUSED,
                    "%s: the snapshot is for node %s, this database is node %s; nothing was changed", w->name,
                    h->to, s->node);
    if (!p->renumbered && h->number < s->applied)
        return fail(ERR_REFUSED,
                    "%s: the snapshot stands for archive %lld, but archive %lld is applied already; extract "
                    "a new one",
                    w->name, (long long)h->number, (long long)s->applied);
    return 0;
}

/* Whether this copy does not know of uploads that were merged under its name: it was restored from a backup. */
static int is_behind(struct apply_context *w, bool *behind)
{
    int64_t sent;
    int rc = meta_get_int(w->db, "sent", &sent);
    *behind = rc == 0 && sent < w->head->ack;
    return rc;
}

/* Numbers begin again: what was uploaded under the old ones and is not settled goes up again. */
static int renumber(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    return db_exec(w->db, "DELETE FROM dx_upload") || meta_set_int(w->db, "sent", h->ack) ||
                   meta_set_int(w->db, "acked", h->ack)
               ? -1
               : 0;
}

/* What is in an upload is in the hands of the caller; what was changed after the newest one is pending. */
static int settle_sent(struct apply_context *w)
{
    int64_t sent;
    return meta_get_int(w->db, "sent", &sent) || pending_acknowledge(w->db, sent) ? -1 : 0;
}

int snapshot_begin(struct apply_context *w)
{
    struct download_state s;
    struct snapshot *p = w->snapshot = mem_zero(1, sizeof *p);
    int rc = download_state(w->db, &s) || check(w, &s, p) ? -1 : 0;
    download_state_free(&s);
    if (rc || (p->over && client_schema_check(w)) || meta_init(w->db) ||
        pending_settled(w->db, &w->settled_before))
        return -1;
    bool behind, resend = w->options->resend;
    if (p->over && w->options->settle_sent && settle_sent(w))
        return -1;
    resend |= w->options->settle_sent;
    if ((p->over && !resend && pending_acknowledge(w->db, w->head->ack)) || is_behind(w, &behind) ||
        ((p->renumbered || behind || resend) && renumber(w)))
        return -1;
    /* Columns that were added are captured before they are filled, so that their values do not count as made here. */
    if (p->over ? client_schema_replace(w) : schema_make(w->db, w->head->schema, w->head->nschema, false))
        return -1;
    int companion = download_is_companion(w->db);
    if (companion < 0 || change_log_begin(&w->effect, w->db, companion, w->options->undo != NULL))
        return -1;
    w->effect.origin = companion ? STORE_UPSTREAM : NULL;
    w->way = WORK_DOWNLOAD;
    return 1;
}

int snapshot_ready(struct apply_context *w)
{
    return w->snapshot->over ? download_ready(w) : rekey_client_none(w);
}

void snapshot_free(struct snapshot *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->nseen; i++)
        stmt_free(p->seen[i]);
    free(p->seen);
    free(p);
}

/* ---- rows ---- */

/* Makes the table of keys that came, with the key columns' affinity so that its index serves, and the statement that
 * adds one. */
static int make_seen(struct apply_context *w, const struct target *t)
{
    static const char *const types[] = {[AFFINITY_BLOB] = "",
                                        [AFFINITY_TEXT] = "TEXT",
                                        [AFFINITY_NUMERIC] = "NUMERIC",
                                        [AFFINITY_INTEGER] = "INTEGER",
                                        [AFFINITY_REAL] = "REAL"};
    struct buf make = {0}, add = {0};
    buf_addf(&make, "DROP TABLE IF EXISTS temp.dx_seen_%zu; CREATE TEMP TABLE dx_seen_%zu (", t->index,
             t->index);
    buf_addf(&add, "INSERT OR IGNORE INTO temp.dx_seen_%zu VALUES (", t->index);
    for (size_t i = 0; i < t->table->nkey; i++) {
        buf_addf(&make, "k%zu %s, ", i, types[t->layout->column[t->table->key[i]].affinity]);
        buf_puts(&add, i ? ", ?" : "?");
    }
    buf_puts(&make, "PRIMARY KEY (");
    for (size_t i = 0; i < t->table->nkey; i++)
        buf_addf(&make, i ? ", k%zu" : "k%zu", i);
    buf_puts(&make, ")) WITHOUT ROWID");
    buf_puts(&add, ")");
    struct snapshot *p = w->snapshot;
    if (t->index >= p->nseen) {
        p->seen = mem_grow(p->seen, t->index + 1, sizeof *p->seen);
        memset(p->seen + p->nseen, 0, (t->index + 1 - p->nseen) * sizeof *p->seen);
        p->nseen = t->index + 1;
    }
    if (db_exec(w->db, buf_text(&make)) == 0)
        p->seen[t->index] = db_prepare(w->db, buf_text(&add));
    buf_free(&make);
    buf_free(&add);
    return p->seen[t->index] ? 0 : -1;
}

static bool has_seen(const struct snapshot *p, const struct target *t)
{
    return t->index < p->nseen && p->seen[t->index];
}

int snapshot_one(struct apply_context *w, struct target *t, struct change *c)
{
    struct snapshot *p = w->snapshot;
    if (c->op != CHANGE_INSERT)
        return fail(ERR_REFUSED, "%s: a snapshot holds rows only, but this one has %s of %s", w->name,
                    change_op_name(c->op), change_show(c));
    if (p->over) {
        if (!has_seen(p, t) && make_seen(w, t))
            return -1;
        for (size_t i = 0; i < t->table->nkey; i++)
            stmt_bind(p->seen[t->index], 1 + (int)i, &c->new[t->table->key[i]]);
        if (stmt_run(p->seen[t->index]))
            return -1;
    }
    return download_one(w, t, c);
}

/* ---- after ---- */

static struct stmt *prepare_gone(struct apply_context *w, const struct target *t)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_keys(&sql, t->table, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, t->table->name);
    buf_addf(&sql, " AS t WHERE NOT EXISTS (SELECT 1 FROM temp.dx_seen_%zu AS s WHERE ", t->index);
    for (size_t i = 0; i < t->table->nkey; i++) {
        buf_addf(&sql, "%ss.k%zu = t.", i ? " AND " : "", i);
        buf_name(&sql, t->table->col[t->table->key[i]]);
        buf_puts(&sql, " COLLATE BINARY");
    }
    buf_puts(&sql, ")");
    struct stmt *s = db_prepare(w->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

/* Removes the rows of a table that did not come. Their keys are gathered first: a table is not changed under a scan. */
static int remove_gone(struct apply_context *w, struct target *t)
{
    if (!has_seen(w->snapshot, t) && make_seen(w, t))
        return -1;
    struct stmt *s = prepare_gone(w, t);
    struct arena arena = {0};
    struct change c = {.table = t->table, .op = CHANGE_DELETE, .origin = ""};
    struct val *keys = NULL;
    size_t n = 0, nkey = t->table->nkey;
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        if ((n & (n - 1)) == 0)
            keys = mem_grow(keys, (n ? 2 * n : 1) * nkey, sizeof *keys);
        for (size_t i = 0; i < nkey; i++) {
            struct val v = stmt_val(s, (int)i);
            keys[n * nkey + i] = arena_val(&arena, &v);
        }
        n++;
    }
    stmt_free(s);
    c.old = mem_zero(t->table->ncol, sizeof *c.old);
    c.new = mem_zero(t->table->ncol, sizeof *c.new);
    int rc = step == STEP_DONE ? 0 : -1;
    for (size_t r = 0; r < n && rc == 0; r++) {
        memset(c.old, 0, t->table->ncol * sizeof *c.old);
        for (size_t i = 0; i < nkey; i++)
            c.old[t->table->key[i]] = keys[r * nkey + i];
        rc = download_one(w, t, &c);
    }
    free(c.old);
    free(c.new);
    free(keys);
    arena_free(&arena);
    return rc;
}

/* The tables of the copy as it was, and as it is now. */
static int remove_all_gone(struct apply_context *w)
{
    struct table **was;
    size_t n;
    if (client_tables_load(w->db, &was, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct target *t = targets_named(&w->targets, was[i]->name);
        rc = t ? remove_gone(w, t) : -1;
    }
    client_tables_free(was, n);
    return rc;
}

static int note_state(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    if (meta_set_text(w->db, "node", h->to) || meta_set_text(w->db, "server", h->epoch) ||
        meta_set_text(w->db, "server_before", *h->continues ? h->continues : NULL) ||
        meta_set_text(w->db, "server_before_end", NULL) || meta_set_int(w->db, "applied", h->number) ||
        (*h->continues && applied_digests_forget(w->db, h->continues)))
        return -1;
    if (*h->package)
        return meta_set_text(w->db, "package", h->package);
    return 0;
}

int snapshot_end(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    struct snapshot *p = w->snapshot;
    if (p->over && remove_all_gone(w))
        return -1;
    if (client_schema_indexes(w) || next_key_begin_ranges(w) ||
        client_tables_set(w->db, h->table, h->ntable) || client_schema_note_absent(w) || note_state(w))
        return -1;
    return 0;
}

int snapshot_attach(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    const char **names = mem_zero(h->ntable, sizeof *names);
    for (size_t i = 0; i < h->ntable; i++)
        names[i] = h->table[i]->name;
    int rc = h->ntable ? capture_attach(w->db, names, h->ntable, NULL) : 0;
    free(names);
    return rc;
}
