/* object_delta: see route/object_delta.h. */
#include "route/object_delta.h"

#include "base/err.h"
#include "base/mem.h"
#include "nodes/membership.h"
#include "route/moves.h"
#include "route/next_audience.h"
#include "route/row_requests.h"
#include "route/set_aside.h"

#include <stdlib.h>
#include <string.h>

int object_delta_init(struct db *db)
{
    return moves_init(db) || next_audience_init(db) || row_requests_init(db) ? -1 : 0;
}

/* ---- SQL of one object ---- */

void object_delta_kept(struct buf *sql, const struct object_delta *w, const char *source)
{
    if (w->rule->keep == NULL) {
        buf_puts(sql, source);
        return;
    }
    buf_addf(sql, "(SELECT * FROM %s AS ", source);
    buf_name(sql, w->object->table);
    buf_addf(sql, " WHERE (%s\n))", w->rule->keep);
}

void object_delta_arm_key(struct buf *sql, const struct object_delta *w)
{
    size_t n = w->object->sent->nkey;
    buf_puts(sql, n > 1 ? "dx_key(" : "");
    for (size_t k = 0; k < n; k++)
        buf_addf(sql, "%sk%zu", k ? ", " : "", k);
    buf_puts(sql, n > 1 ? ")" : "");
}

/* The columns of `via`; the caller frees each, and the array. */
static char **via_columns(const struct object_delta *w, size_t *n)
{
    const char *list = w->object->via_column;
    char **column = NULL;
    for (*n = 0; *list; list += strspn(list, ", ")) {
        size_t length = strcspn(list, ",");
        column = mem_grow(column, *n + 1, sizeof *column);
        column[(*n)++] = mem_printf("%.*s", (int)length, list);
        list += length;
    }
    return column;
}

static void free_columns(char **column, size_t n)
{
    while (n)
        free(column[--n]);
    free(column);
}

void object_delta_parent_key(struct buf *sql, const struct object_delta *w, const char *alias)
{
    size_t n;
    char **column = via_columns(w, &n);
    membership_key_of(sql, column, n, alias);
    free_columns(column, n);
}

void object_delta_where_parent(struct buf *sql, const struct object_delta *w, const char *alias,
                               const char *key)
{
    size_t n;
    char **column = via_columns(w, &n);
    for (size_t i = 0; i < n; i++) {
        buf_addf(sql, "%s%s.", i ? " AND " : "", alias);
        buf_name(sql, column[i]);
        if (n == 1)
            buf_addf(sql, " = %s", key);
        else
            buf_addf(sql, " = dx_part(%s, %zu, %zu)", key, i, n);
    }
    free_columns(column, n);
}

void object_delta_audience(struct buf *sql, const struct object_delta *w, const char *key)
{
    if (membership_whole(w->object)) {
        buf_puts(sql, "CASE WHEN EXISTS (SELECT 1 FROM main.");
        buf_name(sql, w->object->table);
        buf_puts(sql, " AS dx_w WHERE ");
        membership_where(sql, w->object->sent, "dx_w", key);
        buf_addf(sql, ") THEN %d ELSE 0 END", AUDIENCE_ALL);
    } else {
        buf_puts(sql, "coalesce((SELECT new FROM ");
        moves_table(sql, w);
        buf_addf(sql, " WHERE key = %s), (SELECT audience FROM main.dx_member_%lld WHERE key = %s), 0)", key,
                 (long long)w->object->id, key);
    }
}

/* ---- the whole ---- */

bool object_delta_redefined(const struct object_delta *w)
{
    return w->was != WAS_SAME || (w->bound_now && (w->bound == NULL || strcmp(w->bound, w->bound_now) != 0));
}

bool object_delta_travels(const struct object_delta *w)
{
    return w->was == WAS_WHOLE || w->was == WAS_MEMBER || (!w->gone && w->object->visible != VISIBLE_NONE);
}

int object_delta_set_aside(struct object_deltas *v, struct object_delta *w)
{
    if (!set_aside_can())
        return -1;
    struct set_aside_entry *e = set_aside_note(v->aside, SET_ASIDE_OBJECT,
                                               w->parent && w->parent->aside
                                                   ? "see there; the next run tries again"
                                                   : "mend the row, the table or the rule that it names; the "
                                                     "next run tries again, and `txnroute load` takes a "
                                                     "changed package");
    e->object = w->object->id;
    e->position = w->since;
    e->run = w->since_run;
    w->aside = true;
    w->redeclared = false;
    return moves_clear(v->db, w);
}
