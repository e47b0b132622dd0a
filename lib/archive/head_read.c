/* head_read: see archive/head_read.h. */
#include "archive/head_read.h"

#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kinds[] = {[DX_CHANGES] = "changes",
                                    [DX_UPLOAD] = "upload",
                                    [DX_SNAPSHOT] = "snapshot",
                                    [DX_KEYS] = "keys",
                                    [DX_ROWS] = "rows"};

enum { KINDS = sizeof kinds / sizeof *kinds };

const char *dx_kind_name(enum dx_kind kind)
{
    return kinds[kind];
}

bool head_is_node(const char *text)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-^";
    size_t n = strlen(text);
    return n > 0 && n <= 64 && strspn(text, good) == n;
}

void dx_head_init(struct dx_head *h, enum dx_kind kind)
{
    *h = (struct dx_head){.kind = kind, .form = CHANGESET_FULL};
    char **const texts[] = {&h->from, &h->to, &h->epoch, &h->package, &h->continues, &h->follows};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = mem_text("");
}

static void verdict_free(struct dx_verdict *v)
{
    char *const text[] = {v->kind, v->outcome, v->table, v->column, v->reason};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free(text[i]);
    buf_free(&v->change);
}

void dx_head_free(struct dx_head *h)
{
    free(h->from);
    free(h->to);
    free(h->epoch);
    free(h->package);
    free(h->continues);
    free(h->follows);
    for (size_t i = 0; i < h->ntable; i++)
        table_free(h->table[i]);
    for (size_t i = 0; i < h->nschema; i++)
        free(h->schema[i]);
    for (size_t i = 0; i < h->nrekey; i++) {
        dx_rekey_free(&h->rekey[i]);
    }
    free(h->table);
    head_unsettle(h);
    free(h->schema);
    for (size_t i = 0; i < h->nverdict; i++)
        verdict_free(&h->verdict[i]);
    free(h->rekey);
    dx_head_clear_ranges(h);
    free(h->verdict);
    *h = (struct dx_head){0};
}

static void add_table(struct dx_head *h, struct table *t)
{
    head_unsettle(h);
    h->table = mem_grow(h->table, h->ntable + 1, sizeof *h->table);
    h->table[h->ntable++] = t;
}

void dx_head_add_table(struct dx_head *h, const struct table *t)
{
    add_table(h, table_copy(t));
}

void dx_head_add_schema(struct dx_head *h, const char *sql)
{
    h->schema = mem_grow(h->schema, h->nschema + 1, sizeof *h->schema);
    h->schema[h->nschema++] = mem_text(sql);
}

void dx_head_add_verdict(struct dx_head *h, const char *const text[5], const void *change, size_t n)
{
    struct dx_verdict v = {0};
    char **const to[] = {&v.kind, &v.outcome, &v.table, &v.column, &v.reason};
    for (int i = 0; i < 5; i++)
        *to[i] = text[i] ? mem_text(text[i]) : NULL;
    buf_add(&v.change, change, n);
    h->verdict = mem_append(h->verdict, h->nverdict, sizeof *h->verdict);
    h->verdict[h->nverdict++] = v;
}

static struct val copy_key(const struct val *v)
{
    struct val copy = *v;
    if (v->type == VAL_TEXT) {
        char *p = mem_alloc(v->n + 1);
        memcpy(p, v->n ? v->p : "", v->n);
        p[v->n] = 0;
        copy.p = p;
    }
    return copy;
}

void dx_head_add_range(struct dx_head *h, const char *table, int64_t first, int64_t last)
{
    h->range = mem_grow(h->range, h->nrange + 1, sizeof *h->range);
    h->range[h->nrange++] = (struct dx_range){mem_text(table), first, last};
}

void dx_head_clear_ranges(struct dx_head *h)
{
    for (size_t i = 0; i < h->nrange; i++)
        free(h->range[i].table);
    free(h->range);
    h->range = NULL;
    h->nrange = 0;
}

void dx_rekey_init(struct dx_rekey *r, const char *table, const struct val *old, const struct val *new)
{
    *r = (struct dx_rekey){.table = mem_text(table), .old = copy_key(old), .new = copy_key(new)};
}

void dx_rekey_free(struct dx_rekey *r)
{
    for (size_t k = 0; k < 2 * r->nref; k++)
        free(r->ref[k]);
    free(r->ref);
    free(r->table);
    if (r->old.type == VAL_TEXT)
        free((void *)r->old.p);
    if (r->new.type == VAL_TEXT)
        free((void *)r->new.p);
    *r = (struct dx_rekey){0};
}

struct dx_rekey *dx_head_add_rekey(struct dx_head *h, const char *table, const struct val *old,
                                   const struct val *new)
{
    h->rekey = mem_append(h->rekey, h->nrekey, sizeof *h->rekey);
    struct dx_rekey *r = &h->rekey[h->nrekey++];
    dx_rekey_init(r, table, old, new);
    return r;
}

void dx_rekey_refer(struct dx_rekey *r, const char *table, const char *column)
{
    r->ref = mem_grow(r->ref, 2 * r->nref + 2, sizeof *r->ref);
    r->ref[2 * r->nref] = mem_text(table);
    r->ref[2 * r->nref + 1] = mem_text(column);
    r->nref++;
}

void dx_head_set(char **text, const char *value)
{
    char *copy = mem_text(value ? value : "");
    free(*text);
    *text = copy;
}

const struct table *dx_head_table(const struct dx_head *h, const char *name)
{
    for (size_t i = 0; i < h->ntable; i++)
        if (strcmp(h->table[i]->name, name) == 0)
            return h->table[i];
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether two columns have one name; SQLite knows no case. */
bool head_twins(const char *const *col, size_t ncol)
{
    const char **sorted = mem_copy(col, ncol * sizeof *col);
    bool twins = false;
    qsort(sorted, ncol, sizeof *sorted, by_name);
    for (size_t i = 1; i < ncol && !twins; i++)
        twins = by_name(&sorted[i - 1], &sorted[i]) == 0;
    free(sorted);
    return twins;
}

static int bad(const char *name, const char *member, const char *what)
{
    return fail(ERR_REFUSED, "%s: %s: %s", name, member, what);
}

static json_t *parse(const struct buf *b, const char *name, const char *member)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)b->p, b->n, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(json))
        return json;
    if (json == NULL && json_error_code(&error) == json_error_out_of_memory)
        mem_out();
    fail(ERR_REFUSED, "%s: %s: not a JSON object: %s", name, member, json ? "another type" : error.text);
    json_decref(json);
    return NULL;
}

static bool get_text(json_t *json, const char *key, char **out)
{
    json_t *value = json_object_get(json, key);
    if (value && !json_is_string(value))
        return false;
    dx_head_set(out, json_string_value(value));
    return true;
}

static bool get_count(json_t *json, const char *key, int64_t *out)
{
    json_t *value = json_object_get(json, key);
    *out = json_integer_value(value);
    return (value == NULL || json_is_integer(value)) && *out >= 0;
}

/* Names of columns as an array that points into the JSON; NULL if it is not that. The caller frees. */
static const char **names_of(json_t *array, size_t *n)
{
    *n = json_array_size(array);
    if (!json_is_array(array) || *n == 0 || *n > CHANGESET_COLUMNS_MAX)
        return NULL;
    const char **names = mem_zero(*n, sizeof *names);
    for (size_t i = 0; i < *n; i++) {
        names[i] = json_string_value(json_array_get(array, i));
        if (names[i] == NULL) {
            free(names);
            return NULL;
        }
    }
    return names;
}

static bool place_key(const char **col, size_t ncol, const char **key, size_t nkey, uint8_t *pk)
{
    for (size_t k = 0; k < nkey; k++) {
        size_t i = 0;
        while (i < ncol && strcmp(col[i], key[k]) != 0)
            i++;
        if (i == ncol || pk[i] || k >= 255)
            return false;
        pk[i] = (uint8_t)(k + 1);
    }
    return true;
}

static struct table *get_table(json_t *json)
{
    size_t ncol = 0, nkey = 0;
    const char *name = json_string_value(json_object_get(json, "name"));
    const char **col = names_of(json_object_get(json, "columns"), &ncol);
    const char **key = names_of(json_object_get(json, "key"), &nkey);
    uint8_t *pk = mem_zero(ncol, 1);
    struct table *t = NULL;
    if (name && *name && col && key && !head_twins((const char *const *)col, ncol) &&
        place_key(col, ncol, key, nkey, pk))
        t = table_new(name, ncol, col, pk);
    free(pk);
    free(col);
    free(key);
    return t;
}

static int get_tables(json_t *array, const char *name, struct dx_head *h)
{
    if (!json_is_array(array) || json_array_size(array) > DX_TABLES_MAX)
        return bad(name, "dx.json", "no list of tables, or one too long");
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct table *t = get_table(json_array_get(array, i));
        if (t == NULL || dx_head_table(h, t->name)) {
            table_free(t);
            return bad(name, "dx.json", "a table without sound name, columns and key");
        }
        add_table(h, t);
    }
    return 0;
}

static int get_kind(json_t *json, const char *name, struct dx_head *h)
{
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const char *encoding = json_string_value(json_object_get(json, "encoding"));
    json_t *format = json_object_get(json, "dx");
    if (!json_is_integer(format))
        return bad(name, "dx.json", "no format number");
    if (json_integer_value(format) != DX_FORMAT)
        return fail(ERR_REFUSED, "%s: dx.json: format %lld, this program reads %d; a newer dx is needed",
                    name, (long long)json_integer_value(format), DX_FORMAT);
    size_t k = 0;
    while (kind && k < KINDS && strcmp(kinds[k], kind) != 0)
        k++;
    if (kind == NULL || k == KINDS)
        return fail(ERR_REFUSED, "%s: dx.json: unknown kind of archive '%.40s'", name, kind ? kind : "");
    h->kind = (enum dx_kind)k;
    if (encoding == NULL || (strcmp(encoding, "changeset") != 0 && strcmp(encoding, "patchset") != 0))
        return fail(ERR_REFUSED, "%s: dx.json: unknown encoding '%.40s'", name, encoding ? encoding : "");
    h->form = encoding[0] == 'c' ? CHANGESET_FULL : CHANGESET_PATCH;
    return 0;
}

static int get_schema(json_t *array, const char *name, struct dx_head *h)
{
    if (array && !json_is_array(array))
        return bad(name, "dx.json", "schema is not a list");
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *sql = json_string_value(json_array_get(array, i));
        if (sql == NULL)
            return bad(name, "dx.json", "schema is not a list of texts");
        dx_head_add_schema(h, sql);
    }
    return 0;
}

/* An integer, or, of a row that is adopted, a text. */
static bool get_key(const json_t *json, bool adopt, struct val *out)
{
    *out = val_int(json_integer_value(json));
    if (json_is_string(json) && adopt)
        *out = (struct val){
            .type = VAL_TEXT, .p = (const void *)json_string_value(json), .n = json_string_length(json)};
    return json_is_integer(json) || out->type == VAL_TEXT;
}

static int get_rekey(json_t *json, struct dx_head *h)
{
    const char *table = json_string_value(json_object_get(json, "table"));
    json_t *refs = json_object_get(json, "refs"), *id = json_object_get(json, "id");
    bool adopt = json_is_true(json_object_get(json, "adopt"));
    struct val old, new;
    if (table == NULL || !get_key(json_object_get(json, "old"), adopt, &old) ||
        !get_key(json_object_get(json, "new"), adopt, &new) || json_array_size(refs) % 2 ||
        (id && !json_is_integer(id)))
        return -1;
    struct dx_rekey *r = dx_head_add_rekey(h, table, &old, &new);
    r->adopt = adopt;
    r->id = json_integer_value(id);
    for (size_t i = 0; i < json_array_size(refs); i += 2) {
        const char *from = json_string_value(json_array_get(refs, i));
        const char *column = json_string_value(json_array_get(refs, i + 1));
        if (from == NULL || column == NULL)
            return -1;
        dx_rekey_refer(r, from, column);
    }
    return 0;
}

static int get_rekeys(json_t *array, const char *name, struct dx_head *h)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (get_rekey(json_array_get(array, i), h))
            return bad(name, "dx.json", "a rekey without table, keys and references");
    return array && !json_is_array(array) ? bad(name, "dx.json", "rekeys is not a list") : 0;
}

static int get_earlier(json_t *flag, const char *name, struct dx_head *h)
{
    h->earlier_rekeys = json_is_true(flag);
    if (flag == NULL || (h->earlier_rekeys && h->nrekey && h->kind == DX_SNAPSHOT))
        return 0;
    return bad(name, "dx.json", "earlier_rekeys is not true, or not in a snapshot with rekeys");
}

static int get_ranges(json_t *array, const char *name, struct dx_head *h)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *json = json_array_get(array, i);
        const char *table = json_string_value(json_object_get(json, "table"));
        int64_t first, last;
        if (table == NULL || !get_count(json, "first", &first) || !get_count(json, "last", &last) ||
            first == 0 || last < first || last > INT64_MAX / 2)
            return bad(name, "dx.json", "a range without table and keys");
        dx_head_add_range(h, table, first, last);
    }
    return array && !json_is_array(array) ? bad(name, "dx.json", "ranges is not a list") : 0;
}

static int get_verdict(json_t *json, struct dx_head *h)
{
    static const char *const names[] = {"kind", "outcome", "table", "column", "reason"};
    const char *text[5];
    for (int i = 0; i < 5; i++) {
        json_t *value = json_object_get(json, names[i]);
        bool required = i < 3;
        text[i] = json_string_value(value);
        if (text[i] == NULL ? required || value : required && *text[i] == 0)
            return -1;
    }
    json_t *change = json_object_get(json, "change");
    size_t n = json_string_length(change), got = 0;
    uint8_t *bytes = mem_alloc(base64_room(n) + 1);
    int rc = change && base64_get(json_string_value(change), n, bytes, &got) ? 0 : -1;
    if (rc == 0)
        dx_head_add_verdict(h, text, bytes, got);
    free(bytes);
    return rc;
}

static int get_verdicts(json_t *array, const char *name, struct dx_head *h)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (get_verdict(json_array_get(array, i), h))
            return bad(name, "dx.json", "a verdict without kind, outcome, table and change");
    return array && !json_is_array(array) ? bad(name, "dx.json", "verdicts is not a list") : 0;
}

static int get_head(json_t *json, const char *name, struct dx_head *h)
{
    if (get_kind(json, name, h))
        return -1;
    if (!get_text(json, "from", &h->from) || !get_text(json, "to", &h->to) ||
        !get_text(json, "epoch", &h->epoch) || !get_text(json, "package", &h->package) ||
        !get_text(json, "continues", &h->continues) || !get_text(json, "follows", &h->follows))
        return bad(name, "dx.json", "a text where none stands");
    if (!get_count(json, "number", &h->number) || !get_count(json, "after", &h->after) ||
        !get_count(json, "upto", &h->upto) || !get_count(json, "ack", &h->ack) ||
        !get_count(json, "applied", &h->applied) || h->upto < h->after)
        return bad(name, "dx.json", "a number that cannot be");
    if (get_tables(json_object_get(json, "tables"), name, h))
        return -1;
    return get_schema(json_object_get(json, "schema"), name, h) ||
                   get_rekeys(json_object_get(json, "rekeys"), name, h) ||
                   get_earlier(json_object_get(json, "earlier_rekeys"), name, h) ||
                   get_ranges(json_object_get(json, "ranges"), name, h) ||
                   get_verdicts(json_object_get(json, "verdicts"), name, h)
               ? -1
               : 0;
}

int head_get(const struct buf *b, const char *name, struct dx_head *h)
{
    dx_head_init(h, DX_CHANGES);
    json_t *json = parse(b, name, "dx.json");
    int rc = json ? get_head(json, name, h) : -1;
    json_decref(json);
    if (rc)
        dx_head_free(h);
    return rc;
}

int head_get_end(const struct buf *b, const char *name, const struct dx_head *h, struct dx_end *e,
                 struct dx_count *count)
{
    json_t *json = parse(b, name, "end.json");
    if (json == NULL)
        return -1;
    const char *sha = json_string_value(json_object_get(json, "sha256"));
    json_t *tables = json_object_get(json, "tables");
    bool sound = json_is_object(tables) && sha && strlen(sha) == SHA_HEX - 1 &&
                 get_count(json, "changes", &e->changes) && get_count(json, "bytes", &e->bytes);
    size_t named = 0;
    for (size_t i = 0; sound && i < h->ntable; i++) {
        json_t *n = json_object_get(tables, h->table[i]->name);
        named += n != NULL;
        sound = get_count(n, "insert", &count[i].inserts) && get_count(n, "update", &count[i].updates) &&
                get_count(n, "delete", &count[i].deletes);
    }
    sound = sound && named == json_object_size(tables);
    if (sound)
        memcpy(e->sha256, sha, SHA_HEX);
    json_decref(json);
    return sound ? 0 : bad(name, "end.json", "not what it should hold");
}
