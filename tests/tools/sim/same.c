/* same: see same.h. */
#include "same.h"

#include "base/mem.h"
#include "data/val.h"

#include <stdlib.h>
#include <string.h>

/* The rows of a query as val_put bytes, sorted. */
struct rows {
    struct buf *row;
    size_t n;
};

static int by_bytes(const void *a, const void *b)
{
    const struct buf *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static int load_rows(struct db *db, const char *sql, struct rows *out)
{
    struct stmt *s = db_prepare(db, sql);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        out->row = mem_grow(out->row, out->n + 1, sizeof *out->row);
        struct buf *b = &out->row[out->n++];
        *b = (struct buf){0};
        for (int i = 0; i < stmt_columns(s); i++) {
            struct val v = stmt_val(s, i);
            val_put(b, &v);
        }
    }
    stmt_free(s);
    if (out->n)
        qsort(out->row, out->n, sizeof *out->row, by_bytes);
    return step == STEP_DONE ? 0 : -1;
}

static void free_rows(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        buf_free(&r->row[i]);
    free(r->row);
}

void same_show(struct buf *b, const struct buf *row)
{
    struct wire w = wire_over(row->p, row->n);
    for (const char *between = ""; w.p < w.end && w.state == WIRE_OK; between = ", ") {
        struct val v = val_get(&w);
        buf_addf(b, "%s%s", between, val_show(&v));
    }
}

static int compare(const struct rows *want, const struct rows *have, struct buf *why)
{
    size_t i = 0;
    while (i < want->n && i < have->n && by_bytes(&want->row[i], &have->row[i]) == 0)
        i++;
    if (i == want->n && i == have->n)
        return 1;
    buf_addf(why, "should hold %zu rows, holds %zu; first difference: should be (", want->n, have->n);
    if (i < want->n)
        same_show(why, &want->row[i]);
    buf_puts(why, "), is (");
    if (i < have->n)
        same_show(why, &have->row[i]);
    buf_puts(why, ")");
    return 0;
}

int same_rows(struct db *wanted, const char *want, struct db *held, const char *have, struct buf *why,
              size_t *n)
{
    struct rows a = {0}, b = {0};
    int rc = load_rows(wanted, want, &a) || load_rows(held, have, &b) ? -1 : compare(&a, &b, why);
    *n = a.n;
    free_rows(&a);
    free_rows(&b);
    return rc;
}
