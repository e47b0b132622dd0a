/* digest: see journal/digest.h. */
#include "journal/digest.h"

#include "base/mem.h"
#include "base/progress.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int by_name(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static int by_table(const void *a, const void *b)
{
    return strcmp(((const struct digest_table *)a)->table, ((const struct digest_table *)b)->table);
}

/* The table's columns in the order of their names, as names in lower case go into the digest. The caller frees. */
static char **sorted_columns(const struct table *t, struct sha *sha)
{
    char **col = mem_copy(t->col, t->ncol * sizeof *col);
    qsort(col, t->ncol, sizeof *col, by_name);
    for (size_t i = 0; i < t->ncol; i++)
        for (const char *p = col[i]; p == col[i] || p[-1]; p++) {
            char c = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
            sha_add(sha, &c, 1);
        }
    sha_add(sha, "", 1);
    return col;
}

static struct stmt *prepare(struct db *db, const struct table *t, char *const *col, const char *select)
{
    struct buf sql = {0};
    for (size_t i = 0; i < t->ncol; i++) {
        buf_puts(&sql, i ? ", " : "SELECT ");
        buf_name(&sql, col[i]);
    }
    buf_addf(&sql, " FROM (%s) ORDER BY ", select);
    for (size_t k = 0; k < t->nkey; k++) {
        buf_puts(&sql, k ? ", " : "");
        buf_name(&sql, t->col[t->key[k]]);
        buf_puts(&sql, " COLLATE BINARY");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static int add_rows(struct stmt *s, const struct table *t, struct sha *sha, int64_t *rows)
{
    struct buf row = {0};
    enum step step;
    while ((step = stmt_step(s)) == STEP_ROW) {
        buf_clear(&row);
        for (size_t i = 0; i < t->ncol; i++) {
            struct val v = stmt_val(s, (int)i);
            val_put(&row, &v);
        }
        sha_add(sha, row.p, row.n);
        progress_rows(t->name, ++*rows);
    }
    buf_free(&row);
    return step == STEP_DONE ? 0 : -1;
}

int digest_add(struct digest *d, struct db *db, const struct table *t, const char *select)
{
    struct sha *sha = sha_new();
    char **col = sorted_columns(t, sha);
    struct stmt *s = prepare(db, t, col, select);
    d->tables = mem_grow(d->tables, d->n + 1, sizeof *d->tables);
    struct digest_table *at = &d->tables[d->n++];
    *at = (struct digest_table){.table = mem_text(t->name)};
    int rc = s ? add_rows(s, t, sha, &at->rows) : -1;
    sha_end(sha, at->sha256);
    stmt_free(s);
    free(col);
    sha_free(sha);
    return rc;
}

void digest_end(struct digest *d, char sha256[SHA_HEX])
{
    struct buf lines = {0};
    if (d->n > 1)
        qsort(d->tables, d->n, sizeof *d->tables, by_table);
    for (size_t i = 0; i < d->n; i++)
        buf_addf(&lines, "%s %s\n", d->tables[i].table, d->tables[i].sha256);
    sha_hex(lines.p, lines.n, sha256);
    buf_free(&lines);
}

void digest_free(struct digest *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->tables[i].table);
    free(d->tables);
    *d = (struct digest){0};
}
