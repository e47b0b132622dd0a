/* range_scan: see journal/range_scan.h. */
#include "journal/range_scan.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct range_scanned {
    bool touched, disordered;
    struct val last; /* key of the last entry */
    struct buf room; /* its bytes */
};

int range_scan_open(struct range_scan *s, struct db *db)
{
    if (journal_tables(db, &s->layout, &s->n))
        return -1;
    s->of = mem_zero(s->n, sizeof *s->of);
    return 0;
}

void range_scan_close(struct range_scan *s)
{
    for (size_t i = 0; s->of && i < s->n; i++)
        buf_free(&s->of[i].room);
    free(s->of);
    journal_tables_free(s->layout, s->n);
    *s = (struct range_scan){0};
}

static void keep(struct range_scanned *x, const struct val *key)
{
    x->last = *key;
    if (key->type != VAL_TEXT && key->type != VAL_BLOB)
        return;
    buf_clear(&x->room);
    buf_add(&x->room, key->p, key->n);
    x->last.p = x->room.p;
}

/* Takes an entry. Only keys that are the table's first column are looked at. */
static void take(struct range_scanned *x, const struct table *t, int op, struct stmt *s)
{
    if (!x->touched)
        x->disordered = t->nkey != 1 || t->key[0] != 0;
    x->disordered |= op == JOURNAL_REKEY;
    if (!x->disordered) {
        struct val key = stmt_val(s, 1);
        x->disordered = x->touched && val_compare(&x->last, &key) > 0;
        keep(x, &key);
    }
    x->touched = true;
}

int range_scan_take(struct range_scan *s, struct db *db, int64_t after, int64_t upto)
{
    struct stmt *q =
        db_preparef(db,
                    "SELECT what, %s FROM main.dx_journal WHERE seq > %lld AND seq <= %lld ORDER "
                    "BY seq",
                    s->n ? "c0" : "NULL", (long long)after, (long long)upto);
    enum step step = STEP_ERROR;
    size_t at = 0;
    while (q && (step = stmt_step(q)) == STEP_ROW) {
        int64_t what = stmt_int(q, 0);
        if (at >= s->n || s->layout[at].id != what / JOURNAL_WHAT)
            for (at = 0; at < s->n && s->layout[at].id != what / JOURNAL_WHAT; at++)
                ;
        if (at < s->n)
            take(&s->of[at], s->layout[at].table, (int)(what % JOURNAL_WHAT), q);
    }
    stmt_free(q);
    return step == STEP_DONE ? 0 : -1;
}

/* How many of the table's layouts have entries; the last of them. */
static size_t count(const struct range_scan *s, const char *table, size_t *last)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->of[i].touched && strcmp(s->layout[i].table->name, table) == 0) {
            *last = i;
            n++;
        }
    return n;
}

bool range_scan_touched(const struct range_scan *s, const char *table)
{
    size_t last;
    return count(s, table, &last) > 0;
}

int64_t range_scan_ordered(const struct range_scan *s, const char *table)
{
    size_t last;
    return count(s, table, &last) == 1 && !s->of[last].disordered ? s->layout[last].id : 0;
}
