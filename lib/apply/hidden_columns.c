/* hidden_columns: see apply/hidden_columns.h. Rows wait in a temporary table, so that their number does not matter. */
#include "apply/hidden_columns.h"

#include "apply/record.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char sql_make[] = "CREATE TEMP TABLE IF NOT EXISTS dx_hidden (target INTEGER, key BLOB, row "
                               "BLOB, PRIMARY KEY (target, key))"
                               " WITHOUT ROWID; DELETE FROM temp.dx_hidden";
static const char sql_hide[] = "INSERT OR REPLACE INTO temp.dx_hidden VALUES (?1, ?2, ?3)";
static const char sql_hidden[] = "SELECT row FROM temp.dx_hidden WHERE target = ?1 AND key = ?2";

static bool has_hidden(const struct merge_table *m, const struct target *t)
{
    return memchr(m->sent, 0, t->table->ncol) != NULL;
}

static struct val blob(const struct buf *b)
{
    return (struct val){.type = VAL_BLOB, .p = b->p, .n = b->n};
}

static int make_ready(struct apply_context *w)
{
    struct merge *m = w->merge;
    if (m->hide)
        return 0;
    if (db_exec(w->db, sql_make) || (m->hide = db_prepare(w->db, sql_hide)) == NULL)
        return -1;
    m->hidden = db_prepare(w->db, sql_hidden);
    return m->hidden ? 0 : -1;
}

static int remember(struct apply_context *w, struct target *t, const struct change *c)
{
    int here = target_row(t, c, NULL);
    if (here <= 0 || make_ready(w))
        return here == 0 ? 0 : -1;
    struct buf key = {0}, bytes = {0};
    struct val *none = mem_zero(t->table->ncol, sizeof *none);
    struct change row = {.table = t->table, .op = CHANGE_INSERT, .origin = "", .old = none, .new = t->now};
    change_key_bytes(c, &key);
    record_put(&bytes, &row);
    struct val k = blob(&key), v = blob(&bytes);
    stmt_bind_int(w->merge->hide, 1, (int64_t)t->index);
    stmt_bind(w->merge->hide, 2, &k);
    stmt_bind(w->merge->hide, 3, &v);
    w->merge->nhidden++;
    int rc = stmt_run(w->merge->hide);
    buf_free(&key);
    buf_free(&bytes);
    free(none);
    return rc;
}

static int restore(struct apply_context *w, struct target *t, struct change *c, struct arena *a)
{
    struct stmt *s = w->merge->hidden;
    struct buf key = {0};
    struct change row;
    change_key_bytes(c, &key);
    struct val k = blob(&key);
    stmt_bind_int(s, 1, (int64_t)t->index);
    stmt_bind(s, 2, &k);
    enum step step = stmt_step(s);
    int rc = step == STEP_ERROR ? -1 : 0;
    if (step == STEP_ROW) {
        struct val bytes = stmt_val(s, 0);
        rc = record_get(&bytes, t, a, &row);
    }
    stmt_reset(s);
    for (size_t i = 0; rc == 0 && step == STEP_ROW && i < t->table->ncol; i++)
        if (!w->merge->table[t->index].sent[i])
            c->new[i] = row.new[i];
    buf_free(&key);
    return rc;
}

int hidden_columns(struct apply_context *w, struct target *t, struct change *c, struct arena *a)
{
    struct merge_table *m = merge_table(w, t);
    if (m == NULL)
        return -1;
    if (c->op == CHANGE_DELETE && has_hidden(m, t))
        return remember(w, t, c);
    return c->op == CHANGE_INSERT && w->merge->nhidden ? restore(w, t, c, a) : 0;
}

int hidden_columns_forget(struct apply_context *w, struct target *t, struct change *c)
{
    const struct merge_table *m = merge_table(w, t);
    for (size_t i = 0; m && i < t->table->ncol; i++)
        if (!m->sent[i])
            c->new[i].type = VAL_NONE;
    return m ? 0 : -1;
}
