/* key_cursor: see sql/key_cursor.h. */
#include "sql/key_cursor.h"

#include "base/mem.h"

#include <stdlib.h>

/* A seek costs as much as this many steps; after one that was in vain fewer are tried. */
enum { PATIENCE = 8 };

struct key_cursor {
    struct stmt *s;
    int at; /* of the key; -1: every row is sought */
    int patience;
    enum step
        step; /* where the statement stands; STEP_ROW: on the first row not less than what was asked for */
    bool begun;
};

static struct key_cursor *open_walk(struct db *db, const char *sql, int at)
{
    struct key_cursor *w = mem_zero(1, sizeof *w);
    w->s = db_prepare(db, sql);
    w->at = at;
    w->patience = PATIENCE;
    if (w->s)
        return w;
    key_cursor_close(w);
    return NULL;
}

struct key_cursor *key_cursor_steps(struct db *db, const char *sql, int at)
{
    return open_walk(db, sql, at);
}

struct key_cursor *key_cursor_seeks(struct db *db, const char *sql)
{
    return open_walk(db, sql, -1);
}

void key_cursor_close(struct key_cursor *w)
{
    if (w == NULL)
        return;
    stmt_free(w->s);
    free(w);
}

struct stmt *key_cursor_row(struct key_cursor *w)
{
    return w->s;
}

static enum step seek(struct key_cursor *w, const struct val *key, size_t n)
{
    stmt_reset(w->s);
    for (size_t i = 0; i < n; i++)
        stmt_bind(w->s, (int)i + 1, &key[i]);
    return stmt_step(w->s);
}

/* How the row under the cursor stands to the key: negative when it comes before. */
static int compare(struct key_cursor *w, const struct val *key)
{
    struct val here = stmt_val(w->s, w->at);
    return val_compare(&here, key);
}

/* Steps on until the key is reached; whether it was. */
static bool reach(struct key_cursor *w, const struct val *key, int *order)
{
    *order = compare(w, key);
    for (int i = 0; *order < 0 && i < w->patience; i++) {
        w->step = stmt_step(w->s);
        if (w->step != STEP_ROW)
            return true;
        *order = compare(w, key);
    }
    return *order >= 0;
}

enum step key_cursor_find(struct key_cursor *w, const struct val *key, size_t n)
{
    int order = -1;
    if (w->at < 0)
        return seek(w, key, n);
    if (key->type == VAL_NULL || key->type == VAL_NONE)
        return STEP_DONE;
    if (!w->begun || (w->step == STEP_ROW && !reach(w, key, &order))) {
        w->patience = w->begun && w->patience > 1 ? w->patience / 2 : w->patience;
        w->begun = true;
        w->step = seek(w, key, n);
        if (w->step == STEP_ROW)
            order = compare(w, key);
    } else if (w->patience < PATIENCE)
        w->patience++;
    return w->step != STEP_ROW ? w->step : order == 0 ? STEP_ROW : STEP_DONE;
}
