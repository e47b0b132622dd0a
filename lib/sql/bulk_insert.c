/* bulk_insert: see sql/bulk_insert.h. */
#include "sql/bulk_insert.h"

#include "base/mem.h"
#include "data/arena.h"

#include <stdlib.h>

enum {
    VALUES = 256,        /* in one statement, if that is more than one row */
    TEXT_BYTES = 1 << 20 /* that wait, about */
};

struct bulk_insert {
    struct db *db;
    char *into;
    size_t width, room; /* values of a row; rows in a statement */
    struct stmt *s;     /* for so many rows: */
    size_t rows;
    struct val *value; /* of the rows that wait */
    size_t n, bytes;   /* rows; of texts and blobs */
    struct arena text;
};

struct bulk_insert *bulk_insert_open(struct db *db, const char *into, size_t n)
{
    struct bulk_insert *b = mem_zero(1, sizeof *b);
    b->db = db;
    b->into = mem_text(into);
    b->width = n;
    b->room = n < VALUES ? VALUES / n : 1;
    b->value = mem_zero(b->room * n, sizeof *b->value);
    return b;
}

void bulk_insert_close(struct bulk_insert *b)
{
    if (b == NULL)
        return;
    stmt_free(b->s);
    arena_free(&b->text);
    free(b->value);
    free(b->into);
    free(b);
}

static struct stmt *prepare(const struct bulk_insert *b)
{
    struct buf sql = {0};
    buf_addf(&sql, "INSERT INTO %s VALUES ", b->into);
    for (size_t row = 0; row < b->n; row++) {
        buf_puts(&sql, row ? ", (?" : "(?");
        for (size_t i = 1; i < b->width; i++)
            buf_puts(&sql, ", ?");
        buf_puts(&sql, ")");
    }
    struct stmt *s = db_prepare(b->db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

int bulk_insert_end(struct bulk_insert *b)
{
    if (b->n == 0)
        return 0;
    if (b->rows != b->n) {
        stmt_free(b->s);
        b->s = prepare(b);
        b->rows = b->n;
    }
    if (b->s == NULL)
        return -1;
    for (size_t i = 0; i < b->n * b->width; i++)
        stmt_bind(b->s, (int)i + 1, &b->value[i]);
    b->n = b->bytes = 0;
    int rc = stmt_run(b->s);
    arena_clear(&b->text);
    return rc;
}

int bulk_insert_put(struct bulk_insert *b, const struct val *row)
{
    struct val *to = b->value + b->n++ * b->width;
    for (size_t i = 0; i < b->width; i++) {
        to[i] = arena_val(&b->text, &row[i]);
        if (row[i].type == VAL_TEXT || row[i].type == VAL_BLOB)
            b->bytes += row[i].n;
    }
    return b->n == b->room || b->bytes >= TEXT_BYTES ? bulk_insert_end(b) : 0;
}
