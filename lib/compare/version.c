/* version: see compare/version.h. */
#include "compare/version.h"

#include "base/sha.h"

#include <string.h>

enum { ROW_BYTES = 16, COLUMN_BYTES = 8 };

static bool in_change_key(const struct spec *s, size_t column)
{
    for (size_t i = 0; i < s->nchange; i++)
        if (s->change[i] == column)
            return true;
    return false;
}

static void add_hash(struct buf *bytes, size_t keep, struct buf *out)
{
    uint8_t sum[SHA_BYTES];
    sha_sum(bytes->p, bytes->n, sum);
    buf_add(out, sum, keep);
}

static void hash_columns(const struct spec *s, const struct val *row, struct buf *out)
{
    struct buf bytes = {0};
    for (size_t k = 0; k < s->row->ncol; k++) {
        size_t i = s->by_column ? k : s->sorted[k];
        if (s->by_column ? s->row->pk[i] != 0 || in_change_key(s, i) : in_change_key(s, i))
            continue;
        val_put(&bytes, &row[i]);
        if (s->by_column) {
            add_hash(&bytes, COLUMN_BYTES, out);
            buf_clear(&bytes);
        }
    }
    if (!s->by_column)
        add_hash(&bytes, ROW_BYTES, out);
    buf_free(&bytes);
}

bool version_is_content(const struct spec *s)
{
    return s->nchange == 0;
}

void version_of(const struct spec *s, const struct val *row, struct buf *out)
{
    if (s->nchange == 0)
        hash_columns(s, row, out);
    for (size_t i = 0; i < s->nchange; i++)
        val_put(out, &row[s->change[i]]);
    if (out->p == NULL) /* a row that is all key: a version of no bytes is one, too */
        buf_reserve(out, 1);
}

void content_of(const struct spec *s, const struct val *row, struct buf *out)
{
    if (!version_is_content(s))
        hash_columns(s, row, out);
}

bool version_columns(const struct spec *s, const struct val *row, const struct val *content, uint8_t *differs)
{
    struct buf now = {0};
    size_t n = 0;
    if (!s->by_column || content->type != VAL_BLOB)
        return false;
    hash_columns(s, row, &now);
    bool complete = now.n == content->n;
    for (size_t i = 0; complete && i < s->row->ncol; i++) {
        differs[i] = 0;
        if (s->row->pk[i] || in_change_key(s, i))
            continue;
        differs[i] = memcmp(now.p + n, (const uint8_t *)content->p + n, COLUMN_BYTES) != 0;
        n += COLUMN_BYTES;
    }
    buf_free(&now);
    return complete;
}

bool version_backwards(const struct spec *s, const struct val *before, const struct val *now)
{
    if (s->nchange == 0 || before->type != VAL_BLOB || now->type != VAL_BLOB)
        return false;
    struct wire a = wire_over(before->p, before->n), b = wire_over(now->p, now->n);
    for (size_t i = 0; i < s->nchange; i++) {
        struct val x = val_get(&a), y = val_get(&b);
        if (a.state != WIRE_OK || b.state != WIRE_OK)
            return false;
        if (!val_same(&x, &y))
            return x.type != VAL_NULL && y.type != VAL_NULL && val_compare(&y, &x) < 0;
    }
    return false;
}

bool rows_same(const struct spec *s, const struct val *a, const struct val *b)
{
    for (size_t i = 0; i < s->row->ncol; i++)
        if (!val_same(&a[i], &b[i]))
            return false;
    return true;
}

/* Where every column is key or change key, these are all the content that there is. */
bool rows_same_content(const struct spec *s, const struct val *a, const struct val *b)
{
    size_t compared = 0;
    for (size_t i = 0; i < s->row->ncol; i++) {
        if (s->row->pk[i] || in_change_key(s, i))
            continue;
        compared++;
        if (!val_same(&a[i], &b[i]))
            return false;
    }
    for (size_t i = 0; compared == 0 && i < s->nchange; i++)
        if (!val_same(&a[s->change[i]], &b[s->change[i]]))
            return false;
    return true;
}
