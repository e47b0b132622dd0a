/* token: see token.h. */
#include "token.h"

#include "../sync/stage.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/journal.h"

#include <stdlib.h>
#include <string.h>

void token_clear(struct token_set *set)
{
    if (set->n)
        memset(set->has, 0, (size_t)set->n);
}

void token_free(struct token_set *set)
{
    free(set->has);
    *set = (struct token_set){0};
}

bool token_has(const struct token_set *set, int number)
{
    return number < set->n && set->has[number];
}

static void add(struct token_set *set, int number)
{
    if (number >= set->n) {
        set->has = mem_grow(set->has, (size_t)number + 64, 1);
        memset(set->has + set->n, 0, (size_t)(number + 64 - set->n));
        set->n = number + 64;
    }
    set->has[number] = 1;
}

static bool digit(int c)
{
    return c >= '0' && c <= '9';
}

void token_in_bytes(struct token_set *set, const void *bytes, size_t n)
{
    const char *p = bytes, *end = p + n;
    for (; p < end; p++) {
        if (*p != 'v')
            continue;
        const char *q = p + 1;
        int number = 0;
        q += q < end && *q == '-';
        if (q == end || !digit(*q))
            continue;
        while (q < end && digit(*q))
            q++;
        if (q + 1 >= end || *q != '.' || !digit(q[1]))
            continue;
        for (q++; q < end && digit(*q) && number < 1 << 20; q++)
            number = number * 10 + (*q - '0');
        add(set, number);
    }
}

static int in_rows(struct token_set *set, struct stmt *s)
{
    enum step got = STEP_ERROR;
    while (s && (got = stmt_step(s)) == STEP_ROW)
        for (int i = 0; i < stmt_columns(s); i++) {
            struct val v = stmt_val(s, i);
            if (v.type == VAL_TEXT || v.type == VAL_BLOB)
                token_in_bytes(set, v.p, v.n);
        }
    stmt_free(s);
    return got == STEP_DONE ? 0 : -1;
}

static int in_tables_like(struct token_set *set, struct db *db, const char *condition)
{
    struct stmt *s = db_preparef(
        db,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%%' AND (%s)",
        condition);
    int rc = s ? 0 : -1;
    while (rc == 0 && stmt_step(s) == STEP_ROW)
        rc = in_rows(set, db_preparef(db, "SELECT * FROM \"%w\"", stmt_text(s, 0)));
    stmt_free(s);
    return rc;
}

int token_in_column(struct token_set *set, struct db *db, const char *table, const char *column)
{
    return in_rows(set, db_preparef(db, "SELECT \"%w\" FROM \"%w\"", column, table));
}

int token_in_tables(struct token_set *set, struct db *db)
{
    return in_tables_like(set, db, "name NOT GLOB 'dx_*' AND name NOT GLOB 'sqlite_*'");
}

int token_in_records(struct token_set *set, struct db *db)
{
    return in_tables_like(set, db,
                          "name IN ('dx_conflict', 'dx_quarantine', 'dx_rejected', 'dx_rejected_change')");
}

int token_in_journal(struct token_set *set, struct db *db, int64_t after, int64_t *end)
{
    struct change c;
    int got = -1;
    if (journal_end(db, end))
        return -1;
    struct journal_reader *r = journal_read(db, after, *end);
    while (r && (got = journal_next(r, &c)) > 0)
        for (size_t i = 0; i < c.table->ncol; i++) {
            if (c.new[i].type == VAL_TEXT)
                token_in_bytes(set, c.new[i].p, c.new[i].n);
            if (c.old[i].type == VAL_TEXT)
                token_in_bytes(set, c.old[i].p, c.old[i].n);
        }
    journal_reader_close(r);
    return got;
}

int token_in_archive(struct token_set *set, const char *path)
{
    struct buf b = {0};
    int code = RUN(NULL, path, "cat", "dxpack", "cat");
    int rc = code ? stage_surprise(path, code) : file_load("cat", 1 << 26, &b);
    token_in_bytes(set, b.p, b.n);
    buf_free(&b);
    return rc;
}
