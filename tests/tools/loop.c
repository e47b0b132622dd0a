/* loop: the floor that applying is measured against: a plain loop of prepared statements over decoded rows.
 *
 *   loop DB < ARCHIVE        one table, one kind of change; prints the CPU seconds of the loop and its commit
 *   loop --read < ARCHIVE    only reads and decodes; prints the CPU seconds of that
 *
 * The rows are decoded before the clock starts. */
#include "archive/dx.h"
#include "base/err.h"
#include "base/mem.h"
#include "sql/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct rows {
    size_t n, room;
    enum change_op op;
    struct table *table;
    struct val **row; /* per change: the values to bind, in order */
};

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The values that the statement binds: an insert's row; an update's new values, then the key; a delete's key. */
static size_t pick(const struct change *c, struct val *out)
{
    size_t n = 0;
    for (size_t i = 0; i < c->table->ncol && c->op != CHANGE_DELETE; i++)
        if (c->new[i].type != VAL_NONE)
            out[n++] = c->new[i];
    if (c->op != CHANGE_INSERT) {
        change_key(c, out + n);
        n += c->table->nkey;
    }
    return n;
}

static int read_rows(struct rows *r)
{
    struct dx_reader *in = dx_reader_open(STDIN_FILENO, "stdin");
    const struct dx_head *h;
    struct change c;
    struct val values[256];
    int got = dx_next(in, &h) == 1 ? 0 : -1;
    while (got >= 0 && (got = dx_read(in, &c)) > 0) {
        if (r->n == r->room) {
            r->room = r->room ? 2 * r->room : 1024;
            r->row = mem_grow(r->row, r->room, sizeof *r->row);
        }
        if (r->table == NULL)
            r->table = table_copy(c.table);
        r->op = c.op;
        r->row[r->n++] = vals_copy(values, pick(&c, values));
    }
    dx_reader_close(in);
    return got;
}

/* The statement for a change like the first one; told: the columns it sets are those of the bench's updates. */
static struct stmt *prepare(struct db *db, const struct rows *r, const char *set)
{
    const struct table *t = r->table;
    struct buf sql = {0};
    if (r->op == CHANGE_INSERT) {
        buf_puts(&sql, "INSERT INTO ");
        buf_name(&sql, t->name);
        buf_puts(&sql, " VALUES (?");
        for (size_t i = 1; i < t->ncol; i++)
            buf_puts(&sql, ", ?");
        buf_puts(&sql, ")");
    } else {
        buf_puts(&sql, r->op == CHANGE_UPDATE ? "UPDATE " : "DELETE FROM ");
        buf_name(&sql, t->name);
        if (r->op == CHANGE_UPDATE)
            buf_addf(&sql, " SET %s", set);
        buf_puts(&sql, " WHERE ");
        buf_name(&sql, t->col[t->key[0]]);
        buf_puts(&sql, " = ?");
    }
    struct stmt *s = db_prepare(db, buf_text(&sql));
    buf_free(&sql);
    return s;
}

static int run(struct db *db, const struct rows *r, const char *set, int nset)
{
    double start = cpu();
    if (db_begin_write(db))
        return -1;
    struct stmt *s = prepare(db, r, set);
    int n = r->op == CHANGE_INSERT ? (int)r->table->ncol : r->op == CHANGE_UPDATE ? nset + 1 : 1;
    for (size_t i = 0; s && i < r->n; i++) {
        for (int k = 0; k < n; k++)
            stmt_bind(s, k + 1, &r->row[i][k]);
        if (stmt_run(s))
            return -1;
    }
    if (s == NULL || db_commit(db))
        return -1;
    printf("%.3f\n", cpu() - start);
    return 0;
}

int main(int argc, char **argv)
{
    struct rows r = {0};
    if (argc == 2 && strcmp(argv[1], "--read") == 0) {
        struct dx_reader *in = dx_reader_open(STDIN_FILENO, "stdin");
        const struct dx_head *h;
        if (dx_next(in, &h) == 1 && dx_skip(in) == 0) {
            printf("%.3f\n", cpu());
            return 0;
        }
    } else if (argc == 2 || argc == 3) {
        /* loop DB [SET]: an update's assignments, "a = ?, b = ?" */
        const char *set = argc == 3 ? argv[2] : "";
        int nset = 0;
        for (const char *p = set; *p; p++)
            nset += *p == '?';
        struct db *db = db_open(argv[1], DB_WRITE);
        if (db && read_rows(&r) == 0 && run(db, &r, set, nset) == 0)
            return 0;
    }
    fprintf(stderr, "loop: %s\n", err_message());
    return 1;
}
