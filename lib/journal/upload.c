/* upload: see journal/upload.h. */
#include "journal/upload.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/applied_digests.h"
#include "journal/capture.h"
#include "journal/client_tables.h"
#include "journal/journal.h"
#include "journal/meta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char sql_last[] = "SELECT max(coalesce((SELECT max(upto) FROM dx_upload), 0), "
                               "coalesce((SELECT value FROM dx_meta WHERE name = 'settled'), 0))";
static const char sql_own[] =
    "SELECT EXISTS (SELECT 1 FROM dx_journal WHERE seq > %lld AND origin IS NOT '" STORE_UPSTREAM "')";
static const char sql_due[] =
    "SELECT count(*) FROM dx_journal WHERE seq > %lld AND origin IS NOT '" STORE_UPSTREAM "'";
static const char sql_waiting[] = "SELECT number, after, upto, applied FROM dx_upload ORDER BY number";
static const char sql_parents[] = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(%Q) ORDER BY 1";

/* One row of dx_upload. */
struct upload {
    int64_t number, after, upto, applied;
};

/* ---- the order of tables ---- */

/* Captured tables; parents go to `order` before those that refer to them, as far as there is no cycle. */
struct ordering {
    struct db *db;
    struct journal_table *t;
    size_t n;
    bool *seen;
    struct table **order;
    size_t norder;
};

static int visit(struct ordering *o, size_t i)
{
    if (o->seen[i] || !o->t[i].current)
        return 0;
    o->seen[i] = true;
    struct stmt *s = db_preparef(o->db, sql_parents, o->t[i].table->name);
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW)
        for (size_t j = 0; rc == 0 && j < o->n; j++)
            if (strcasecmp(o->t[j].table->name, stmt_text(s, 0)) == 0)
                rc = visit(o, j);
    stmt_free(s);
    o->order[o->norder++] = o->t[i].table;
    return rc || step != STEP_DONE ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct journal_table *)a)->table->name,
                  ((const struct journal_table *)b)->table->name);
}

/* The columns of the table that the server gives the copy: those that the application has beside them stay here. A table
 * that is no part of the copy is sent whole, for the server to refuse. */
static bool *wanted_columns(const struct table *t, struct table *const *copy, size_t ncopy)
{
    for (size_t k = 0; k < ncopy; k++)
        if (strcasecmp(copy[k]->name, t->name) == 0) {
            bool *want = mem_zero(t->ncol, sizeof *want);
            for (size_t i = 0; i < t->ncol; i++)
                want[i] = t->pk[i] || table_column(copy[k], t->col[i]) >= 0;
            return want;
        }
    return NULL;
}

static void add_table(struct dx_head *h, const struct table *t, struct table *const *copy, size_t ncopy)
{
    bool *want = wanted_columns(t, copy, ncopy);
    const char **col = mem_zero(t->ncol, sizeof *col);
    uint8_t *pk = mem_zero(t->ncol, 1);
    size_t n = 0;
    for (size_t i = 0; i < t->ncol; i++)
        if (want == NULL || want[i]) {
            pk[n] = t->pk[i];
            col[n++] = t->col[i];
        }
    struct table *sent = table_new(t->name, n, col, pk);
    dx_head_add_table(h, sent);
    table_free(sent);
    free(pk);
    free(col);
    free(want);
}

static int add_tables(struct db *db, struct dx_head *h)
{
    struct ordering o = {.db = db};
    struct table **copy;
    size_t ncopy;
    if (client_tables_load(db, &copy, &ncopy))
        return -1;
    if (journal_tables(db, &o.t, &o.n)) {
        client_tables_free(copy, ncopy);
        return -1;
    }
    if (o.n > 1)
        qsort(o.t, o.n, sizeof *o.t, by_name);
    o.seen = mem_zero(o.n, sizeof *o.seen);
    o.order = mem_zero(o.n, sizeof *o.order);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o.n; i++)
        rc = visit(&o, i);
    for (size_t i = 0; rc == 0 && i < o.norder; i++)
        add_table(h, o.order[i], copy, ncopy);
    client_tables_free(copy, ncopy);
    free(o.seen);
    free(o.order);
    journal_tables_free(o.t, o.n);
    return rc;
}

/* ---- writing ---- */

/* The net changes of the columns that are sent. */
static struct journal_net *open_net(struct db *db, const struct table *t, const struct upload *u)
{
    struct journal_table *layout;
    struct table *known = table_copy(t);
    size_t n;
    bool *want = NULL;
    if (journal_tables(db, &layout, &n)) {
        table_free(known);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        if (layout[i].current && strcmp(layout[i].table->name, t->name) == 0 &&
            layout[i].table->ncol != t->ncol)
            want = wanted_columns(layout[i].table, &known, 1);
    struct journal_net *net = journal_net_some(db, t->name, u->after, u->upto, JOURNAL_OWN, want, 0);
    free(want);
    table_free(known);
    journal_tables_free(layout, n);
    return net;
}

static int write_table(struct db *db, struct dx_writer *w, const struct table *t, const struct upload *u)
{
    struct journal_net *net = open_net(db, t, u);
    struct change c;
    int got = -1;
    while (net && (got = journal_net_next(net, &c)) > 0) {
        c.origin = "";
        if (dx_write(w, &c)) {
            got = -1;
            break;
        }
    }
    journal_net_close(net);
    return got;
}

static int fill_head(struct db *db, struct dx_head *h, const struct upload *u)
{
    char *node = NULL, *epoch = NULL;
    int rc =
        meta_get_text(db, "node", &node) || meta_get_text(db, "server", &epoch) || add_tables(db, h) ? -1 : 0;
    if (rc == 0) {
        dx_head_set(&h->from, node);
        dx_head_set(&h->epoch, epoch);
        free(h->follows);
        rc = applied_digests_digest(db, dx_kind_name(DX_CHANGES), epoch, u->applied, &h->follows);
    }
    free(node);
    free(epoch);
    h->number = u->number;
    h->after = u->after;
    h->upto = u->upto;
    h->applied = u->applied;
    return rc;
}

static int write_archive(struct db *db, const struct upload *u, int fd, const char *path, const char *key)
{
    struct dx_head h;
    dx_head_init(&h, DX_UPLOAD);
    struct dx_writer *w = fill_head(db, &h, u) ? NULL : dx_writer_open(fd, path, &h, DX_LEVEL_SLOW_LINE);
    int rc = w ? 0 : -1;
    if (w)
        dx_writer_sign(w, key);
    for (size_t i = 0; rc == 0 && i < h.ntable; i++)
        rc = write_table(db, w, h.table[i], u);
    if (rc)
        dx_writer_abort(w);
    else
        rc = dx_writer_close(w);
    dx_head_free(&h);
    return rc;
}

static char *file_of(const char *directory, int64_t number)
{
    return mem_printf("%s/%08lld.dx", directory, (long long)number);
}

static int write_file(struct db *db, const char *directory, const char *key, const struct upload *u)
{
    char *path = file_of(directory, u->number);
    int rc = 0;
    if (!file_exists(path)) {
        struct file_new *f = file_new_open(path);
        rc = f ? write_archive(db, u, file_new_fd(f), path, key) : -1;
        if (rc == 0)
            rc = file_new_commit(f);
        else
            file_new_abort(f);
    }
    free(path);
    return rc;
}

/* Writes what is recorded and has no file. */
static int write_files(struct db *db, const char *directory, const char *key)
{
    struct stmt *s = db_begin_read(db) ? NULL : db_prepare(db, sql_waiting);
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW) {
        struct upload u = {stmt_int(s, 0), stmt_int(s, 1), stmt_int(s, 2), stmt_int(s, 3)};
        rc = write_file(db, directory, key, &u);
    }
    stmt_free(s);
    if (rc || step != STEP_DONE) {
        db_rollback(db);
        return -1;
    }
    return db_commit(db);
}

/* ---- recording ---- */

static int record_next(struct db *db, int64_t after)
{
    int64_t end, sent, applied;
    if (journal_end(db, &end) || meta_get_int(db, "sent", &sent) || meta_get_int(db, "applied", &applied))
        return -1;
    if (db_execf(db, "INSERT INTO dx_upload (number, after, upto, applied) VALUES (%lld, %lld, %lld, %lld)",
                 (long long)sent + 1, (long long)after, (long long)end, (long long)applied))
        return -1;
    return meta_set_int(db, "sent", sent + 1);
}

static int require_node(struct db *db)
{
    char *node = NULL, *server = NULL;
    int rc =
        meta_require(db) || meta_get_text(db, "node", &node) || meta_get_text(db, "server", &server) ? -1 : 0;
    if (rc == 0 && (node == NULL || server == NULL))
        rc = fail(ERR_REFUSED,
                  "%s: is no node's copy, so it has no server to upload to; make one with initsync",
                  db_path(db));
    free(node);
    free(server);
    return rc;
}

/* A file under the number that was just given is of a state of this database that was lost: it was restored from a
 * backup. */
static int drop_stranger(struct db *db, const char *directory)
{
    int64_t number;
    if (meta_get_int(db, "sent", &number))
        return -1;
    char *path = file_of(directory, number);
    int rc =
        unlink(path) && errno != ENOENT ? fail_errno("%s: cannot remove the file of a lost upload", path) : 0;
    free(path);
    return rc;
}

/* Forgets what is acknowledged and records the next upload, in the caller's transaction. */
static int record(struct db *db, const char *directory, int64_t *acked, int64_t *newest)
{
    int64_t last, own;
    if (require_node(db) || capture_check(db) || meta_get_int(db, "acked", acked) ||
        db_get_int(db, &last, "%s", sql_last) ||
        db_execf(db, "DELETE FROM dx_upload WHERE number <= %lld", (long long)*acked) ||
        db_get_int(db, &own, sql_own, (long long)last))
        return -1;
    if (own && (record_next(db, last) || drop_stranger(db, directory)))
        return -1;
    if (capture_note_whole(db))
        return -1;
    return meta_get_int(db, "sent", newest);
}

/* What is acknowledged goes out of the way, and stays for a while. */
static int put_acknowledged(struct db *db, const char *directory, int64_t acked,
                            const struct sent_limits *keep)
{
    char *epoch = NULL;
    int rc = meta_get_text(db, "server", &epoch) ? -1 : sent_uploads_keep(directory, epoch, acked, keep);
    free(epoch);
    return rc;
}

int upload_make(struct db *db, const char *directory, const char *key, const struct sent_limits *keep,
                int64_t *newest)
{
    int64_t acked;
    if (db_begin_write(db))
        return -1;
    if (record(db, directory, &acked, newest)) {
        db_rollback(db);
        return -1;
    }
    if (db_commit(db) || file_make_directory(directory) || write_files(db, directory, key))
        return -1;
    return put_acknowledged(db, directory, acked, keep);
}

int upload_due(struct db *db, int64_t *changes, int64_t *uploads)
{
    int64_t last;
    return db_get_int(db, &last, "%s", sql_last) || db_get_int(db, changes, sql_due, (long long)last) ||
                   db_get_int(db, uploads, "SELECT count(*) FROM dx_upload")
               ? -1
               : 0;
}
