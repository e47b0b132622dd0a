/* archive_jsonl: see archive/archive_jsonl.h. */
#include "archive/archive_jsonl.h"

#include "archive/head_read.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/spool.h"
#include "data/infer_columns.h"
#include "data/jsonl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int lines_print(struct dx_reader *r, FILE *out)
{
    struct change c;
    struct buf line = {0};
    int got;
    while ((got = dx_read(r, &c)) > 0) {
        buf_clear(&line);
        jsonl_put(&line, &c);
        if (fwrite(line.p, 1, line.n, out) != line.n) {
            got = fail_errno("stdout: cannot write");
            break;
        }
    }
    buf_free(&line);
    return got;
}

/* The lines of one input. What they say is kept on a spool until all tables are known: for each line its length, the
 * number of its shape, the columns known by then, its origin with a NUL, and its changeset encoding in those columns. */
struct lines {
    FILE *in, *spool;
    const char *name;
    int64_t number;
    char *text;
    size_t room;
    struct jsonl *json;
    struct infer_tables *shapes;
    bool has_old, bare; /* some line tells an old value outside the key; some update or delete tells none */
    struct buf bytes;   /* of the line at hand, as on the spool */
};

static int spool_failed(void)
{
    return fail_errno("temporary file: cannot be used");
}

static bool is_blank(const char *text, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == 0)
            return false;
    return true;
}

/* Notes whether the line tells old values outside the key. */
static void note_old(struct lines *l, const struct infer_table *p)
{
    size_t n, values = 0;
    const char *const *names = jsonl_names(l->json, JSONL_OLD, &n);
    for (size_t i = 0; i < n; i++)
        values += !infer_is_key(p, names[i]);
    l->has_old |= values > 0;
    l->bare |= values == 0 && jsonl_op(l->json) != CHANGE_INSERT;
}

static int learn_part(struct lines *l, struct infer_table *p, enum jsonl_part part)
{
    size_t n;
    const char *const *names = jsonl_names(l->json, part, &n);
    return part == JSONL_KEY ? infer_key(p, names, n) : infer_columns(p, names, n);
}

static int keep(struct lines *l, const struct infer_table *p, const struct change *c)
{
    buf_clear(&l->bytes);
    wire_put_varint(&l->bytes, infer_number(p));
    wire_put_varint(&l->bytes, c->table->ncol);
    buf_add(&l->bytes, c->origin, strlen(c->origin) + 1);
    size_t start = l->bytes.n;
    changeset_put_change(&l->bytes, c, CHANGESET_FULL);
    size_t n = l->bytes.n;
    if (n - start > DX_CHANGE_MAX)
        return fail(ERR_REFUSED, "%s: a change of %zu bytes, %d MiB are the most an archive carries",
                    change_show(c), n - start, DX_CHANGE_MAX >> 20);
    if (fwrite(&n, sizeof n, 1, l->spool) != 1 || fwrite(l->bytes.p, 1, n, l->spool) != n)
        return spool_failed();
    return 0;
}

static int learn_line(struct lines *l, size_t n)
{
    struct change c;
    if (jsonl_parse(l->json, l->text, n))
        return -1;
    struct infer_table *p = infer_tables_find(l->shapes, jsonl_table(l->json));
    if (learn_part(l, p, JSONL_KEY) || learn_part(l, p, JSONL_OLD) || learn_part(l, p, JSONL_NEW) ||
        jsonl_change(l->json, infer_table(p), &c))
        return -1;
    if (*c.origin && !head_is_node(c.origin))
        return fail(ERR_REFUSED, "origin '%.100s' is not the name of a node", c.origin);
    note_old(l, p);
    return keep(l, p, &c);
}

static int learn(struct lines *l)
{
    ssize_t n;
    while ((n = getline(&l->text, &l->room, l->in)) >= 0) {
        l->number++;
        if (!is_blank(l->text, n) && learn_line(l, (size_t)n))
            return fail_in("%s: line %lld", l->name, (long long)l->number);
    }
    if (ferror(l->in))
        return fail_errno("%s: cannot read", l->name);
    return fflush(l->spool) || fseeko(l->spool, 0, SEEK_SET) ? spool_failed() : 0;
}

/* The spool read back: values in the columns as they were known, and where those have come to stand. */
struct recall {
    size_t **place; /* per shape */
    size_t width;   /* columns of the widest table */
    struct val *old, *new, *old_placed, *new_placed;
};

static void recall_init(struct recall *r, struct lines *l, struct dx_head *h)
{
    r->place = mem_zero(infer_tables_count(l->shapes), sizeof *r->place);
    for (size_t i = 0; i < infer_tables_count(l->shapes); i++) {
        struct infer_table *p = infer_tables_get(l->shapes, i);
        size_t n = infer_table(p)->ncol;
        r->place[i] = mem_zero(n, sizeof **r->place);
        struct table *t = infer_layout(p, r->place[i]);
        if (i >= h->ntable)
            dx_head_add_table(h, t);
        table_free(t);
        r->width = n > r->width ? n : r->width;
    }
    struct val **const rows[] = {&r->old, &r->new, &r->old_placed, &r->new_placed};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i] = mem_zero(r->width, sizeof **rows[i]);
}

static void recall_free(struct recall *r, const struct lines *l)
{
    for (size_t i = 0; r->place && i < infer_tables_count(l->shapes); i++)
        free(r->place[i]);
    free(r->place);
    free(r->old);
    free(r->new);
    free(r->old_placed);
    free(r->new_placed);
}

/* The change in l->bytes, in the columns of the head's table. */
static void recall_change(struct recall *r, const struct lines *l, const struct dx_head *h, struct change *c)
{
    struct wire w = wire_over(l->bytes.p, l->bytes.n);
    size_t number = (size_t)wire_varint(&w);
    struct table then = *infer_table(infer_tables_get(l->shapes, number));
    then.ncol = (size_t)wire_varint(&w);
    *c = (struct change){.table = &then, .origin = wire_text(&w), .old = r->old, .new = r->new};
    changeset_get_change(&w, CHANGESET_FULL, c);
    memset(r->old_placed, 0, r->width * sizeof *r->old_placed);
    memset(r->new_placed, 0, r->width * sizeof *r->new_placed);
    for (size_t i = 0; i < then.ncol; i++) {
        r->old_placed[r->place[number][i]] = r->old[i];
        r->new_placed[r->place[number][i]] = r->new[i];
    }
    c->table = h->table[number];
    c->old = r->old_placed;
    c->new = r->new_placed;
}

static int write_kept(struct lines *l, struct recall *r, const struct dx_head *h, struct dx_writer *w)
{
    size_t n;
    while (fread(&n, sizeof n, 1, l->spool) == 1) {
        struct change c;
        buf_clear(&l->bytes);
        if (fread(buf_reserve(&l->bytes, n), 1, n, l->spool) != n)
            return spool_failed();
        l->bytes.n = n;
        recall_change(r, l, h, &c);
        if (dx_write(w, &c))
            return -1;
    }
    return ferror(l->spool) ? spool_failed() : 0;
}

static int write_archive(struct lines *l, struct dx_head *h, int out, int level)
{
    struct recall r = {0};
    recall_init(&r, l, h);
    struct dx_writer *w = dx_writer_open(out, "stdout", h, level);
    int rc = w ? write_kept(l, &r, h, w) : -1;
    if (rc == 0)
        rc = dx_writer_close(w);
    else
        dx_writer_abort(w);
    recall_free(&r, l);
    return rc;
}

/* A stream over a descriptor of its own, or NULL. */
static FILE *stream(int fd, const char *mode, const char *name)
{
    FILE *f = fd < 0 ? NULL : fdopen(fd, mode);
    if (fd >= 0 && f == NULL)
        fail_errno("%s: cannot open", name);
    return f;
}

int lines_pack(int in, const char *name, struct dx_head *h, bool patch, int out, int level)
{
    struct lines l = {.name = name, .json = jsonl_new(), .shapes = infer_tables_new()};
    int rc = -1;
    for (size_t i = 0; i < h->ntable; i++)
        infer_tables_fix(l.shapes, h->table[i]);
    l.in = stream(dup(in), "r", name);
    l.spool = l.in ? stream(spool_new(), "w+", "temporary file") : NULL;
    if (l.spool && learn(&l) == 0) {
        h->form = patch || (l.bare && !l.has_old) ? CHANGESET_PATCH : CHANGESET_FULL;
        rc = write_archive(&l, h, out, level);
    }
    if (l.in)
        fclose(l.in);
    if (l.spool)
        fclose(l.spool);
    free(l.text);
    buf_free(&l.bytes);
    jsonl_free(l.json);
    infer_tables_free(l.shapes);
    return rc;
}
