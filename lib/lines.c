/* lines: see lines.h. */
#include "lines.h"

#include "err.h"
#include "file.h"
#include "jsonl.h"
#include "mem.h"
#include "shape.h"
#include "spool.h"

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

/* The lines of one input, read twice: to learn what there is, and to write it. */
struct lines {
    FILE *in;
    const char *name;
    int64_t number;
    char *text;
    size_t room;
    ssize_t n;
    struct jsonl *json;
    struct shapes *shapes;
    bool told, bare; /* some line tells an old value outside the key; some update or delete tells none */
};

/* Puts file and line before the message. */
static int in_line(const struct lines *l)
{
    return fail_in("%s: line %lld", l->name, (long long)l->number);
}

static bool is_blank(const char *text, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == 0)
            return false;
    return true;
}

/* The next line that is not blank, parsed: 1, 0 at the end, -1. */
static int next_line(struct lines *l)
{
    do {
        l->n = getline(&l->text, &l->room, l->in);
        if (l->n < 0)
            return ferror(l->in) ? fail_errno("%s: cannot read", l->name) : 0;
        l->number++;
    } while (is_blank(l->text, l->n));
    return jsonl_parse(l->json, l->text, (size_t)l->n) ? in_line(l) : 1;
}

/* Notes whether the line tells old values outside the key. */
static void note_old(struct lines *l, const struct shape *p)
{
    size_t n, values = 0;
    const char *const *names = jsonl_names(l->json, JSONL_OLD, &n);
    for (size_t i = 0; i < n; i++)
        values += !shape_is_key(p, names[i]);
    l->told |= values > 0;
    l->bare |= values == 0 && jsonl_op(l->json) != CHANGE_INSERT;
}

static int learn_line(struct lines *l)
{
    size_t n;
    const char *const *names;
    struct shape *p = shapes_find(l->shapes, jsonl_table(l->json));
    names = jsonl_names(l->json, JSONL_KEY, &n);
    if (shape_key(p, names, n))
        return -1;
    names = jsonl_names(l->json, JSONL_OLD, &n);
    if (shape_columns(p, names, n))
        return -1;
    names = jsonl_names(l->json, JSONL_NEW, &n);
    if (shape_columns(p, names, n))
        return -1;
    note_old(l, p);
    return 0;
}

static int learn(struct lines *l, struct dx_head *h, bool patch)
{
    int got;
    for (size_t i = 0; i < h->ntable; i++)
        shapes_fix(l->shapes, h->table[i]);
    while ((got = next_line(l)) > 0)
        if (learn_line(l))
            return in_line(l);
    if (got < 0)
        return -1;
    h->form = patch || (l->bare && !l->told) ? CHANGESET_PATCH : CHANGESET_FULL;
    size_t n;
    struct table **t = shapes_tables(l->shapes, &n);
    for (size_t i = 0; i < n; i++) {
        if (i >= h->ntable)
            dx_head_add_table(h, t[i]);
        table_free(t[i]);
    }
    free(t);
    return 0;
}

static int write_lines(struct lines *l, const struct dx_head *h, struct dx_writer *w)
{
    int got;
    l->number = 0;
    while ((got = next_line(l)) > 0) {
        struct change c;
        const struct table *t = dx_head_table(h, jsonl_table(l->json));
        if (t == NULL)
            return fail(ERR_SYSTEM, "%s: changed while it was read", l->name);
        if (jsonl_change(l->json, t, &c) || dx_write(w, &c))
            return in_line(l);
    }
    return got;
}

static int pack(struct lines *l, struct dx_head *h, bool patch, off_t start, int out, int level)
{
    if (learn(l, h, patch))
        return -1;
    if (fseeko(l->in, start, SEEK_SET))
        return fail_errno("%s: cannot seek", l->name);
    struct dx_writer *w = dx_writer_open(out, "stdout", h, level);
    if (w == NULL)
        return -1;
    if (write_lines(l, h, w)) {
        dx_writer_abort(w);
        return -1;
    }
    return dx_writer_close(w);
}

int lines_pack(int in, const char *name, struct dx_head *h, bool patch, int out, int level)
{
    struct lines l = {.name = name, .json = jsonl_new(), .shapes = shapes_new()};
    off_t start = 0;
    int fd = spool_of(in, name, &start), rc = -1;
    if (fd >= 0 && (l.in = fdopen(fd == in ? dup(fd) : fd, "r")) == NULL)
        fail_errno("%s: cannot read", name);
    if (l.in) {
        rc = pack(&l, h, patch, start, out, level);
        fclose(l.in);
    }
    free(l.text);
    jsonl_free(l.json);
    shapes_free(l.shapes);
    return rc;
}
