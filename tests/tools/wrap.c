/* wrap: puts a changeset or patchset of SQLite's into a .dx archive, so that tests can make any archive they like.
 *
 *   wrap DB KIND [FIELD=VALUE...] < CHANGESET > ARCHIVE
 *
 * DB tells the columns of the tables. FIELD is one of the head: from, to, epoch, number, after, upto, ack, applied,
 * package; tables=A,B lists tables beside those in the changeset; schema=DB2 takes the CREATE statements of DB2,
 * sql=TEXT adds a statement to them. */
#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "sql/db.h"
#include "sql/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add_table(struct dx_head *h, struct db *db, const char *name)
{
    if (dx_head_table(h, name))
        return 0;
    struct layout *l = layout_of(db, name);
    if (l == NULL)
        return -1;
    dx_head_add_table(h, l->table);
    layout_free(l);
    return 0;
}

static int add_tables(struct dx_head *h, struct db *db, const char *list)
{
    char *copy = mem_text(list), *at = NULL;
    int rc = 0;
    for (char *name = strtok_r(copy, ",", &at); name && rc == 0; name = strtok_r(NULL, ",", &at))
        rc = add_table(h, db, name);
    free(copy);
    return rc;
}

static int add_schema(struct dx_head *h, const char *path)
{
    struct db *db = db_open(path, DB_READ);
    struct stmt *s =
        db ? db_prepare(db, "SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql NOTNULL"
                            " AND name NOT LIKE 'dx_%' AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
           : NULL;
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        dx_head_add_schema(h, stmt_text(s, 0));
    db_close(db);
    return step == STEP_DONE ? 0 : -1;
}

static int set_field(struct dx_head *h, struct db *db, const char *field, const char *value)
{
    struct {
        const char *name;
        char **text;
        int64_t *number;
    } const fields[] = {
        {"from", &h->from, NULL},       {"to", &h->to, NULL},         {"epoch", &h->epoch, NULL},
        {"package", &h->package, NULL}, {"number", NULL, &h->number}, {"after", NULL, &h->after},
        {"upto", NULL, &h->upto},       {"ack", NULL, &h->ack},       {"applied", NULL, &h->applied}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strncmp(field, fields[i].name, strlen(fields[i].name)) == 0 &&
            field[strlen(fields[i].name)] == '=') {
            if (fields[i].text)
                dx_head_set(fields[i].text, value);
            else
                *fields[i].number = strtoll(value, NULL, 10);
            return 0;
        }
    if (strncmp(field, "tables=", 7) == 0)
        return add_tables(h, db, value);
    if (strncmp(field, "schema=", 7) == 0)
        return add_schema(h, value);
    if (strncmp(field, "sql=", 4) == 0) {
        dx_head_add_schema(h, value);
        return 0;
    }
    return fail(ERR_USAGE, "no such field: %s", field);
}

static enum dx_kind kind_named(const char *name)
{
    enum dx_kind k = DX_CHANGES;
    while (k < DX_ROWS && strcmp(dx_kind_name(k), name) != 0)
        k++;
    return k;
}

static int read_input(struct buf *in)
{
    ssize_t n;
    while ((n = file_read_some(STDIN_FILENO, buf_reserve(in, 1 << 20), 1 << 20, "stdin")) > 0)
        in->n += (size_t)n;
    return n < 0 ? -1 : 0;
}

/* Runs over the changeset; without a writer it only gathers the tables and the form for the head. */
static int scan(const struct buf *in, struct db *db, struct dx_head *h, struct dx_writer *out)
{
    struct wire w = wire_over(in->p, in->n);
    struct changeset_table t = {0};
    struct change c = {.origin = ""};
    struct val *values = NULL;
    int rc = 0;
    while (rc == 0 && w.p < w.end && w.state == WIRE_OK) {
        if (*w.p == CHANGESET_FULL || *w.p == CHANGESET_PATCH) {
            changeset_get_table(&w, &t);
            h->form = t.form;
            rc = add_table(h, db, t.name);
            c.table = rc ? NULL : dx_head_table(h, t.name);
            values = mem_grow(values, 2 * t.ncol, sizeof *values);
            c.old = values;
            c.new = values + t.ncol;
        } else {
            changeset_get_change(&w, t.form, &c);
            if (out && w.state == WIRE_OK)
                rc = dx_write(out, &c);
        }
    }
    free(values);
    if (rc == 0 && w.state != WIRE_OK)
        rc = fail(ERR_REFUSED, "not a sound changeset");
    return rc;
}

static int wrap(int argc, char **argv, struct db *db)
{
    struct dx_head h;
    struct buf in = {0};
    dx_head_init(&h, kind_named(argv[2]));
    int rc = read_input(&in);
    for (int i = 3; i < argc && rc == 0; i++) {
        const char *value = strchr(argv[i], '=');
        rc = set_field(&h, db, argv[i], value ? value + 1 : "");
    }
    rc = rc || scan(&in, db, &h, NULL) ? -1 : 0;
    struct dx_writer *out = rc ? NULL : dx_writer_open(STDOUT_FILENO, "stdout", &h, 1);
    if (out && scan(&in, db, &h, out) == 0)
        rc = dx_writer_close(out);
    else
        rc = -1;
    dx_head_free(&h);
    buf_free(&in);
    return rc;
}

int main(int argc, char **argv)
{
    struct db *db = argc >= 3 ? db_open(argv[1], DB_READ) : NULL;
    if (db && wrap(argc, argv, db) == 0) {
        db_close(db);
        return 0;
    }
    fprintf(stderr, "wrap: %s\n",
            argc >= 3 ? err_message() : "usage: wrap DB KIND [FIELD=VALUE...] < CHANGESET");
    return 1;
}
