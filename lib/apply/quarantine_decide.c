/* quarantine_decide: see apply/quarantine_decide.h. */
#include "apply/quarantine_decide.h"

#include "apply/apply.h"
#include "apply/merge_context.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/spool.h"
#include "data/jsonl.h"
#include "journal/journal.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* {"table":...,"op":"update","key":{...},"new":VALUES} of the change's row. */
static void put_line(struct buf *line, const struct change *c, const char *values)
{
    const struct table *t = c->table;
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    buf_puts(line, "{\"table\":");
    jsonl_string(line, t->name, strlen(t->name));
    buf_puts(line, ",\"op\":\"update\",\"key\":{");
    for (size_t i = 0; i < t->nkey; i++) {
        const char *name = t->col[t->key[i]];
        buf_puts(line, i ? "," : "");
        jsonl_string(line, name, strlen(name));
        buf_byte(line, ':');
        jsonl_value(line, &row[t->key[i]]);
    }
    buf_addf(line, "},\"new\":%s}", values);
}

static int edit(struct target *t, const struct quarantined *q, const char *values, struct arena *arena,
                struct change *c)
{
    struct buf line = {0};
    struct change given;
    if (c->op == CHANGE_DELETE)
        return fail(ERR_REFUSED, "row %lld in quarantine is a delete, which has no values", (long long)q->id);
    put_line(&line, c, values);
    struct jsonl *l = jsonl_new();
    int rc = jsonl_parse(l, buf_text(&line), line.n) || jsonl_change(l, t->table, &given)
                 ? fail_in("row %lld in quarantine: the values", (long long)q->id)
                 : 0;
    for (size_t i = 0; rc == 0 && i < t->table->ncol; i++)
        if (!t->table->pk[i] && given.new[i].type != VAL_NONE)
            c->new[i] = arena_val(arena, &given.new[i]);
    jsonl_free(l);
    buf_free(&line);
    return rc;
}

/* Recorded as its origin's; nobody has to look at it again. */
static int record(struct apply_context *w, struct target *t, const struct quarantined *q,
                  const struct change *c)
{
    char *archive = w->archive;
    int64_t before = w->count->conflicts;
    w->archive = (char *)q->archive;
    int rc = conflict_row(w, t, c, false, CONFLICT_QUARANTINE, CONFLICT_OURS, "an operator gave it up") ||
                     db_exec(w->db,
                             "UPDATE dx_conflict SET resolved = 'discarded' WHERE id = (SELECT max(id) FROM "
                             "dx_conflict)") ||
                     merge_force(w, t, c, q->origin)
                 ? -1
                 : 0;
    w->archive = archive;
    w->count->conflicts = before;
    return rc;
}

static int discard(struct apply_context *w, struct target *t, const struct quarantined *q,
                   const struct change *c)
{
    const char *origin = w->effect.origin;
    struct merge *merge = w->merge;
    if (q->way != WORK_MERGE)
        return fail(
            ERR_REFUSED,
            "row %lld in quarantine is the server's: this copy would not be right without it; mend what is "
            "in its way, or make the copy again with initsync",
            (long long)q->id);
    if (merge_as(w, q->origin))
        return -1;
    w->effect.origin = q->origin;
    int rc = record(w, t, q, c);
    w->effect.origin = origin;
    w->merge = merge;
    w->count->given_up++;
    return rc ? -1 : 1;
}

int quarantine_decide(struct apply_context *w, struct target *t, const struct quarantined *q,
                      struct arena *arena, struct change *c)
{
    const struct quarantine_row *row = &w->options->quarantined;
    if (row->id == 0 || row->id != q->id)
        return 0;
    w->count->decided++;
    if (row->discard)
        return discard(w, t, q, c);
    return row->values ? edit(t, q, row->values, arena, c) : 0;
}

/* A log of nothing. */
static int empty_log(void)
{
    struct dx_head head;
    int fd = spool_new();
    if (fd < 0)
        return -1;
    dx_head_init(&head, DX_CHANGES);
    struct dx_writer *w = dx_writer_open(fd, "nothing", &head, 1);
    int rc = w == NULL || dx_writer_close(w) || spool_seek(fd, 0, "nothing") ? -1 : 0;
    dx_head_free(&head);
    if (rc)
        close(fd);
    return rc ? -1 : fd;
}

/* What waits for the decision of a conflict is decided by that (rejected_rows.h). */
static int waits_for_conflict(struct db *db, int64_t id)
{
    int64_t there;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_rejected_change'") ||
        (there &&
         db_get_int(db, &there, "SELECT count(*) FROM dx_rejected_change WHERE entry = %lld", (long long)id)))
        return -1;
    return there
               ? fail(
                     ERR_REFUSED,
                     "%s: row %lld in quarantine waits for the conflict of a row that it is of or refers to; "
                     "decide that with `dxapply resolve`",
                     db_path(db), (long long)id)
               : 0;
}

/* What decides whether what waits could be taken now, as one text: to free, NULL on failure. */
static char *state(struct db *db)
{
    int64_t end, packages = 0;
    char *hashes = NULL;
    if (journal_end(db, &end) ||
        db_get_int(db, &packages, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package'") ||
        (packages && db_get_text(db, &hashes, "SELECT group_concat(hash) FROM dx_package")))
        return NULL;
    char *text = mem_printf("%lld %s", (long long)end, hashes ? hashes : "");
    free(hashes);
    return text;
}

int quarantine_changed(struct db *db)
{
    int64_t n;
    char *tried = NULL, *now = NULL;
    if (meta_require(db) || quarantine_count(db, &n) || (n && meta_get_text(db, "retried", &tried)) ||
        (n && (now = state(db)) == NULL))
        n = -1;
    else if (n)
        n = tried == NULL || strcmp(tried, now) != 0;
    free(tried);
    free(now);
    return (int)n;
}

static int note_tried(struct db *db)
{
    char *now = state(db);
    int rc = now == NULL || db_begin_write(db) || meta_set_text(db, "retried", now) || db_commit(db) ? -1 : 0;
    if (rc)
        db_rollback(db);
    free(now);
    return rc;
}

int quarantine_retry(struct db *db, const struct quarantine_row *row, struct apply_count *count)
{
    const struct apply_options o = {.log = true, .guard_rows = -1, .guard_percent = -1, .quarantined = *row};
    const struct dx_head *head;
    int64_t there = 0;
    int fd = -1;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_quarantine'") ||
        (there && row->id &&
         db_get_int(db, &there, "SELECT count(*) FROM dx_quarantine WHERE id = %lld", (long long)row->id)))
        return -1;
    *count = (struct apply_count){0};
    if (!there)
        return row->id ? fail(ERR_REFUSED,
                              "%s: there is no row %lld in quarantine; `dxapply conflicts` lists them",
                              db_path(db), (long long)row->id)
                       : 0;
    if (row->id && waits_for_conflict(db, row->id))
        return -1;
    if ((fd = empty_log()) < 0)
        return -1;
    struct dx_reader *r = dx_reader_open(fd, "nothing");
    int rc = r == NULL || dx_next(r, &head) <= 0 || apply_archive(db, r, head, &o, count) ? -1 : 0;
    dx_reader_close(r);
    return rc ? -1 : note_tried(db);
}
