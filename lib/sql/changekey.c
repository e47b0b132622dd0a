/* changekey: see sql/changekey.h. */
#include "sql/changekey.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sha.h"

#include <stdlib.h>
#include <string.h>

static const char prefix[] = "dx_hash_";

enum { NAME_DIGITS = 8, HASH_DIGITS = 32 };

bool changekey_is_hash(const char *column)
{
    return strncmp(column, prefix, sizeof prefix - 1) == 0;
}

struct named {
    const char *name;
    int column;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void hash_over(struct changekey *k, const struct table *row)
{
    struct named *sorted = mem_zero(row->ncol, sizeof *sorted);
    struct buf names = {0};
    char hex[SHA_HEX];
    k->hashed = true;
    k->sha = sha_new();
    k->n = 1;
    for (size_t i = 0; i < row->ncol; i++)
        if (!changekey_is_hash(row->col[i]))
            sorted[k->ncolumn++] = (struct named){row->col[i], (int)i};
    qsort(sorted, k->ncolumn, sizeof *sorted, by_name);
    k->column = mem_zero(k->ncolumn, sizeof *k->column);
    for (size_t i = 0; i < k->ncolumn; i++) {
        k->column[i] = sorted[i].column;
        buf_addf(&names, "%s\n", sorted[i].name);
    }
    sha_hex(names.p, names.n, hex);
    k->name = mem_zero(1, sizeof *k->name);
    k->name[0] = mem_printf("%s%.*s", prefix, NAME_DIGITS, hex);
    buf_free(&names);
    free(sorted);
}

static int take_columns(struct changekey *k, const struct table *row, char *const *columns)
{
    k->ncolumn = k->n;
    k->name = mem_zero(k->n, sizeof *k->name);
    k->column = mem_zero(k->n, sizeof *k->column);
    for (size_t i = 0; i < k->n; i++) {
        k->name[i] = mem_text(columns[i]);
        k->column[i] = table_column(row, columns[i]);
        if (k->column[i] < 0)
            return fail(ERR_REFUSED, "%s: no column %s for the change key; name others in the configuration",
                        row->name, columns[i]);
        if (row->pk[k->column[i]])
            return fail(ERR_REFUSED, "%s: %s is part of the key, it cannot be the change key", row->name,
                        columns[i]);
    }
    return 0;
}

struct changekey *changekey_new(const struct table *row, size_t n, char *const *columns)
{
    struct changekey *k = mem_zero(1, sizeof *k);
    k->n = n;
    if (n == 0)
        hash_over(k, row);
    else if (take_columns(k, row, columns)) {
        changekey_free(k);
        return NULL;
    }
    return k;
}

static struct changekey *hash_named(const struct table *row, const char *name)
{
    struct changekey *k = changekey_new(row, 0, NULL);
    if (strcmp(k->name[0], name) == 0)
        return k;
    fail(
        ERR_REFUSED,
        "%s: the archive's hash is over other columns than there are here; give both sides the same columns, "
        "or name those to compare in the configuration",
        row->name);
    changekey_free(k);
    return NULL;
}

struct changekey *changekey_of_keys(const struct table *keys, const struct table *row)
{
    char **name = mem_zero(keys->ncol, sizeof *name);
    size_t n = 0;
    for (size_t i = 0; i < keys->ncol; i++)
        if (!keys->pk[i])
            name[n++] = keys->col[i];
    struct changekey *k = NULL;
    if (n == 0)
        fail(ERR_REFUSED, "%s: the archive has no change key for it", keys->name);
    else
        k = n == 1 && changekey_is_hash(name[0]) ? hash_named(row, name[0]) : changekey_new(row, n, name);
    free(name);
    return k;
}

struct changekey *changekey_of_rows(const struct table *rows)
{
    return hash_named(rows, rows->col[rows->ncol - 1]);
}

void changekey_free(struct changekey *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; k->name && i < k->n; i++)
        free(k->name[i]);
    free(k->name);
    free(k->column);
    buf_free(&k->room);
    sha_free(k->sha);
    free(k);
}

void changekey_get(struct changekey *k, const struct val *row, struct val *out)
{
    if (!k->hashed) {
        for (size_t i = 0; i < k->n; i++)
            out[i] = row[k->column[i]];
        return;
    }
    char hex[SHA_HEX];
    buf_clear(&k->room);
    for (size_t i = 0; i < k->ncolumn; i++)
        val_put(&k->room, &row[k->column[i]]);
    sha_add(k->sha, k->room.p, k->room.n);
    sha_end(k->sha, hex);
    memcpy(k->hex, hex, HASH_DIGITS);
    k->hex[HASH_DIGITS] = 0;
    out[0] = val_text(k->hex);
}

struct table *changekey_table(const struct changekey *k, const struct table *row)
{
    size_t n = row->nkey + k->n;
    const char **col = mem_zero(n, sizeof *col);
    uint8_t *pk = mem_zero(n, 1);
    for (size_t i = 0; i < row->nkey; i++) {
        col[i] = row->col[row->key[i]];
        pk[i] = (uint8_t)(i + 1);
    }
    for (size_t i = 0; i < k->n; i++)
        col[row->nkey + i] = k->hashed ? k->name[i] : row->col[k->column[i]];
    struct table *t = table_new(row->name, n, col, pk);
    free(col);
    free(pk);
    return t;
}
