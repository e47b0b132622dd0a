/* diffside: see compare/diffside.h. */
#include "compare/diffside.h"

#include "archive/dx.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "sql/layout.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct diff_side {
    char *path;
    size_t ntable;
    const struct table **table;
    /* a database */
    struct db *db;
    struct diff_set *set;
    const struct diff_object *object; /* being read */
    struct stmt *rows;
    struct val *whole; /* one row of it, to be hashed */
    /* an archive */
    int fd;
    struct dx_reader *reader;
    const struct dx_head *head;
    struct change ahead; /* read, not yet given; table NULL: none */
    bool ended;
    /* either */
    const struct table *at; /* the table being read */
    struct val *row, *last; /* the row given; the key before it, in last_bytes */
    struct buf last_bytes;
    bool first;
};

/* ---- opening ---- */

static bool is_database(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char head[sizeof magic] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : file_read(fd, head, sizeof head, path);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof head && memcmp(head, magic, sizeof magic) == 0;
}

static void add_table(struct diff_side *s, const struct table *t)
{
    s->table = mem_grow(s->table, s->ntable + 1, sizeof *s->table);
    s->table[s->ntable++] = t;
}

static int open_database(struct diff_side *s, const struct conf *conf)
{
    s->db = db_open(s->path, DB_READ);
    if (s->db == NULL || db_begin_read(s->db))
        return -1;
    s->set = diff_set_of(s->db, conf);
    for (size_t i = 0; s->set && i < s->set->n; i++)
        add_table(s, s->set->object[i].keys);
    return s->set ? 0 : -1;
}

static bool key_first(const struct table *t)
{
    for (size_t i = 0; i < t->nkey; i++)
        if (t->key[i] != i)
            return false;
    return t->nkey < t->ncol;
}

/* Tables by name, each with its key first: what the order of a comparison needs. */
static int check_tables(const struct diff_side *s, const struct dx_head *h)
{
    if (h->kind != DX_KEYS || h->form != CHANGESET_FULL)
        return fail(ERR_REFUSED, "%s: an archive of %s, not of keys; make one with syncdiff keys", s->path,
                    dx_kind_name(h->kind));
    for (size_t i = 0; i < h->ntable; i++) {
        if (!key_first(h->table[i]))
            return fail(ERR_REFUSED, "%s: table %s is not key, then change key", s->path, h->table[i]->name);
        if (i && strcmp(h->table[i - 1]->name, h->table[i]->name) >= 0)
            return fail(ERR_REFUSED, "%s: tables out of order at %s", s->path, h->table[i]->name);
    }
    return 0;
}

static int choose_tables(struct diff_side *s, const struct dx_head *h, const struct conf *conf)
{
    size_t n = 0;
    char **name = conf ? diff_set_names(conf, &n) : NULL;
    int rc = 0;
    for (size_t i = 0; conf == NULL && i < h->ntable; i++)
        add_table(s, h->table[i]);
    for (size_t i = 0; i < n; i++) {
        const struct table *t = dx_head_table(h, name[i]);
        if (t)
            add_table(s, t);
        else
            rc = fail(ERR_REFUSED, "%s: no keys of %s, which the configuration names", s->path, name[i]);
        free(name[i]);
    }
    free(name);
    return rc;
}

static int open_archive(struct diff_side *s, const struct conf *conf)
{
    const char *name;
    s->fd = dx_open_input(s->path, &name);
    if (s->fd < 0)
        return -1;
    char *path = mem_text(name); /* perhaps of s->path itself */
    free(s->path);
    s->path = path;
    s->reader = dx_reader_open(s->fd, path);
    if (s->reader == NULL || dx_next(s->reader, &s->head) <= 0)
        return fail_in("neither a database nor an archive of keys");
    return check_tables(s, s->head) ? -1 : choose_tables(s, s->head, conf);
}

static struct diff_side *open_side(const char *path, const struct conf *conf, bool all)
{
    struct diff_side *s = mem_zero(1, sizeof *s);
    s->path = mem_text(path);
    s->fd = -1;
    if ((is_database(path) ? open_database(s, conf) : open_archive(s, all ? NULL : conf)) == 0)
        return s;
    diff_side_close(s);
    return NULL;
}

struct diff_side *diff_side_open(const char *path, const struct conf *conf)
{
    return open_side(path, conf, false);
}

struct diff_side *diff_side_open_base(const char *path, const struct conf *conf)
{
    return open_side(path, conf, true);
}

void diff_side_close(struct diff_side *s)
{
    if (s == NULL)
        return;
    dx_reader_close(s->reader);
    if (s->fd > STDIN_FILENO)
        close(s->fd);
    diff_set_free(s->set);
    db_close(s->db);
    buf_free(&s->last_bytes);
    free(s->table);
    free(s->whole);
    free(s->row);
    free(s->last);
    free(s->path);
    free(s);
}

const char *diff_side_name(const struct diff_side *s)
{
    return s->path;
}

const struct dx_head *diff_side_head(const struct diff_side *s)
{
    return s->head;
}

size_t diff_side_tables(const struct diff_side *s)
{
    return s->ntable;
}

char *const *diff_side_left_out(const struct diff_side *s, size_t *n)
{
    *n = s->set ? s->set->nnote : 0;
    return s->set ? s->set->note : NULL;
}

const struct table *diff_side_table(const struct diff_side *s, size_t i)
{
    return s->table[i];
}

const struct table *diff_side_find(const struct diff_side *s, const char *table)
{
    for (size_t i = 0; s && i < s->ntable; i++)
        if (strcmp(s->table[i]->name, table) == 0)
            return s->table[i];
    return NULL;
}

/* ---- rows ---- */

/* All columns when they are hashed, else only key and change key; in the order that the merge goes by. */
static int begin_database(struct diff_side *s)
{
    struct buf sql = {0};
    const struct diff_object *o = s->object = diff_set_object(s->set, s->at->name);
    if (o->by->hashed)
        diff_object_select(o, &sql);
    else {
        buf_puts(&sql, "SELECT ");
        layout_columns(&sql, o->keys, "");
        buf_puts(&sql, " FROM ");
        buf_name(&sql, o->row->name);
    }
    for (size_t i = 0; i < o->row->nkey; i++) {
        buf_puts(&sql, i ? ", " : " ORDER BY ");
        buf_name(&sql, o->row->col[o->row->key[i]]);
        buf_puts(&sql, " COLLATE BINARY");
    }
    stmt_free(s->rows);
    s->rows = db_prepare(s->db, buf_text(&sql));
    s->whole = mem_grow(s->whole, o->row->ncol, sizeof *s->whole);
    buf_free(&sql);
    return s->rows ? 0 : -1;
}

int diff_side_begin(struct diff_side *s, const char *table)
{
    s->at = diff_side_find(s, table);
    s->row = mem_grow(s->row, s->at->ncol, sizeof *s->row);
    s->last = mem_grow(s->last, s->at->nkey, sizeof *s->last);
    s->first = true;
    return s->db ? begin_database(s) : 0;
}

static int next_in_database(struct diff_side *s)
{
    const struct diff_object *o = s->object;
    enum step step = stmt_step(s->rows);
    if (step != STEP_ROW)
        return step == STEP_DONE ? 0 : -1;
    if (!o->by->hashed) {
        for (size_t i = 0; i < o->keys->ncol; i++)
            s->row[i] = stmt_val(s->rows, (int)i);
        return 1;
    }
    for (size_t i = 0; i < o->row->ncol; i++)
        s->whole[i] = stmt_val(s->rows, (int)i);
    for (size_t i = 0; i < o->row->nkey; i++)
        s->row[i] = s->whole[o->row->key[i]];
    changekey_get(o->by, s->whole, &s->row[o->row->nkey]);
    return 1;
}

static int read_ahead(struct diff_side *s)
{
    if (s->ahead.table || s->ended)
        return 0;
    int got = dx_read(s->reader, &s->ahead);
    if (got <= 0)
        s->ahead.table = NULL;
    s->ended = got == 0;
    if (got > 0 && s->ahead.op != CHANGE_INSERT)
        return fail(ERR_REFUSED, "%s: a plan, not a list of keys: it holds the %s of %s", s->path,
                    change_op_name(s->ahead.op), change_show(&s->ahead));
    return got < 0 ? -1 : 0;
}

static int next_in_archive(struct diff_side *s)
{
    for (;;) {
        if (read_ahead(s))
            return -1;
        if (s->ahead.table == NULL)
            return 0;
        int order = strcmp(s->ahead.table->name, s->at->name);
        if (order > 0)
            return 0;
        struct val *row = s->ahead.new;
        const struct table *t = s->ahead.table;
        s->ahead.table = NULL;
        if (order == 0) {
            memcpy(s->row, row, t->ncol * sizeof *row);
            return 1;
        }
    }
}

/* Keeps the key of the row given, for the check of the next one. */
static void keep_key(struct diff_side *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->at->nkey; i++)
        n += s->row[i].type == VAL_TEXT || s->row[i].type == VAL_BLOB ? s->row[i].n : 0;
    buf_clear(&s->last_bytes);
    buf_reserve(&s->last_bytes, n + 1);
    for (size_t i = 0; i < s->at->nkey; i++) {
        s->last[i] = s->row[i];
        if (s->row[i].type == VAL_TEXT || s->row[i].type == VAL_BLOB) {
            s->last[i].p = s->last_bytes.p + s->last_bytes.n;
            buf_add(&s->last_bytes, s->row[i].p, s->row[i].n);
        }
    }
}

static int check_key(struct diff_side *s)
{
    for (size_t i = 0; i < s->at->nkey; i++)
        if (s->row[i].type == VAL_NULL || s->row[i].type == VAL_NONE)
            return fail(ERR_REFUSED,
                        "%s: table %s: a row with NULL in its key (%s) cannot be compared; give it a key",
                        s->path, s->at->name, s->at->col[i]);
    if (!s->first && vals_compare(s->last, s->row, s->at->nkey) >= 0)
        return fail(ERR_REFUSED, "%s: table %s: keys out of order at %s", s->path, s->at->name,
                    vals_show(s->row, s->at->nkey));
    s->first = false;
    keep_key(s);
    return 0;
}

int diff_side_next(struct diff_side *s, const struct val **row)
{
    int got = s->db ? next_in_database(s) : next_in_archive(s);
    if (got > 0 && check_key(s))
        return -1;
    *row = s->row;
    return got;
}

int diff_side_finish(struct diff_side *s)
{
    return s->db ? 0 : dx_skip(s->reader);
}
