/* change_log: see apply/change_log.h. */
#include "apply/change_log.h"

#include "apply/record.h"
#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char sql_make[] =
    "DROP TABLE IF EXISTS temp.dx_undo;"
    "CREATE TEMP TABLE dx_undo (seq INTEGER PRIMARY KEY, target INTEGER, change BLOB)";
static const char sql_keep[] = "INSERT INTO temp.dx_undo (target, change) VALUES (?1, ?2)";
static const char sql_undo[] = "SELECT target, change FROM temp.dx_undo ORDER BY seq DESC";

int change_log_begin(struct change_log *e, struct db *db, bool journal, bool undo)
{
    *e = (struct change_log){.db = db, .undo = undo};
    if (journal)
        e->journal = journal_writer_open(db);
    if (undo && (db_exec(db, sql_make) || (e->keep = db_prepare(db, sql_keep)) == NULL))
        return -1;
    return 0;
}

void change_log_end(struct change_log *e)
{
    trigger_effects_end(e->triggers);
    journal_writer_close(e->journal);
    stmt_free(e->keep);
    free(e->count);
    *e = (struct change_log){0};
}

bool change_log_wants_old(const struct change_log *e)
{
    return e->journal || e->undo;
}

static int keep(struct change_log *e, const struct target *t, const struct change *c)
{
    struct buf bytes = {0};
    record_put(&bytes, c);
    struct val v = {.type = VAL_BLOB, .p = bytes.p, .n = bytes.n};
    stmt_bind_int(e->keep, 1, (int64_t)t->index);
    stmt_bind(e->keep, 2, &v);
    int rc = stmt_run(e->keep);
    buf_free(&bytes);
    return rc;
}

static struct change_log_count *count_of(struct change_log *e, const struct target *t)
{
    if (t->index >= e->n) {
        e->count = mem_grow(e->count, t->index + 1, sizeof *e->count);
        memset(e->count + e->n, 0, (t->index + 1 - e->n) * sizeof *e->count);
        e->n = t->index + 1;
    }
    return &e->count[t->index];
}

static bool replaces(const struct change_log *e, const struct change *c, const char *origin)
{
    return c->op != CHANGE_INSERT && e->sender && origin && strcmp(e->sender, origin) == 0;
}

void change_log_waits(struct change_log *e, const struct target *t, const struct change *c,
                      const char *origin)
{
    count_of(e, t)->replaced += replaces(e, c, origin);
}

int change_log_note(struct change_log *e, struct target *t, const struct change *c)
{
    struct change_log_count *n = count_of(e, t);
    *(c->op == CHANGE_INSERT ? &n->inserted : c->op == CHANGE_UPDATE ? &n->updated : &n->deleted) += 1;
    n->replaced += replaces(e, c, e->origin);
    if (e->journal && journal_add(e->journal, c, e->origin))
        return -1;
    if ((e->undo && keep(e, t, c)) ||
        (e->due && c->op == CHANGE_INSERT && quarantine_due_inserted(e->due, c)))
        return -1;
    if (e->made && e->made(e->made_ctx, t, c))
        return -1;
    return e->triggers ? trigger_effects_note(e->triggers) : 0;
}

static int write_changes(struct change_log *e, struct targets *ts, struct dx_writer *w)
{
    struct stmt *s = db_prepare(e->db, sql_undo);
    struct arena arena = {0};
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct val bytes = stmt_val(s, 1);
        struct change c;
        arena_clear(&arena);
        if (record_get(&bytes, ts->target[stmt_int(s, 0)], &arena, &c)) {
            step = STEP_ERROR;
            break;
        }
        change_invert(&c);
        if (dx_write(w, &c)) {
            step = STEP_ERROR;
            break;
        }
    }
    arena_free(&arena);
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static int write_archive(struct change_log *e, struct targets *ts, int fd, const char *name)
{
    struct dx_head head;
    dx_head_init(&head, DX_CHANGES);
    for (size_t i = 0; i < ts->n; i++)
        dx_head_add_table(&head, ts->target[i]->table);
    struct dx_writer *w = dx_writer_open(fd, name, &head, DX_LEVEL_SHARED);
    int rc = w ? write_changes(e, ts, w) : -1;
    if (rc == 0)
        rc = dx_writer_close(w);
    else if (w)
        dx_writer_abort(w);
    dx_head_free(&head);
    return rc;
}

int change_log_write_undo(struct change_log *e, struct targets *ts, const char *path)
{
    struct file_new *f = file_new_open(path);
    if (f == NULL)
        return -1;
    if (write_archive(e, ts, file_new_fd(f), path)) {
        file_new_abort(f);
        return -1;
    }
    return file_new_commit(f);
}
