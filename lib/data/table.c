/* table: see data/table.h. */
#include "data/table.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct table *table_new(const char *name, size_t ncol, const char *const *col, const uint8_t *pk)
{
    struct table *t = mem_zero(1, sizeof *t);
    t->name = mem_text(name);
    t->ncol = ncol;
    t->col = mem_zero(ncol, sizeof *t->col);
    t->pk = mem_copy(pk, ncol);
    for (size_t i = 0; i < ncol; i++) {
        t->col[i] = mem_text(col[i]);
        t->nkey += pk[i] != 0;
    }
    t->key = mem_zero(t->nkey, sizeof *t->key);
    for (size_t i = 0; i < ncol; i++)
        if (pk[i] && pk[i] <= t->nkey)
            t->key[pk[i] - 1] = i;
    return t;
}

struct table *table_copy(const struct table *t)
{
    return table_new(t->name, t->ncol, (const char *const *)t->col, t->pk);
}

void table_free(struct table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->ncol; i++)
        free(t->col[i]);
    free(t->col);
    free(t->pk);
    free(t->key);
    free(t->name);
    free(t);
}

int table_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->ncol; i++)
        if (strcasecmp(t->col[i], name) == 0)
            return (int)i;
    return -1;
}

bool table_same(const struct table *a, const struct table *b)
{
    if (strcmp(a->name, b->name) != 0 || a->ncol != b->ncol || memcmp(a->pk, b->pk, a->ncol) != 0)
        return false;
    for (size_t i = 0; i < a->ncol; i++)
        if (strcmp(a->col[i], b->col[i]) != 0)
            return false;
    return true;
}

int *table_map(const struct table *from, const struct table *to)
{
    int *map = mem_zero(from->ncol, sizeof *map);
    for (size_t i = 0; i < from->ncol; i++)
        map[i] = table_column(to, from->col[i]);
    return map;
}
