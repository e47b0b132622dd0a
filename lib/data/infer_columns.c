/* infer_columns: see data/infer_columns.h. Which column stood directly before which is kept as a graph; its topological order, ties in the
 * order of first mention, is the table's order. */
#include "data/infer_columns.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct column {
    char *name;
    size_t key;            /* place in the key from 1, 0 when not in it */
    size_t nafter, *after; /* columns that stood behind this one */
    size_t waits;          /* for so many columns before it; used while ordering */
    bool placed;
};

struct infer_table {
    char *name;
    size_t number;
    struct table *fixed, *known; /* known: as of the newest infer_table */
    size_t ncol, nkey;
    struct column *col;
};

struct infer_tables {
    size_t n;
    struct infer_table **shape;
    size_t at; /* the one found last */
};

struct infer_tables *infer_tables_new(void)
{
    return mem_zero(1, sizeof(struct infer_tables));
}

static void shape_free(struct infer_table *p)
{
    for (size_t i = 0; i < p->ncol; i++) {
        free(p->col[i].name);
        free(p->col[i].after);
    }
    free(p->col);
    free(p->name);
    table_free(p->fixed);
    table_free(p->known);
    free(p);
}

void infer_tables_free(struct infer_tables *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        shape_free(s->shape[i]);
    free(s->shape);
    free(s);
}

struct infer_table *infer_tables_find(struct infer_tables *s, const char *table)
{
    for (size_t i = 0; i < s->n; i++) {
        size_t turn = (s->at + i) % s->n;
        if (strcmp(s->shape[turn]->name, table) == 0) {
            s->at = turn;
            return s->shape[turn];
        }
    }
    s->shape = mem_grow(s->shape, s->n + 1, sizeof *s->shape);
    struct infer_table *p = mem_zero(1, sizeof *p);
    p->name = mem_text(table);
    p->number = s->n;
    s->at = s->n;
    s->shape[s->n++] = p;
    return p;
}

void infer_tables_fix(struct infer_tables *s, const struct table *t)
{
    struct infer_table *p = infer_tables_find(s, t->name);
    table_free(p->fixed);
    p->fixed = table_copy(t);
}

/* The number of the column, p->ncol when it is new. Searched from `hint` on, where it mostly stands. */
static size_t find_column(const struct infer_table *p, const char *name, size_t hint)
{
    for (size_t i = 0; i < p->ncol; i++) {
        size_t turn = (hint + i) % p->ncol;
        if (strcmp(p->col[turn].name, name) == 0)
            return turn;
    }
    return p->ncol;
}

static size_t need_column(struct infer_table *p, const char *name, size_t hint)
{
    size_t i = find_column(p, name, hint);
    if (i < p->ncol)
        return i;
    p->col = mem_grow(p->col, p->ncol + 1, sizeof *p->col);
    p->col[p->ncol++] = (struct column){.name = mem_text(name)};
    return i;
}

static int other_key(const struct infer_table *p)
{
    return fail(ERR_REFUSED, "the key of table \"%.60s\" has other columns, or another order, than before",
                p->name);
}

static int fixed_key(const struct table *t, const char *const *name, size_t n, const struct infer_table *p)
{
    if (n != t->nkey)
        return other_key(p);
    for (size_t k = 0; k < n; k++)
        if (strcmp(t->col[t->key[k]], name[k]) != 0)
            return other_key(p);
    return 0;
}

int infer_key(struct infer_table *p, const char *const *name, size_t n)
{
    if (p->fixed)
        return fixed_key(p->fixed, name, n, p);
    if (n > 255)
        return fail(ERR_REFUSED, "a key of %zu columns, 255 are the most", n);
    bool first = p->nkey == 0;
    if (!first && n != p->nkey)
        return other_key(p);
    for (size_t k = 0; k < n; k++) {
        size_t i = need_column(p, name[k], k);
        if (!first && p->col[i].key != k + 1)
            return other_key(p);
        p->col[i].key = k + 1;
    }
    p->nkey = n;
    return 0;
}

static void note_after(struct column *c, size_t next)
{
    for (size_t i = 0; i < c->nafter; i++)
        if (c->after[i] == next)
            return;
    c->after = mem_grow(c->after, c->nafter + 1, sizeof *c->after);
    c->after[c->nafter++] = next;
}

int infer_columns(struct infer_table *p, const char *const *name, size_t n)
{
    size_t before = 0;
    for (size_t i = 0; i < n; i++) {
        if (p->fixed) {
            if (table_column(p->fixed, name[i]) < 0)
                return fail(ERR_REFUSED, "table \"%.60s\" has no column \"%.60s\"", p->name, name[i]);
            continue;
        }
        size_t at = need_column(p, name[i], i ? before + 1 : 0);
        if (i)
            note_after(&p->col[before], at);
        before = at;
    }
    return 0;
}

bool infer_is_key(const struct infer_table *p, const char *column)
{
    if (p->fixed) {
        int i = table_column(p->fixed, column);
        return i >= 0 && p->fixed->pk[i];
    }
    size_t i = find_column(p, column, 0);
    return i < p->ncol && p->col[i].key;
}

/* The column to place next: the first that waits for none; where lines disagree, the first that is left. */
static size_t choose(const struct infer_table *p)
{
    size_t left = p->ncol;
    for (size_t i = p->ncol; i-- > 0;)
        if (!p->col[i].placed)
            left = i;
    for (size_t i = left; i < p->ncol; i++)
        if (!p->col[i].placed && p->col[i].waits == 0)
            return i;
    return left;
}

static void order(const struct infer_table *p, size_t *out)
{
    for (size_t i = 0; i < p->ncol; i++)
        for (size_t a = 0; a < p->col[i].nafter; a++)
            p->col[p->col[i].after[a]].waits++;
    for (size_t n = 0; n < p->ncol; n++) {
        struct column *c = &p->col[out[n] = choose(p)];
        c->placed = true;
        for (size_t a = 0; a < c->nafter; a++)
            if (p->col[c->after[a]].waits)
                p->col[c->after[a]].waits--;
    }
    for (size_t i = 0; i < p->ncol; i++) {
        p->col[i].waits = 0;
        p->col[i].placed = false;
    }
}

/* The layout with column turn[i] of p in place i. */
static struct table *make_table(const struct infer_table *p, const size_t *turn)
{
    const char **name = mem_zero(p->ncol, sizeof *name);
    uint8_t *pk = mem_zero(p->ncol, 1);
    for (size_t i = 0; i < p->ncol; i++) {
        name[i] = p->col[turn[i]].name;
        pk[i] = (uint8_t)p->col[turn[i]].key;
    }
    struct table *t = table_new(p->name, p->ncol, name, pk);
    free(name);
    free(pk);
    return t;
}

const struct table *infer_table(struct infer_table *p)
{
    if (p->fixed)
        return p->fixed;
    if (p->known && p->known->ncol == p->ncol)
        return p->known;
    size_t *turn = mem_zero(p->ncol, sizeof *turn);
    for (size_t i = 0; i < p->ncol; i++)
        turn[i] = i;
    table_free(p->known);
    p->known = make_table(p, turn);
    free(turn);
    return p->known;
}

size_t infer_number(const struct infer_table *p)
{
    return p->number;
}

size_t infer_tables_count(const struct infer_tables *s)
{
    return s->n;
}

struct infer_table *infer_tables_get(const struct infer_tables *s, size_t number)
{
    return s->shape[number];
}

struct table *infer_layout(struct infer_table *p, size_t *place)
{
    size_t n = infer_table(p)->ncol, *turn = mem_zero(n, sizeof *turn);
    struct table *t;
    if (p->fixed) {
        for (size_t i = 0; i < n; i++)
            place[i] = i;
        t = table_copy(p->fixed);
    } else {
        order(p, turn);
        for (size_t i = 0; i < n; i++)
            place[turn[i]] = i;
        t = make_table(p, turn);
    }
    free(turn);
    return t;
}
