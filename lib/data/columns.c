/* columns: see data/columns.h. */
#include "data/columns.h"

#include "base/mem.h"
#include "data/jsonl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void columns_put(struct buf *b, const struct table *t, bool key)
{
    buf_byte(b, '[');
    for (size_t i = 0; i < (key ? t->nkey : t->ncol); i++) {
        const char *name = t->col[key ? t->key[i] : i];
        buf_puts(b, i ? "," : "");
        jsonl_string(b, name, strlen(name));
    }
    buf_byte(b, ']');
}

char *columns_text(const struct table *t, bool key)
{
    struct buf b = {0};
    columns_put(&b, t, key);
    return buf_take(&b);
}

/* The strings of an array; NULL when it is none of strings only. The caller frees the array, the JSON owns the rest. */
static const char **strings(json_t *array, size_t *n)
{
    *n = json_array_size(array);
    const char **text = mem_zero(*n, sizeof *text);
    for (size_t i = 0; i < *n; i++)
        if ((text[i] = json_string_value(json_array_get(array, i))) == NULL) {
            free(text);
            return NULL;
        }
    return text;
}

static struct table *make(const char *name, const char **col, size_t ncol, const char **key, size_t nkey)
{
    uint8_t *pk = mem_zero(ncol, 1);
    size_t found = 0;
    for (size_t k = 0; k < nkey && k < UINT8_MAX; k++)
        for (size_t i = 0; i < ncol; i++)
            if (pk[i] == 0 && strcmp(col[i], key[k]) == 0) {
                pk[i] = (uint8_t)(k + 1);
                found++;
            }
    struct table *t = ncol && found == nkey ? table_new(name, ncol, col, pk) : NULL;
    free(pk);
    return t;
}

struct table *columns_table(const char *name, const char *columns, const char *key)
{
    json_t *all = columns ? json_loads(columns, 0, NULL) : NULL,
           *some = key ? json_loads(key, 0, NULL) : NULL;
    size_t ncol, nkey;
    const char **col = strings(all, &ncol), **part = strings(some, &nkey);
    struct table *t = name && col && part ? make(name, col, ncol, part, nkey) : NULL;
    free(col);
    free(part);
    json_decref(all);
    json_decref(some);
    return t;
}
