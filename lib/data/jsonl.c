/* jsonl: see data/jsonl.h. */
#include "data/jsonl.h"

#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/arena.h"

#include <jansson.h>
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

struct jsonl {
    json_t *json;
    json_t *part[3]; /* NULL when not there; borrowed from json */
    enum change_op op;
    const char **names;
    size_t room; /* of old and new */
    struct val *old, *new;
    struct arena arena;
};

static const char *const part_names[] = {[JSONL_KEY] = "key", [JSONL_OLD] = "old", [JSONL_NEW] = "new"};

struct jsonl *jsonl_new(void)
{
    return mem_zero(1, sizeof(struct jsonl));
}

void jsonl_free(struct jsonl *l)
{
    if (l == NULL)
        return;
    json_decref(l->json);
    arena_free(&l->arena);
    free(l->names);
    free(l->old);
    free(l->new);
    free(l);
}

static int get_op(struct jsonl *l)
{
    static const enum change_op ops[] = {CHANGE_INSERT, CHANGE_UPDATE, CHANGE_DELETE};
    const char *op = json_string_value(json_object_get(l->json, "op"));
    for (size_t i = 0; op && i < sizeof ops / sizeof *ops; i++)
        if (strcmp(op, change_op_name(ops[i])) == 0) {
            l->op = ops[i];
            return 0;
        }
    return fail(ERR_REFUSED, "\"op\" is not \"insert\", \"update\" or \"delete\"");
}

static int get_part(struct jsonl *l, enum jsonl_part part)
{
    json_t *value = json_object_get(l->json, part_names[part]);
    l->part[part] = value;
    if (value && !json_is_object(value))
        return fail(ERR_REFUSED, "\"%s\" is not an object of columns", part_names[part]);
    return 0;
}

/* Refuses members that nobody would look at: a slip of the pen should not lose a value. */
static int known_members(json_t *json)
{
    static const char *const known[] = {"table", "op", "origin", "key", "old", "new"};
    const char *name;
    json_t *value;
    json_object_foreach (json, name, value) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], name) != 0)
            i++;
        if (i == sizeof known / sizeof *known)
            return fail(ERR_REFUSED, "\"%.60s\" is no part of a change", name);
    }
    return 0;
}

static int need_parts(const struct jsonl *l)
{
    if (json_object_size(l->part[JSONL_KEY]) == 0)
        return fail(ERR_REFUSED, "no \"key\"");
    if (l->op == CHANGE_INSERT && l->part[JSONL_OLD])
        return fail(ERR_REFUSED, "an insert has no \"old\"");
    if (l->op == CHANGE_DELETE && l->part[JSONL_NEW])
        return fail(ERR_REFUSED, "a delete has no \"new\"");
    return 0;
}

int jsonl_parse(struct jsonl *l, const char *text, size_t n)
{
    json_error_t error;
    json_decref(l->json);
    arena_clear(&l->arena);
    l->json = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (l->json == NULL && json_error_code(&error) == json_error_out_of_memory)
        mem_out();
    if (!json_is_object(l->json))
        return l->json ? fail(ERR_REFUSED, "not a JSON object")
                       : fail(ERR_REFUSED, "not a JSON object: %s; each stands on a line of its own: jq -c",
                              error.text);
    const char *table = json_string_value(json_object_get(l->json, "table"));
    json_t *origin = json_object_get(l->json, "origin");
    if (table == NULL || *table == 0 ||
        strlen(table) != json_string_length(json_object_get(l->json, "table")))
        return fail(ERR_REFUSED, "no \"table\"");
    if (origin && !json_is_string(origin))
        return fail(ERR_REFUSED, "\"origin\" is not a string");
    if (known_members(l->json) || get_op(l) || get_part(l, JSONL_KEY) || get_part(l, JSONL_OLD) ||
        get_part(l, JSONL_NEW))
        return -1;
    return need_parts(l);
}

const char *jsonl_table(const struct jsonl *l)
{
    return json_string_value(json_object_get(l->json, "table"));
}

enum change_op jsonl_op(const struct jsonl *l)
{
    return l->op;
}

const char *const *jsonl_names(struct jsonl *l, enum jsonl_part part, size_t *n)
{
    const char *name;
    json_t *value;
    *n = 0;
    l->names = mem_grow(l->names, json_object_size(l->part[part]) + 1, sizeof *l->names);
    json_object_foreach (l->part[part], name, value) {
        l->names[(*n)++] = name;
    }
    return l->names;
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
static bool get_wrapped(struct jsonl *l, json_t *json, struct val *v)
{
    const char *as = json_object_iter_key(json_object_iter(json));
    json_t *inner = json_object_iter_value(json_object_iter(json));
    const char *text = json_string_value(inner);
    if (json_object_size(json) != 1 || text == NULL)
        return false;
    if (strcmp(as, "real") == 0) {
        v->type = VAL_REAL;
        return get_bits(text, &v->r);
    }
    if (strcmp(as, "blob") != 0 && strcmp(as, "text") != 0)
        return false;
    size_t n = json_string_length(inner), got = 0;
    uint8_t *bytes = arena_alloc(&l->arena, base64_room(n) + 1);
    bool sound = base64_get(text, n, bytes, &got);
    *v = (struct val){.type = as[0] == 'b' ? VAL_BLOB : VAL_TEXT, .p = bytes, .n = got};
    return sound;
}

static int get_value(struct jsonl *l, const char *column, json_t *json, struct val *v)
{
    switch (json_typeof(json)) {
    case JSON_NULL:
        v->type = VAL_NULL;
        return 0;
    case JSON_INTEGER:
        *v = val_int(json_integer_value(json));
        return 0;
    case JSON_REAL:
        *v = (struct val){.type = VAL_REAL, .r = json_real_value(json)};
        return 0;
    case JSON_STRING:
        *v = (struct val){.type = VAL_TEXT, .p = json_string_value(json), .n = json_string_length(json)};
        return 0;
    case JSON_OBJECT:
        if (get_wrapped(l, json, v))
            return 0;
        break;
    default:
        break;
    }
    return fail(ERR_REFUSED,
                "column \"%.60s\": a value is null, a number, a string, {\"blob\":BASE64}, "
                "{\"text\":BASE64} or {\"real\":\"inf\"}",
                column);
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
static int get_row(struct jsonl *l, enum jsonl_part part, const struct table *t, struct val *row)
{
    const char *name;
    json_t *value;
    size_t hint = 0;
    json_object_foreach (l->part[part], name, value) {
        struct val v;
        int i = find_column(t, name, hint);
        if (i < 0)
            return fail(ERR_REFUSED, "table \"%.60s\" has no column \"%.60s\"", t->name, name);
        if (get_value(l, name, value, &v))
            return -1;
        if (row[i].type != VAL_NONE && !val_same(&row[i], &v))
            return fail(ERR_REFUSED, "\"%s\" and the parts before it disagree about column \"%.60s\"",
                        part_names[part], name);
        row[i] = v;
        hint = (size_t)i + 1;
    }
    return 0;
}

static int check_key(const struct jsonl *l, const struct table *t, const struct val *row)
{
    size_t n = json_object_size(l->part[JSONL_KEY]);
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
    }
    memset(l->old, 0, t->ncol * sizeof *l->old);
    memset(l->new, 0, t->ncol * sizeof *l->new);
    const char *origin = json_string_value(json_object_get(l->json, "origin"));
    *c = (struct change){
        .table = t, .op = l->op, .origin = origin ? origin : "", .old = l->old, .new = l->new};
    struct val *row = l->op == CHANGE_INSERT ? l->new : l->old;
    if (get_row(l, JSONL_KEY, t, row) || check_key(l, t, row) || get_row(l, JSONL_OLD, t, l->old) ||
        get_row(l, JSONL_NEW, t, l->new))
        return -1;
    return l->op == CHANGE_UPDATE ? check_update(t, l->old, l->new) : 0;
}
