/* userkey: see apply/userkey.h. */
#include "apply/userkey.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* One alternative: the columns that together tell what a row is about. */
struct alternative {
    size_t n;
    size_t *column;
    struct stmt *find; /* the key of another row that has the same */
};

struct userkey {
    struct target *target;
    size_t n;
    struct alternative *alternative;
    char other[256];
    struct val *row, *key; /* of the other: row's key points into key */
};

static int take_columns(struct alternative *a, const struct target *t, const char *list)
{
    char *name;
    while ((name = conf_word(&list, ','))) {
        int column = table_column(t->table, name);
        free(name);
        if (column < 0)
            return fail(ERR_REFUSED,
                        "table %s has not all columns of its user key any more; load the package again",
                        t->table->name);
        a->column = mem_grow(a->column, a->n + 1, sizeof *a->column);
        a->column[a->n++] = (size_t)column;
    }
    return 0;
}

/* SELECT key FROM table WHERE a = ? AND b = ? AND NOT (key IS ?) LIMIT 1 */
static int prepare(struct alternative *a, const struct target *t)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    layout_keys(&sql, t->table, "");
    buf_puts(&sql, " FROM main.");
    buf_name(&sql, t->table->name);
    for (size_t i = 0; i < a->n; i++) {
        buf_puts(&sql, i ? " AND " : " WHERE ");
        buf_name(&sql, t->table->col[a->column[i]]);
        buf_puts(&sql, " = ?");
    }
    for (size_t i = 0; i < t->table->nkey; i++) {
        buf_puts(&sql, i ? " AND +" : " AND NOT (+");
        buf_name(&sql, t->table->col[t->table->key[i]]);
        buf_puts(&sql, " IS ?");
    }
    buf_puts(&sql, ") LIMIT 1");
    a->find = db_prepare(t->db, buf_text(&sql));
    buf_free(&sql);
    return a->find ? 0 : -1;
}

struct userkey *userkey_open(struct target *t, const char *alternatives)
{
    struct userkey *u = mem_zero(1, sizeof *u);
    char *list;
    int rc = 0;
    u->target = t;
    u->row = mem_zero(t->table->ncol, sizeof *u->row);
    while (rc == 0 && (list = conf_word(&alternatives, '|'))) {
        u->alternative = mem_grow(u->alternative, u->n + 1, sizeof *u->alternative);
        struct alternative *a = &u->alternative[u->n++];
        *a = (struct alternative){0};
        rc = take_columns(a, t, list) || prepare(a, t) ? -1 : 0;
        free(list);
    }
    if (rc == 0)
        return u;
    userkey_free(u);
    return NULL;
}

void userkey_free(struct userkey *u)
{
    if (u == NULL)
        return;
    for (size_t i = 0; i < u->n; i++) {
        free(u->alternative[i].column);
        stmt_free(u->alternative[i].find);
    }
    free(u->alternative);
    free(u->key);
    free(u->row);
    free(u);
}

/* Notes the row that was found. */
static void note(struct userkey *u, struct stmt *found)
{
    const struct table *t = u->target->table;
    struct val *key = mem_alloc(t->nkey * sizeof *key);
    for (size_t i = 0; i < t->nkey; i++)
        key[i] = stmt_val(found, (int)i);
    free(u->key);
    u->key = vals_copy(key, t->nkey);
    free(key);
    for (size_t i = 0; i < t->nkey; i++)
        u->row[t->key[i]] = u->key[i];
    snprintf(u->other, sizeof u->other, "%.80s %.120s has its user key", t->name, vals_show(u->key, t->nkey));
}

/* Looks for another row with this alternative of the insert's. 1, 0, -1. */
static int find(struct userkey *u, const struct alternative *a, const struct change *c)
{
    const struct table *t = u->target->table;
    int at = 1;
    for (size_t i = 0; i < a->n; i++) {
        const struct val *v = &c->new[a->column[i]];
        if (v->type == VAL_NONE || v->type == VAL_NULL)
            return 0;
        stmt_bind(a->find, at++, v);
    }
    for (size_t i = 0; i < t->nkey; i++)
        stmt_bind(a->find, at++, &c->new[t->key[i]]);
    enum step step = stmt_step(a->find);
    if (step == STEP_ROW)
        note(u, a->find);
    stmt_reset(a->find);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

int userkey_taken(struct userkey *u, const struct change *c)
{
    for (size_t i = 0; i < u->n; i++) {
        int found = find(u, &u->alternative[i], c);
        if (found)
            return found;
    }
    return 0;
}

const struct val *userkey_row(const struct userkey *u)
{
    return u->row;
}

const char *userkey_other(const struct userkey *u)
{
    return u->other;
}

bool userkey_same(const struct userkey *u, const struct target *t, const struct change *c)
{
    for (size_t i = 0; i < u->n; i++) {
        const struct alternative *a = &u->alternative[i];
        size_t same = 0;
        for (size_t k = 0; k < a->n; k++) {
            const struct val *v = &c->new[a->column[k]];
            same += v->type != VAL_NONE && v->type != VAL_NULL && val_same(v, &t->now[a->column[k]]);
        }
        if (same == a->n)
            return true;
    }
    return false;
}
