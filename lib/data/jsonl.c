/* jsonl: see data/jsonl.h. */
#include "data/jsonl.h"

#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/arena.h"
#include "data/json_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- encode ---- */

/* A string of UTF-8 in quotes. */
void jsonl_string(struct buf *b, const void *p, size_t n)
{
    const char *at = p, *end = at + n;
    buf_byte(b, '"');
    while (at < end) {
        const char *from = at;
        while (at < end && (uint8_t)*at >= 0x20 && *at != '"' && *at != '\\')
            at++;
        buf_add(b, from, (size_t)(at - from));
        if (at == end)
            break;
        if (*at == '"' || *at == '\\')
            buf_addf(b, "\\%c", *at);
        else if (*at == '\n' || *at == '\t')
            buf_puts(b, *at == '\n' ? "\\n" : "\\t");
        else
            buf_addf(b, "\\u%04x", (unsigned)*at);
        at++;
    }
    buf_byte(b, '"');
}

static void put_base64(struct buf *b, const char *as, const void *p, size_t n)
{
    buf_addf(b, "{\"%s\":\"", as);
    base64_put(b, p, n);
    buf_puts(b, "\"}");
}

static void put_real(struct buf *b, double r)
{
    char text[40];
    uint64_t bits;
    if (isinf(r)) {
        buf_puts(b, r > 0 ? "{\"real\":\"inf\"}" : "{\"real\":\"-inf\"}");
        return;
    }
    if (isnan(r)) {
        memcpy(&bits, &r, sizeof bits);
        buf_addf(b, "{\"real\":\"%016llx\"}", (unsigned long long)bits);
        return;
    }
    snprintf(text, sizeof text, "%.17g", r);
    buf_puts(b, text);
    if (strpbrk(text, ".e") == NULL)
        buf_puts(b, ".0");
}

void jsonl_value(struct buf *b, const struct val *v)
{
    switch (v->type) {
    case VAL_INT:
        buf_addf(b, "%lld", (long long)v->i);
        break;
    case VAL_REAL:
        put_real(b, v->r);
        break;
    case VAL_TEXT:
        if (v->n && (memchr(v->p, 0, v->n) || !utf8_sound(v->p, v->n)))
            put_base64(b, "text", v->p, v->n);
        else
            jsonl_string(b, v->p, v->n);
        break;
    case VAL_BLOB:
        put_base64(b, "blob", v->p, v->n);
        break;
    default:
        buf_puts(b, "null");
    }
}

static void put_column(struct buf *b, const struct table *t, size_t i, const struct val *v, bool first)
{
    if (!first)
        buf_byte(b, ',');
    jsonl_string(b, t->col[i], strlen(t->col[i]));
    buf_byte(b, ':');
    jsonl_value(b, v);
}

/* ,"as":{...} of the columns that the row tells and `mask` (if given) has too. */
static void put_row(struct buf *b, const char *as, const struct table *t, const struct val *row,
                    const struct val *mask)
{
    bool first = true;
    buf_addf(b, ",\"%s\":{", as);
    for (size_t i = 0; i < t->ncol; i++) {
        if (row[i].type == VAL_NONE || (mask && mask[i].type == VAL_NONE))
            continue;
        put_column(b, t, i, &row[i], first);
        first = false;
    }
    buf_byte(b, '}');
}

static bool tells_more_than_key(const struct change *c)
{
    for (size_t i = 0; i < c->table->ncol; i++)
        if (!c->table->pk[i] && c->old[i].type != VAL_NONE &&
            (c->op == CHANGE_DELETE || c->new[i].type != VAL_NONE))
            return true;
    return false;
}

void jsonl_put(struct buf *b, const struct change *c)
{
    const struct table *t = c->table;
    const struct val *row = c->op == CHANGE_INSERT ? c->new : c->old;
    buf_puts(b, "{\"table\":");
    jsonl_string(b, t->name, strlen(t->name));
    buf_addf(b, ",\"op\":\"%s\"", change_op_name(c->op));
    if (c->origin && *c->origin) {
        buf_puts(b, ",\"origin\":");
        jsonl_string(b, c->origin, strlen(c->origin));
    }
    buf_puts(b, ",\"key\":{");
    for (size_t k = 0; k < t->nkey; k++)
        put_column(b, t, t->key[k], &row[t->key[k]], k == 0);
    buf_byte(b, '}');
    if (c->op != CHANGE_INSERT && tells_more_than_key(c))
        put_row(b, "old", t, c->old, c->op == CHANGE_UPDATE ? c->new : NULL);
    if (c->op != CHANGE_DELETE)
        put_row(b, "new", t, c->new, NULL);
    buf_puts(b, "}\n");
}

/* ---- decode ---- */

/* The columns of "key", "old" or "new", in the line's order. */
struct part {
    bool there;
    size_t n, room;
    const char **name;
    struct val *value;
};

struct jsonl {
    struct buf line; /* names and values of the parts are in it */
    const char *table, *op_name, *origin;
    struct part part[3];
    enum change_op op;
    size_t room; /* of old, new and seen */
    struct val *old, *new;
    uint8_t *seen; /* for each column, which parts have it, a bit each */
    struct arena arena;
};

static const char *const part_names[] = {[JSONL_KEY] = "key", [JSONL_OLD] = "old", [JSONL_NEW] = "new"};

enum { PARTS = sizeof part_names / sizeof *part_names, KEY_MAX = 255 };

struct jsonl *jsonl_new(void)
{
    return mem_zero(1, sizeof(struct jsonl));
}

void jsonl_free(struct jsonl *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < PARTS; i++) {
        free(l->part[i].name);
        free(l->part[i].value);
    }
    buf_free(&l->line);
    arena_free(&l->arena);
    free(l->old);
    free(l->new);
    free(l->seen);
    free(l);
}

static bool get_bits(const char *text, double *r)
{
    char *end;
    if (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0) {
        *r = text[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    uint64_t bits = strtoull(text, &end, 16);
    memcpy(r, &bits, sizeof bits);
    return true;
}

/* {"blob":...}, {"text":...} or {"real":...} */
static bool get_wrapped(struct jsonl *l, struct json_scan *s, struct val *v)
{
    size_t n = 0, got = 0;
    scan_need(s, '{');
    const char *as = scan_name(s);
    scan_need(s, ':');
    const char *text = scan_text(s, &n);
    scan_need(s, '}');
    if (s->problem)
        return false;
    if (strcmp(as, "real") == 0) {
        v->type = VAL_REAL;
        return strlen(text) == n && get_bits(text, &v->r);
    }
    if (strcmp(as, "blob") != 0 && strcmp(as, "text") != 0)
        return false;
    uint8_t *bytes = arena_alloc(&l->arena, base64_room(n) + 1);
    bool sound = base64_get(text, n, bytes, &got);
    *v = (struct val){.type = as[0] == 'b' ? VAL_BLOB : VAL_TEXT, .p = bytes, .n = got};
    return sound;
}

static bool get_value(struct jsonl *l, struct json_scan *s, struct val *v)
{
    if (scan_is(s, '"')) {
        size_t n = 0;
        const char *text = scan_text(s, &n);
        *v = (struct val){.type = VAL_TEXT, .p = text, .n = n};
    } else if (scan_is(s, '{'))
        return get_wrapped(l, s, v);
    else if (scan_is(s, 'n')) {
        scan_null(s);
        *v = (struct val){.type = VAL_NULL};
    } else
        *v = scan_number(s);
    return s->problem == NULL;
}

static int get_column(struct jsonl *l, struct json_scan *s, struct part *p)
{
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 16;
        p->name = mem_grow(p->name, p->room, sizeof *p->name);
        p->value = mem_grow(p->value, p->room, sizeof *p->value);
    }
    const char *name = scan_name(s);
    scan_need(s, ':');
    if (s->problem)
        return 0;
    p->name[p->n] = name;
    if (!get_value(l, s, &p->value[p->n++]))
        return fail(ERR_REFUSED,
                    "column \"%.60s\": a value is null, a number, a string, {\"blob\":BASE64}, "
                    "{\"text\":BASE64} or {\"real\":\"inf\"}%s%s",
                    name, s->problem ? ", not " : "", s->problem ? s->problem : "");
    return 0;
}

static int get_part(struct jsonl *l, struct json_scan *s, enum jsonl_part part)
{
    struct part *p = &l->part[part];
    if (!scan_is(s, '{'))
        return fail(ERR_REFUSED, "\"%s\" is not an object of columns", part_names[part]);
    p->there = true;
    scan_need(s, '{');
    if (scan_took(s, '}'))
        return 0;
    do
        if (get_column(l, s, p))
            return -1;
    while (scan_took(s, ','));
    scan_need(s, '}');
    return 0;
}

static int get_string(struct json_scan *s, const char *name, const char **out)
{
    if (!scan_is(s, '"'))
        return fail(ERR_REFUSED, "\"%s\" is not a string", name);
    *out = scan_name(s);
    return 0;
}

static int twice(const char *name)
{
    return fail(ERR_REFUSED, "\"%.60s\" is there twice", name);
}

/* Refuses unknown members: a misspelled name must not lose a value. */
static int get_member(struct jsonl *l, struct json_scan *s)
{
    const char *name = scan_name(s);
    scan_need(s, ':');
    if (s->problem)
        return 0;
    for (size_t i = 0; i < PARTS; i++)
        if (strcmp(name, part_names[i]) == 0)
            return l->part[i].there ? twice(name) : get_part(l, s, (enum jsonl_part)i);
    const char **text = strcmp(name, "table") == 0    ? &l->table
                        : strcmp(name, "op") == 0     ? &l->op_name
                        : strcmp(name, "origin") == 0 ? &l->origin
                                                      : NULL;
    if (text == NULL)
        return fail(ERR_REFUSED, "\"%.60s\" is no part of a change", name);
    return *text ? twice(name) : get_string(s, name, text);
}

static int get_members(struct jsonl *l, struct json_scan *s)
{
    scan_need(s, '{');
    do
        if (get_member(l, s))
            return -1;
    while (scan_took(s, ','));
    scan_need(s, '}');
    scan_end(s);
    return s->problem ? fail(ERR_REFUSED, "not a JSON object: %s; each stands on a line of its own: jq -c",
                             s->problem)
                      : 0;
}

static int find_op(struct jsonl *l)
{
    static const enum change_op ops[] = {CHANGE_INSERT, CHANGE_UPDATE, CHANGE_DELETE};
    for (size_t i = 0; l->op_name && i < sizeof ops / sizeof *ops; i++)
        if (strcmp(l->op_name, change_op_name(ops[i])) == 0) {
            l->op = ops[i];
            return 0;
        }
    return fail(ERR_REFUSED, "\"op\" is not \"insert\", \"update\" or \"delete\"");
}

static int check_parts(const struct jsonl *l)
{
    const struct part *key = &l->part[JSONL_KEY];
    if (key->n == 0)
        return fail(ERR_REFUSED, "no \"key\"");
    if (key->n > KEY_MAX)
        return fail(ERR_REFUSED, "a key of %zu columns, %d are the most", key->n, KEY_MAX);
    for (size_t i = 0; i < key->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(key->name[i], key->name[k]) == 0)
                return twice(key->name[i]);
    if (l->op == CHANGE_INSERT && l->part[JSONL_OLD].there)
        return fail(ERR_REFUSED, "an insert has no \"old\"");
    if (l->op == CHANGE_DELETE && l->part[JSONL_NEW].there)
        return fail(ERR_REFUSED, "a delete has no \"new\"");
    return 0;
}

int jsonl_parse(struct jsonl *l, const char *text, size_t n)
{
    arena_clear(&l->arena);
    l->table = l->op_name = l->origin = NULL;
    for (size_t i = 0; i < PARTS; i++) {
        l->part[i].there = false;
        l->part[i].n = 0;
    }
    buf_clear(&l->line);
    buf_add(&l->line, text, n);
    buf_byte(&l->line, 0);
    struct json_scan s = {.at = (char *)l->line.p, .end = (char *)l->line.p + n};
    if (get_members(l, &s))
        return -1;
    if (l->table == NULL || *l->table == 0)
        return fail(ERR_REFUSED, "no \"table\"");
    return find_op(l) || check_parts(l) ? -1 : 0;
}

const char *jsonl_table(const struct jsonl *l)
{
    return l->table;
}

enum change_op jsonl_op(const struct jsonl *l)
{
    return l->op;
}

const char *const *jsonl_names(const struct jsonl *l, enum jsonl_part part, size_t *n)
{
    *n = l->part[part].n;
    return l->part[part].name;
}

const struct val *jsonl_values(const struct jsonl *l, enum jsonl_part part)
{
    return l->part[part].value;
}

/* The table's column of that name, searched from `hint` on, where it mostly stands. */
static int find_column(const struct table *t, const char *name, size_t hint)
{
    for (size_t i = hint; i < t->ncol; i++)
        if (strcmp(t->col[i], name) == 0)
            return (int)i;
    return table_column(t, name);
}

/* Puts a part's values into a row. A value that stands there already must be the same. */
static int put_part(struct jsonl *l, enum jsonl_part part, const struct table *t, struct val *row)
{
    const struct part *p = &l->part[part];
    size_t hint = 0;
    for (size_t k = 0; k < p->n; k++) {
        int i = find_column(t, p->name[k], hint);
        if (i < 0)
            return fail(ERR_REFUSED, "table \"%.60s\" has no column \"%.60s\"", t->name, p->name[k]);
        if (l->seen[i] & 1u << part)
            return twice(p->name[k]);
        if (row[i].type != VAL_NONE && !val_same(&row[i], &p->value[k]))
            return fail(ERR_REFUSED, "\"%s\" and the parts before it disagree about column \"%.60s\"",
                        part_names[part], p->name[k]);
        l->seen[i] |= (uint8_t)(1u << part);
        row[i] = p->value[k];
        hint = (size_t)i + 1;
    }
    return 0;
}

static int check_key(const struct jsonl *l, const struct table *t, const struct val *row)
{
    size_t n = l->part[JSONL_KEY].n;
    for (size_t k = 0; k < t->nkey; k++)
        if (row[t->key[k]].type == VAL_NONE)
            n = 0;
    return n == t->nkey
               ? 0
               : fail(ERR_REFUSED, "\"key\" does not have the columns of the key of \"%.60s\"", t->name);
}

/* An update's key may stand in "new" as long as it stays; old values belong to columns that change. */
static int check_update(const struct table *t, struct val *old, struct val *new)
{
    bool any = false;
    for (size_t i = 0; i < t->ncol; i++) {
        if (t->pk[i]) {
            if (new[i].type != VAL_NONE && !val_same(&old[i], &new[i]))
                return fail(ERR_REFUSED, "an update does not change the key; tell a delete and an insert");
            new[i].type = VAL_NONE;
        } else if (old[i].type != VAL_NONE && new[i].type == VAL_NONE)
            return fail(ERR_REFUSED, "\"old\" tells of column \"%.60s\", \"new\" does not", t->col[i]);
        any |= new[i].type != VAL_NONE;
    }
    return any ? 0 : fail(ERR_REFUSED, "an update with nothing \"new\"");
}

int jsonl_change(struct jsonl *l, const struct table *t, struct change *c)
{
    if (t->ncol > l->room) {
        l->room = t->ncol;
        l->old = mem_grow(l->old, l->room, sizeof *l->old);
        l->new = mem_grow(l->new, l->room, sizeof *l->new);
        l->seen = mem_grow(l->seen, l->room, 1);
    }
    memset(l->old, 0, t->ncol * sizeof *l->old);
    memset(l->new, 0, t->ncol * sizeof *l->new);
    memset(l->seen, 0, t->ncol);
    *c = (struct change){
        .table = t, .op = l->op, .origin = l->origin ? l->origin : "", .old = l->old, .new = l->new};
    struct val *row = l->op == CHANGE_INSERT ? l->new : l->old;
    if (put_part(l, JSONL_KEY, t, row) || check_key(l, t, row) || put_part(l, JSONL_OLD, t, l->old) ||
        put_part(l, JSONL_NEW, t, l->new))
        return -1;
    return l->op == CHANGE_UPDATE ? check_update(t, l->old, l->new) : 0;
}
