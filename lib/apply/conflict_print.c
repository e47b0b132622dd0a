/* conflict_print: see apply/conflict_print.h. */
#include "apply/conflict_print.h"

#include "apply/record.h"
#include "base/clean.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/jsonl.h"
#include "sql/key.h"

#include <string.h>

static int decode(const struct val *bytes, struct conflict_view *r, struct change *out)
{
    return bytes->type == VAL_BLOB ? record_get(bytes, r->target, &r->arena, out) : 0;
}

int conflict_print_conflict(struct targets *ts, const struct conflict *c, struct conflict_view *r)
{
    *r = (struct conflict_view){.target = targets_named(ts, c->table), .here = c->row.type == VAL_BLOB};
    if (r->target == NULL)
        return 0; /* the record can still be listed */
    size_t n = r->target->table->nkey;
    r->key = arena_alloc(&r->arena, n * sizeof *r->key);
    for (size_t i = 0; i < n; i++)
        r->key[i] = (struct val){.type = VAL_NULL};
    bool has_key = c->key.type != VAL_NULL; /* one that is too long is not recorded */
    if ((has_key && !key_unpack(&c->key, n, r->key)) || decode(&c->row, r, &r->row) ||
        decode(&c->incoming, r, &r->incoming))
        return fail(ERR_REFUSED, "%s: dx_conflict: record %lld is damaged", db_path(ts->db),
                    (long long)c->id);
    return 0;
}

void conflict_print_free(struct conflict_view *r)
{
    arena_free(&r->arena);
    *r = (struct conflict_view){0};
}

/* ---- JSON ---- */

static void put_text(struct buf *b, const char *name, const char *value)
{
    buf_addf(b, "\"%s\":", name);
    if (value)
        jsonl_string(b, value, strlen(value));
    else
        buf_puts(b, "null");
}

static void put_row(struct buf *b, const char *name, const struct table *t, const struct val *row)
{
    bool first = true;
    buf_addf(b, ",\"%s\":%s", name, row ? "{" : "null");
    for (size_t i = 0; row && i < t->ncol; i++) {
        if (row[i].type == VAL_NONE)
            continue;
        buf_puts(b, first ? "" : ",");
        jsonl_string(b, t->col[i], strlen(t->col[i]));
        buf_byte(b, ':');
        jsonl_value(b, &row[i]);
        first = false;
    }
    buf_puts(b, row ? "}" : "");
}

static void put_key(struct buf *b, const struct target *t, const struct val *key)
{
    buf_puts(b, ",\"key\":");
    if (t == NULL)
        buf_puts(b, "null");
    for (size_t i = 0; t && i < t->table->nkey; i++) {
        const char *name = t->table->col[t->table->key[i]];
        buf_byte(b, i ? ',' : '{');
        jsonl_string(b, name, strlen(name));
        buf_byte(b, ':');
        jsonl_value(b, &key[i]);
    }
    if (t)
        buf_byte(b, '}');
}

static void put_sides(struct buf *b, const struct conflict *c, const struct conflict_view *r)
{
    if (c->own)
        buf_puts(b, ",\"own\":true");
    if (c->own && c->column == NULL) {
        if (r->target)
            put_row(b, "ours", r->target->table, r->incoming.op == CHANGE_DELETE ? NULL : r->incoming.new);
        return;
    }
    if (c->column) {
        const struct val *const side[] = {&c->base, &c->ours, &c->theirs};
        static const char *const name[] = {"base", "ours", "theirs"};
        for (int i = 0; i < 3; i++) {
            buf_addf(b, ",\"%s\":", name[i]);
            jsonl_value(b, side[i]);
        }
    } else if (r->target) {
        put_row(b, "base", r->target->table, r->incoming.op == CHANGE_INSERT ? NULL : r->incoming.old);
        put_row(b, "ours", r->target->table, r->here ? r->row.new : NULL);
        put_row(b, "theirs", r->target->table, r->incoming.op == CHANGE_DELETE ? NULL : r->incoming.new);
    }
}

int conflict_print_json(struct targets *ts, const struct conflict *c, struct buf *out)
{
    struct conflict_view r;
    int rc = conflict_print_conflict(ts, c, &r);
    if (rc == 0) {
        buf_addf(out, "{\"id\":%lld,", (long long)c->id);
        put_text(out, "kind", c->kind);
        buf_byte(out, ',');
        put_text(out, "table", c->table);
        put_key(out, r.target, r.key);
        buf_byte(out, ',');
        put_text(out, "column", c->column);
        put_sides(out, c, &r);
        const char *const texts[][2] = {{"outcome", c->outcome}, {"reason", c->reason},
                                        {"origin", c->origin},   {"archive", c->archive},
                                        {"made", c->made},       {"resolved", c->resolved}};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            buf_byte(out, ',');
            put_text(out, texts[i][0], texts[i][1]);
        }
        buf_puts(out, "}\n");
    }
    conflict_print_free(&r);
    return rc;
}

/* ---- text ---- */

void conflict_print_heading(struct buf *out)
{
    buf_addf(out, "%4s  %-10s  %-7s  %-8s  %s\n", "ID", "KIND", "OUTCOME", "STATE", "WHAT");
}

/* name 'value', name 'value' of the columns the row tells; of an update without the key. */
static void add_row(struct buf *out, const struct table *t, const struct val *row, bool key)
{
    bool first = true;
    for (size_t i = 0; i < t->ncol; i++)
        if (row[i].type != VAL_NONE && (key || !t->pk[i])) {
            buf_addf(out, "%s%s %s", first ? "" : ", ", t->col[i], val_show(&row[i]));
            first = false;
        }
}

/* What the server decided about a change made here. */
static void add_own(struct buf *out, const struct conflict *c, const struct conflict_view *r)
{
    bool waits = strcmp(c->outcome, CONFLICT_WAITS) == 0;
    if (c->column) {
        buf_addf(out, ".%s: was %s, ", c->column, val_show(&c->base));
        buf_addf(out, "changed here to %s, ", val_show(&c->ours));
        buf_addf(out, "the server has %s", val_show(&c->theirs));
        return;
    }
    if (r->target) {
        buf_addf(out, ": %s ", change_op_name(r->incoming.op));
        if (r->incoming.op != CHANGE_DELETE)
            add_row(out, r->target->table, r->incoming.new, false);
    }
    buf_puts(out, waits ? ": waits at the server for another row" : ": not taken by the server");
}

static void add_sides(struct buf *out, const struct conflict *c, const struct conflict_view *r)
{
    if (c->own) {
        add_own(out, c, r);
        return;
    }
    if (c->column) {
        buf_addf(out, ".%s: was %s, here %s, ", c->column, val_show(&c->base), val_show(&c->ours));
        buf_addf(out, "from %s %s", c->origin ? c->origin : "elsewhere", val_show(&c->theirs));
        return;
    }
    if (r->target == NULL)
        return;
    buf_puts(out, ": here ");
    if (r->here)
        add_row(out, r->target->table, r->row.new, false);
    else
        buf_puts(out, "no row");
    buf_addf(out, "; %s %s ", c->origin ? c->origin : "elsewhere", change_op_name(r->incoming.op));
    if (r->incoming.op != CHANGE_DELETE)
        add_row(out, r->target->table, r->incoming.new, false);
}

/* Ends the line, which is freed. What a node has sent may hold anything. */
static void put_line(struct buf *out, struct buf *line)
{
    if (line->n) {
        clean_text(out, line->p, line->n);
        buf_byte(out, '\n');
    }
    buf_free(line);
}

int conflict_print_text(struct targets *ts, const struct conflict *c, struct buf *out)
{
    struct conflict_view r;
    struct buf line = {0};
    int rc = conflict_print_conflict(ts, c, &r);
    if (rc == 0) {
        buf_addf(&line, "%4lld  %-10s  %-7s  %-8s  %s", (long long)c->id, c->kind, c->outcome,
                 c->resolved ? "resolved" : "open", c->table);
        if (r.target)
            buf_addf(&line, " %s", vals_show(r.key, r.target->table->nkey));
        add_sides(&line, c, &r);
        if (c->reason)
            buf_addf(&line, " (%s)", c->reason);
        if (c->archive)
            buf_addf(&line, "  [%s]", c->archive);
        put_line(out, &line);
    }
    conflict_print_free(&r);
    return rc;
}

/* ---- quarantine ---- */

int conflict_print_quarantined_json(struct targets *ts, const struct quarantined *q, struct buf *out)
{
    struct target *t = targets_named(ts, q->table);
    struct arena arena = {0};
    struct change c;
    int rc = t ? record_get(&q->change, t, &arena, &c) : -1;
    if (rc == 0) {
        struct val *key = arena_alloc(&arena, t->table->nkey * sizeof *key);
        change_key(&c, key);
        buf_addf(out, "{\"quarantine\":%lld,", (long long)q->id);
        put_text(out, "table", q->table);
        put_key(out, t, key);
        buf_byte(out, ',');
        put_text(out, "op", change_op_name(c.op));
        put_row(out, "old", t->table, c.op == CHANGE_INSERT ? NULL : c.old);
        put_row(out, "new", t->table, c.op == CHANGE_DELETE ? NULL : c.new);
        buf_byte(out, ',');
        put_text(out, "reason", q->reason);
        buf_byte(out, ',');
        put_text(out, "origin", q->origin);
        buf_byte(out, ',');
        put_text(out, "archive", q->archive);
        buf_puts(out, "}\n");
    }
    arena_free(&arena);
    return rc;
}

int conflict_print_quarantined_what(struct targets *ts, const struct quarantined *q, struct buf *out)
{
    struct target *t = targets_named(ts, q->table);
    struct arena arena = {0};
    struct change c;
    int rc = t ? record_get(&q->change, t, &arena, &c) : -1;
    if (rc == 0)
        buf_addf(out, "%s of %s", change_op_name(c.op), change_show(&c));
    arena_free(&arena);
    return rc;
}

int conflict_print_quarantined_text(struct targets *ts, const struct quarantined *q, struct buf *out)
{
    struct buf line = {0};
    buf_addf(&line, "%4lld  %-10s  %-7s  %-8s  ", (long long)q->id, "quarantine", "waits", "open");
    int rc = conflict_print_quarantined_what(ts, q, &line);
    buf_addf(&line, ": %s  [%s]", q->reason, q->archive ? q->archive : "");
    put_line(out, &line);
    return rc;
}
