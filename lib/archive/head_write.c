/* head_write: dx.json and end.json in words (archive/head_read.h). */
#include "archive/head_read.h"

#include "base/base64.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/columns.h"
#include "data/jsonl.h"

#include <stdlib.h>
#include <string.h>

/* What a JSON text cannot carry, NULL if all is well. */
static const char *unfit(const struct dx_head *h)
{
    const char *const texts[] = {h->from, h->to, h->epoch, h->package, h->continues, h->follows};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i] && !utf8_sound(texts[i], strlen(texts[i])))
            return texts[i];
    for (size_t i = 0; h->rendered == NULL && i < h->ntable; i++) {
        const struct table *t = h->table[i];
        if (!utf8_sound(t->name, strlen(t->name)))
            return t->name;
        for (size_t c = 0; c < t->ncol; c++)
            if (!utf8_sound(t->col[c], strlen(t->col[c])))
                return t->col[c];
    }
    for (size_t i = 0; i < h->nschema; i++)
        if (!utf8_sound(h->schema[i], strlen(h->schema[i])))
            return h->schema[i];
    for (size_t i = 0; i < h->nrekey; i++)
        for (size_t k = 0; k < 2 * h->rekey[i].nref; k++)
            if (!utf8_sound(h->rekey[i].ref[k], strlen(h->rekey[i].ref[k])))
                return h->rekey[i].ref[k];
    for (size_t i = 0; i < h->nrange; i++)
        if (!utf8_sound(h->range[i].table, strlen(h->range[i].table)))
            return h->range[i].table;
    for (size_t i = 0; i < h->nverdict; i++) {
        const struct dx_verdict *v = &h->verdict[i];
        const char *const text[] = {v->kind, v->outcome, v->table, v->column, v->reason};
        for (size_t k = 0; k < sizeof text / sizeof *text; k++)
            if (text[k] && !utf8_sound(text[k], strlen(text[k])))
                return text[k];
    }
    return NULL;
}

static int check_head(const char *name, const struct dx_head *h)
{
    const char *text = unfit(h);
    if (text)
        return fail(ERR_REFUSED,
                    "%s: the name or text '%.100s' is not UTF-8, which an archive's head must be", name,
                    text);
    for (size_t i = 0; h->rendered == NULL && i < h->ntable; i++)
        if (head_twins((const char *const *)h->table[i]->col, h->table[i]->ncol))
            return fail(ERR_REFUSED, "%s: table %s: two columns of one name", name, h->table[i]->name);
    if (h->ntable > DX_TABLES_MAX)
        return fail(ERR_REFUSED, "%s: %zu tables, %d are the most an archive carries", name, h->ntable,
                    DX_TABLES_MAX);
    return 0;
}

static void put_string(struct buf *b, const char *text)
{
    jsonl_string(b, text, strlen(text));
}

/* ,"key": */
static void put_key(struct buf *b, const char *key)
{
    buf_puts(b, ",\"");
    buf_puts(b, key);
    buf_puts(b, "\":");
}

/* ,"key":"value", unless it is empty. */
static void put_text(struct buf *b, const char *key, const char *value)
{
    if (value == NULL || *value == 0)
        return;
    put_key(b, key);
    put_string(b, value);
}

/* ,"key":value, unless it is 0. */
static void put_int(struct buf *b, const char *key, int64_t value)
{
    if (value == 0)
        return;
    put_key(b, key);
    buf_addf(b, "%lld", (long long)value);
}

/* {"name":"t","columns":["a","b"],"key":["a"]} */
static void put_table(struct buf *b, const struct table *t)
{
    buf_puts(b, "{\"name\":");
    put_string(b, t->name);
    buf_puts(b, ",\"columns\":");
    columns_put(b, t, false);
    buf_puts(b, ",\"key\":");
    columns_put(b, t, true);
    buf_byte(b, '}');
}

static void put_tables(struct buf *b, const struct dx_head *h)
{
    buf_byte(b, '[');
    for (size_t i = 0; i < h->ntable; i++) {
        buf_puts(b, i ? "," : "");
        put_table(b, h->table[i]);
    }
    buf_byte(b, ']');
}

static void put_key_value(struct buf *b, const char *key, const struct val *v)
{
    put_key(b, key);
    if (v->type == VAL_TEXT)
        put_string(b, (const char *)v->p);
    else
        buf_addf(b, "%lld", (long long)v->i);
}

/* {"table":"t","old":7,"new":8,"id":3,"refs":["u","t_id","t","parent"]} */
static void put_rekey(struct buf *b, const struct dx_rekey *r)
{
    buf_puts(b, "{\"table\":");
    put_string(b, r->table);
    put_key_value(b, "old", &r->old);
    put_key_value(b, "new", &r->new);
    put_int(b, "id", r->id);
    buf_puts(b, r->adopt ? ",\"adopt\":true,\"refs\":[" : ",\"refs\":[");
    for (size_t i = 0; i < 2 * r->nref; i++) {
        buf_puts(b, i ? "," : "");
        put_string(b, r->ref[i]);
    }
    buf_puts(b, "]}");
}

/* {"kind":"update","outcome":"ours","table":"t","column":"c","change":"BASE64"} */
static void put_verdict(struct buf *b, const struct dx_verdict *v)
{
    buf_puts(b, "{\"kind\":");
    put_string(b, v->kind);
    put_text(b, "outcome", v->outcome);
    put_text(b, "table", v->table);
    put_text(b, "column", v->column);
    put_text(b, "reason", v->reason);
    buf_puts(b, ",\"change\":\"");
    base64_put(b, v->change.p, v->change.n);
    buf_puts(b, "\"}");
}

/* Where in it the text of the tables begins. */
static size_t put_head(struct buf *b, const struct dx_head *h)
{
    buf_addf(b, "{\"dx\":%d,\"kind\":\"%s\"", DX_FORMAT, dx_kind_name(h->kind));
    put_text(b, "from", h->from);
    put_text(b, "to", h->to);
    put_text(b, "epoch", h->epoch);
    put_text(b, "package", h->package);
    put_text(b, "continues", h->continues);
    put_text(b, "follows", h->follows);
    put_int(b, "number", h->number);
    put_int(b, "after", h->after);
    put_int(b, "upto", h->upto);
    put_int(b, "ack", h->ack);
    put_int(b, "applied", h->applied);
    put_text(b, "encoding", h->form == CHANGESET_FULL ? "changeset" : "patchset");
    buf_puts(b, ",\"tables\":");
    size_t tables = b->n;
    if (h->rendered)
        buf_add(b, h->rendered->text.p, h->rendered->text.n);
    else
        put_tables(b, h);
    for (size_t i = 0; i < h->nschema; i++) {
        buf_puts(b, i ? "," : ",\"schema\":[");
        put_string(b, h->schema[i]);
    }
    buf_puts(b, h->nschema ? "]" : "");
    for (size_t i = 0; i < h->nrekey; i++) {
        buf_puts(b, i ? "," : ",\"rekeys\":[");
        put_rekey(b, &h->rekey[i]);
    }
    buf_puts(b, h->nrekey ? "]" : "");
    buf_puts(b, h->earlier_rekeys ? ",\"earlier_rekeys\":true" : "");
    for (size_t i = 0; i < h->nrange; i++) {
        buf_puts(b, i ? ",{\"table\":" : ",\"ranges\":[{\"table\":");
        put_string(b, h->range[i].table);
        put_int(b, "first", h->range[i].first);
        put_int(b, "last", h->range[i].last);
        buf_puts(b, "}");
    }
    buf_puts(b, h->nrange ? "]" : "");
    for (size_t i = 0; i < h->nverdict; i++) {
        buf_puts(b, i ? "," : ",\"verdicts\":[");
        put_verdict(b, &h->verdict[i]);
    }
    buf_puts(b, h->nverdict ? "]}\n" : "}\n");
    return tables;
}

int dx_head_settle(struct dx_head *h)
{
    if (check_head(h->package, h))
        return -1;
    head_unsettle(h);
    h->rendered = mem_zero(1, sizeof *h->rendered);
    put_tables(&h->rendered->text, h);
    shared_frame_make(&h->rendered->frame, h->rendered->text.p, h->rendered->text.n);
    return 0;
}

size_t dx_rekey_bytes(const struct dx_rekey *r)
{
    struct buf b = {0};
    put_rekey(&b, r);
    size_t n = b.n + 1; /* and what stands between two */
    buf_free(&b);
    return n;
}

size_t dx_head_bytes(const struct dx_head *h)
{
    struct buf b = {0};
    put_head(&b, h);
    size_t n = b.n;
    buf_free(&b);
    return n;
}

void head_unsettle(struct dx_head *h)
{
    if (h->rendered == NULL)
        return;
    buf_free(&h->rendered->text);
    shared_frame_free(&h->rendered->frame);
    free(h->rendered);
    h->rendered = NULL;
}

int head_put(struct buf *b, const char *name, const struct dx_head *h, size_t *tables)
{
    if (check_head(name, h))
        return -1;
    size_t at = put_head(b, h);
    if (tables)
        *tables = at;
    if (b->n > DX_JSON_MAX)
        return fail(ERR_REFUSED, "%s: a head of %zu bytes (names and schema), %d MiB are the most", name,
                    b->n, DX_JSON_MAX >> 20);
    return 0;
}

void head_put_end(struct buf *b, const struct dx_head *h, const struct dx_end *e)
{
    const char *between = "";
    buf_addf(b, "{\"changes\":%lld,\"bytes\":%lld,\"tables\":{", (long long)e->changes, (long long)e->bytes);
    for (size_t i = 0; i < h->ntable; i++) {
        const struct dx_count *n = &e->count[i];
        if (n->inserts == 0 && n->updates == 0 && n->deletes == 0)
            continue;
        buf_puts(b, between);
        put_string(b, h->table[i]->name);
        buf_addf(b, ":{\"insert\":%lld,\"update\":%lld,\"delete\":%lld}", (long long)n->inserts,
                 (long long)n->updates, (long long)n->deletes);
        between = ",";
    }
    buf_addf(b, "},\"sha256\":\"%s\"}\n", e->sha256);
}
