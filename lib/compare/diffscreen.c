/* diffscreen: see compare/diffscreen.h. */
#include "compare/diffscreen.h"

#include "base/err.h"
#include "base/mem.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>

/* The alternatives of one table's user key, each with the statement that finds another row. */
struct screen {
    const struct diff_object *object; /* NULL: nothing to look for */
    struct stmt **find;
    int *from; /* where the columns of the object's row are in the archive's table, or -1 */
    struct val *other;
};

/* The rows with this user key, and another key than ?n+1.... */
static struct stmt *prepare_find(struct db *db, const struct table *row, const struct table *user)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_keys(&sql, row, "");
    buf_puts(&sql, " FROM ");
    buf_name(&sql, row->name);
    buf_puts(&sql, " WHERE ");
    layout_where_key(&sql, user, 1);
    buf_puts(&sql, " AND NOT (");
    layout_where_key(&sql, row, (int)user->nkey + 1);
    buf_puts(&sql, ") LIMIT 1");
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static int begin_screen(struct screen *s, struct db *db, const struct diff_set *set, const struct table *rows)
{
    s->object = diff_set_object(set, rows->name);
    if (s->object == NULL || s->object->nuser == 0) {
        s->object = NULL;
        return 0;
    }
    const struct diff_object *o = s->object;
    s->from = table_map(o->row, rows);
    s->other = mem_zero(o->row->nkey, sizeof *s->other);
    s->find = mem_zero(o->nuser, sizeof *s->find);
    for (size_t i = 0; i < o->row->nkey; i++)
        if (s->from[o->row->key[i]] < 0)
            return fail(ERR_REFUSED, "%s: table %s has another key than the archive of rows", db_path(db),
                        rows->name);
    for (size_t i = 0; i < o->nuser; i++)
        if ((s->find[i] = prepare_find(db, o->row, o->user[i])) == NULL)
            return -1;
    return 0;
}

static void end_screen(struct screen *s)
{
    for (size_t i = 0; s->object && s->find && i < s->object->nuser; i++)
        stmt_free(s->find[i]);
    free(s->find);
    free(s->from);
    free(s->other);
}

/* Binds the columns of a key from a new row of the archive, from parameter `first` on. False when one of them is NULL or
 * does not come with the archive. */
static bool bind(struct stmt *find, const struct screen *s, const struct table *key, const struct val *new,
                 int first)
{
    for (size_t i = 0; i < key->nkey; i++) {
        int from = s->from[key->key[i]];
        if (from < 0 || new[from].type == VAL_NULL || new[from].type == VAL_NONE)
            return false;
        stmt_bind(find, first + (int)i, &new[from]);
    }
    return true;
}

/* Whether another row has a user key of the new one: 1 (its key is in s->other until the reset of *found), 0, -1. */
static int find_other(struct screen *s, const struct val *new, struct stmt **found)
{
    const struct diff_object *o = s->object;
    for (size_t i = 0; i < o->nuser; i++) {
        struct stmt *find = s->find[i];
        if (!bind(find, s, o->user[i], new, 1) || !bind(find, s, o->row, new, (int)o->user[i]->nkey + 1))
            continue;
        enum step step = stmt_step(find);
        if (step == STEP_DONE)
            continue;
        if (step != STEP_ROW)
            return -1;
        for (size_t k = 0; k < o->row->nkey; k++)
            s->other[k] = stmt_val(find, (int)k);
        *found = find;
        return 1;
    }
    return 0;
}

static int screen_row(struct screen *s, const struct change *c, struct dx_writer *w, diff_issue_fn *issue,
                      void *ctx)
{
    struct stmt *found = NULL;
    int got = s->object && c->op == CHANGE_INSERT ? find_other(s, c->new, &found) : 0;
    if (got == 0)
        return dx_write(w, c);
    if (got > 0) {
        issue(ctx, DIFF_DUPLICATE, c, s->other);
        stmt_reset(found);
    }
    return got < 0 ? -1 : 0;
}

static int screen_rows(struct screen *s, struct dx_reader *r, const struct dx_head *rows, struct dx_writer *w,
                       diff_issue_fn *issue, void *ctx)
{
    struct change c;
    int got;
    while ((got = dx_read(r, &c)) > 0) {
        size_t i = 0;
        while (rows->table[i] != c.table)
            i++;
        if (screen_row(&s[i], &c, w, issue, ctx))
            return -1;
    }
    return got;
}

int diff_screen(struct db *db, const struct diff_set *set, struct dx_reader *r, const struct dx_head *rows,
                int fd, const char *name, diff_issue_fn *issue, void *ctx)
{
    if (rows->kind != DX_ROWS)
        return fail(ERR_REFUSED, "an archive of %s, not of rows; make one with syncdiff rows",
                    dx_kind_name(rows->kind));
    struct screen *s = mem_zero(rows->ntable, sizeof *s);
    int rc = 0;
    for (size_t i = 0; i < rows->ntable && rc == 0; i++)
        rc = begin_screen(&s[i], db, set, rows->table[i]);
    struct dx_writer *w = rc == 0 ? dx_writer_open(fd, name, rows, DX_LEVEL_PIPE) : NULL;
    rc = w ? screen_rows(s, r, rows, w, issue, ctx) : -1;
    if (rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    for (size_t i = 0; i < rows->ntable; i++)
        end_screen(&s[i]);
    free(s);
    return rc;
}
