/* view: see compare/view.h. */
#include "compare/view.h"

#include "base/err.h"
#include "base/mem.h"
#include "data/jsonl.h"

#include <stdlib.h>
#include <string.h>

static const char *const side_name[SIDES] = {"mine", "theirs"};

static const char *what_word(enum what what)
{
    static const char *const word[] = {"unchanged", "inserted", "updated", "deleted"};
    return word[what];
}

/* ---- counts ---- */

struct todo {
    int64_t inserts, updates, deletes;
};

static int todo_of(struct sync *s, size_t object, int side, struct todo *n)
{
    struct {
        enum change_op op;
        int64_t *n;
    } kind[] = {{CHANGE_INSERT, &n->inserts}, {CHANGE_UPDATE, &n->updates}, {CHANGE_DELETE, &n->deletes}};
    for (size_t k = 0; k < 3; k++)
        if (db_get_int(s->work.db, kind[k].n, "SELECT count(*) FROM item WHERE object = %lld AND op%d = %d",
                       (long long)object, side, kind[k].op))
            return -1;
    return 0;
}

static int64_t conflicts_of(struct sync *s, size_t object)
{
    int64_t n;
    return db_get_int(s->work.db, &n, "SELECT count(*) FROM item WHERE object = %lld AND outcome = 2",
                      (long long)object)
               ? -1
               : n;
}

int view_counts(struct sync *s, FILE *out)
{
    for (size_t i = 0; i < s->specs.n; i++) {
        const struct threeway_counts *n = &s->count[i];
        int64_t conflicts = conflicts_of(s, i);
        fprintf(out, "%s: %lld in mine, %lld in theirs, %lld agreed", s->specs.spec[i].row->name,
                (long long)n->rows[MINE], (long long)n->rows[THEIRS], (long long)n->agreed);
        for (int side = MINE; side < SIDES; side++) {
            struct todo t;
            if (todo_of(s, i, side, &t))
                return -1;
            if (t.inserts || t.updates || t.deletes)
                fprintf(out, "; to %s: %lld inserts, %lld updates, %lld deletes", side_name[side],
                        (long long)t.inserts, (long long)t.updates, (long long)t.deletes);
        }
        if (conflicts)
            fprintf(out, "; %lld conflicts", (long long)conflicts);
        fputc('\n', out);
    }
    return 0;
}

struct printing {
    struct sync *s;
    FILE *out;
    struct buf line;
    int side;
    size_t n;
};

static int print_conflict(void *ctx, struct item *i)
{
    struct printing *p = ctx;
    const struct spec *s = &p->s->specs.spec[i->object];
    fprintf(p->out, "conflict: %s %s: %s in mine, %s in theirs\n", s->row->name,
            vals_show(i->key, s->row->nkey), what_word(i->what[MINE]), what_word(i->what[THEIRS]));
    return 0;
}

int view_conflicts(struct sync *s, FILE *out)
{
    struct printing p = {.s = s, .out = out};
    return work_each(&s->work, print_conflict, &p, "outcome = 2 ORDER BY id");
}

/* ---- JSON ---- */

static void put_member(struct buf *b, const char *name, const struct val *v, bool first)
{
    buf_puts(b, first ? "" : ",");
    jsonl_string(b, name, strlen(name));
    buf_byte(b, ':');
    jsonl_value(b, v);
}

static void put_key(struct buf *b, const struct table *t, const struct val *key)
{
    buf_byte(b, '{');
    for (size_t i = 0; i < t->nkey; i++)
        put_member(b, t->col[t->key[i]], &key[i], i == 0);
    buf_byte(b, '}');
}

static void put_row(struct buf *b, const struct table *t, const struct val *row)
{
    if (row == NULL) {
        buf_puts(b, "null");
        return;
    }
    buf_byte(b, '{');
    for (size_t i = 0; i < t->ncol; i++)
        put_member(b, t->col[i], &row[i], i == 0);
    buf_byte(b, '}');
}

static int put_conflict(void *ctx, struct item *i)
{
    struct printing *p = ctx;
    const struct spec *s = &p->s->specs.spec[i->object];
    struct buf *b = &p->line;
    buf_puts(b, p->n++ ? ",{\"object\":" : "{\"object\":");
    jsonl_string(b, s->row->name, strlen(s->row->name));
    buf_puts(b, ",\"key\":");
    put_key(b, s->row, i->key);
    buf_addf(b, ",\"mine\":\"%s\",\"theirs\":\"%s\"}", what_word(i->what[MINE]), what_word(i->what[THEIRS]));
    return 0;
}

static void put_todo(struct buf *b, const struct todo *t)
{
    buf_addf(b, "{\"insert\":%lld,\"update\":%lld,\"delete\":%lld}", (long long)t->inserts,
             (long long)t->updates, (long long)t->deletes);
}

int view_json(struct sync *s, FILE *out)
{
    struct printing p = {.s = s, .out = out};
    struct buf *b = &p.line;
    char digest[65];
    int rc = guard_digest(&s->work, digest);
    buf_puts(b, "{\"objects\":[");
    for (size_t i = 0; i < s->specs.n && rc == 0; i++) {
        const struct threeway_counts *n = &s->count[i];
        struct todo t[SIDES];
        rc = todo_of(s, i, MINE, &t[MINE]) || todo_of(s, i, THEIRS, &t[THEIRS]) ? -1 : 0;
        buf_puts(b, i ? ",{\"object\":" : "{\"object\":");
        jsonl_string(b, s->specs.spec[i].row->name, strlen(s->specs.spec[i].row->name));
        buf_addf(b,
                 ",\"initial\":%s,\"mine\":%lld,\"theirs\":%lld,\"base\":%lld,\"agreed\":%lld,\"to_mine\":",
                 s->base->object[i].initial ? "true" : "false", (long long)n->rows[MINE],
                 (long long)n->rows[THEIRS], (long long)n->base, (long long)n->agreed);
        put_todo(b, &t[MINE]);
        buf_puts(b, ",\"to_theirs\":");
        put_todo(b, &t[THEIRS]);
        buf_addf(b, ",\"conflicts\":%lld}", (long long)conflicts_of(s, i));
    }
    buf_puts(b, "],\"conflicts\":[");
    rc = rc ? rc : work_each(&s->work, put_conflict, &p, "outcome = 2 ORDER BY id");
    buf_puts(b, "],\"left_out\":[");
    for (size_t i = 0; i < s->specs.nnote; i++) {
        buf_puts(b, i ? "," : "");
        jsonl_string(b, s->specs.note[i], strlen(s->specs.note[i]));
    }
    buf_addf(b, "],\"plan\":\"%s\"}\n", digest);
    fwrite(b->p, 1, b->n, out);
    buf_free(b);
    return rc;
}

/* ---- stat ---- */

enum { BAR = 40 };

int view_stat(struct sync *s, FILE *out)
{
    size_t widest = 0;
    int64_t most = 1, sum[3] = {0};
    for (size_t i = 0; i < s->specs.n; i++)
        widest = strlen(s->specs.spec[i].row->name) > widest ? strlen(s->specs.spec[i].row->name) : widest;
    for (int pass = 0; pass < 2; pass++)
        for (int side = 0; side < SIDES; side++)
            for (size_t i = 0; i < s->specs.n; i++) {
                struct todo t;
                if (todo_of(s, i, side, &t))
                    return -1;
                int64_t n = t.inserts + t.updates + t.deletes, counts[] = {t.inserts, t.updates, t.deletes};
                most = n > most ? n : most;
                if (pass == 0 || n == 0)
                    continue;
                fprintf(out, " %-*s -> %-6s | %6lld ", (int)widest, s->specs.spec[i].row->name,
                        side_name[side], (long long)n);
                for (int k = 0; k < 3; k++) {
                    int64_t width = most <= BAR ? counts[k] : (counts[k] * BAR + most - 1) / most;
                    sum[k] += counts[k];
                    while (width-- > 0)
                        fputc("+~-"[k], out);
                }
                fputc('\n', out);
            }
    fprintf(out, " %lld inserts(+), %lld updates(~), %lld deletes(-), %lld conflicts\n", (long long)sum[0],
            (long long)sum[1], (long long)sum[2], (long long)s->conflicts);
    return 0;
}

/* ---- rows ---- */

/* A value as JSON has it, so that none can look like another. */
static const char *show(struct buf *b, const struct val *v)
{
    buf_clear(b);
    jsonl_value(b, v);
    return buf_text(b);
}

static void print_columns(FILE *out, const struct table *t, const struct val *before, const struct val *after)
{
    struct buf a = {0}, b = {0};
    for (size_t i = 0; i < t->ncol; i++) {
        if (t->pk[i] || (before && after && val_same(&before[i], &after[i])))
            continue;
        if (before)
            fprintf(out, "  - %s = %s\n", t->col[i], show(&a, &before[i]));
        if (after)
            fprintf(out, "  + %s = %s\n", t->col[i], show(&b, &after[i]));
    }
    buf_free(&a);
    buf_free(&b);
}

static int print_rows(void *ctx, struct item *i)
{
    struct printing *p = ctx;
    const struct table *t = p->s->specs.spec[i->object].row;
    for (int side = 0; side < SIDES; side++) {
        if (i->op[side] == 0)
            continue;
        const struct val *after = i->op[side] == CHANGE_DELETE ? NULL : i->out ? i->out : i->row[!side];
        fprintf(p->out, "%s %s: %s in %s\n", t->name, vals_show(i->key, t->nkey), change_op_name(i->op[side]),
                side_name[side]);
        print_columns(p->out, t, i->row[side], after);
    }
    if (i->outcome == OUTCOME_CONFLICT) {
        fprintf(p->out, "%s %s: conflict, mine (-), theirs (+)\n", t->name, vals_show(i->key, t->nkey));
        print_columns(p->out, t, i->row[MINE], i->row[THEIRS]);
    }
    return 0;
}

int view_rows(struct sync *s, FILE *out)
{
    struct printing p = {.s = s, .out = out};
    return work_each(&s->work, print_rows, &p, "outcome <> 0 ORDER BY id");
}

static int print_checked(void *ctx, struct item *i)
{
    struct printing *p = ctx;
    const struct spec *s = &p->s->specs.spec[i->object];
    for (size_t k = 0; k < s->nchecked; k++)
        if (!val_same(&i->row[MINE][s->change[k]], &i->row[THEIRS][s->change[k]]))
            return 0;
    if (s->nchecked == 0)
        return 0;
    p->n++;
    fprintf(p->out, "%s %s: one change key, other content: mine (-), theirs (+)\n", s->row->name,
            vals_show(i->key, s->row->nkey));
    print_columns(p->out, s->row, i->row[MINE], i->row[THEIRS]);
    return 0;
}

int view_check(struct sync *s, FILE *out, int64_t *n)
{
    struct printing p = {.s = s, .out = out};
    int rc = work_each(&s->work, print_checked, &p, "row0 IS NOT NULL AND row1 IS NOT NULL ORDER BY id");
    *n = (int64_t)p.n;
    return rc;
}

/* ---- SQL ---- */

/* A literal that gives the same bits back. SQL's decimal text does not for every real: those as a sum of powers of two
 * would be unreadable, so 17 digits are printed. */
static void put_literal(struct buf *b, const struct val *v)
{
    switch (v->type) {
    case VAL_INT:
        buf_addf(b, "%lld", (long long)v->i);
        break;
    case VAL_REAL:
        if (v->r - v->r != 0)
            buf_puts(b, v->r > 0 ? "9e999" : v->r < 0 ? "-9e999" : "NULL");
        else {
            char text[40];
            snprintf(text, sizeof text, "%.17g", v->r);
            buf_addf(b, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
        }
        break;
    case VAL_TEXT:
        if (memchr(v->p, 0, v->n)) {
            buf_puts(b, "CAST(x'");
            for (size_t i = 0; i < v->n; i++)
                buf_addf(b, "%02x", ((const uint8_t *)v->p)[i]);
            buf_puts(b, "' AS TEXT)");
        } else {
            char *text = mem_printf("%.*s", (int)v->n, v->n ? (const char *)v->p : "");
            buf_quote(b, text);
            free(text);
        }
        break;
    case VAL_BLOB:
        buf_puts(b, "x'");
        for (size_t i = 0; i < v->n; i++)
            buf_addf(b, "%02x", ((const uint8_t *)v->p)[i]);
        buf_puts(b, "'");
        break;
    default:
        buf_puts(b, "NULL");
    }
}

static void put_where(struct buf *b, const struct spec *s, int side, const struct val *key)
{
    for (size_t i = 0; i < s->row->nkey; i++) {
        buf_puts(b, i ? " AND " : " WHERE ");
        buf_name(b, s->at[side].column[s->row->key[i]]);
        buf_puts(b, " = ");
        put_literal(b, &key[i]);
    }
    buf_puts(b, ";\n");
}

static void put_insert(struct buf *b, const struct spec *s, int side, const struct val *row)
{
    size_t n = 0;
    buf_puts(b, "INSERT INTO ");
    buf_name(b, s->at[side].table);
    for (size_t i = 0; i < s->row->ncol; i++)
        if (s->at[side].column[i]) {
            buf_puts(b, n++ ? ", " : " (");
            buf_name(b, s->at[side].column[i]);
        }
    n = 0;
    for (size_t i = 0; i < s->row->ncol; i++)
        if (s->at[side].column[i]) {
            buf_puts(b, n++ ? ", " : ") VALUES (");
            put_literal(b, &row[i]);
        }
    buf_puts(b, ");\n");
}

static int put_sql(void *ctx, struct item *i)
{
    struct printing *p = ctx;
    const struct spec *s = &p->s->specs.spec[i->object];
    const struct spec_side *at = &s->at[p->side];
    const struct val *row = i->out ? i->out : i->row[!p->side], *now = i->row[p->side];
    struct buf b = {0};
    if (i->op[p->side] == CHANGE_INSERT)
        put_insert(&b, s, p->side, row);
    else {
        size_t n = 0;
        buf_puts(&b, i->op[p->side] == CHANGE_DELETE ? "DELETE FROM " : "UPDATE ");
        buf_name(&b, at->table);
        for (size_t c = 0; i->op[p->side] == CHANGE_UPDATE && c < s->row->ncol; c++) {
            if (s->row->pk[c] || at->column[c] == NULL || (now && val_same(&now[c], &row[c])))
                continue;
            buf_puts(&b, n++ ? ", " : " SET ");
            buf_name(&b, at->column[c]);
            buf_puts(&b, " = ");
            put_literal(&b, &row[c]);
        }
        put_where(&b, s, p->side, i->key);
    }
    fwrite(b.p, 1, b.n, p->out);
    buf_free(&b);
    return 0;
}

int view_sql(struct sync *s, int side, FILE *out)
{
    static const enum change_op order[] = {CHANGE_DELETE, CHANGE_UPDATE, CHANGE_INSERT};
    struct printing p = {.s = s, .out = out, .side = side};
    int rc = 0;
    fputs("BEGIN;\nPRAGMA defer_foreign_keys = ON;\n", out);
    for (size_t k = 0; k < 3 && rc == 0; k++) {
        char *condition = mem_printf("op%d = %d ORDER BY id", side, order[k]);
        rc = work_each(&s->work, put_sql, &p, condition);
        free(condition);
    }
    fputs("COMMIT;\n", out);
    return rc;
}

/* ---- the lists of a base ---- */

static int say_issue(void *ctx, const struct base_issue *i)
{
    char *line =
        i->side == SIDES
            ? mem_printf("%s %s: %s", i->table, vals_show(i->key, i->nkey), i->reason ? i->reason : "")
            : mem_printf("%s %s: left alone in %s: %s", i->table, vals_show(i->key, i->nkey),
                         side_name[i->side], i->reason ? i->reason : "");
    (*(void (**)(const char *))ctx)(line);
    free(line);
    return 0;
}

int view_issues(struct base *b, void (*say)(const char *line))
{
    return base_each_issue(b, say_issue, &say);
}

struct listing {
    FILE *out;
    int width;
};

/* The value, cut to so many columns. */
static void print_cut(FILE *out, const char *text, int width, bool pad)
{
    int n = 0;
    for (const char *p = text; *p && n < width; n++) {
        const char *end = p + 1;
        while ((*end & 0xc0) == 0x80)
            end++;
        if (n == width - 1 && *end) {
            fputs("…", out);
            n++;
            break;
        }
        fwrite(p, 1, (size_t)(end - p), out);
        p = end;
    }
    for (; pad && n < width; n++)
        fputc(' ', out);
}

static int print_side_by_side(void *ctx, const struct base_conflict *c)
{
    const struct listing *l = ctx;
    const int name = 16, half = (l->width - name - 3) / 2;
    struct buf a = {0}, b = {0};
    fprintf(l->out, "%lld: %s %s: %s in mine, %s in theirs%s%s\n", (long long)c->id, c->table,
            vals_show(c->key, c->layout->nkey), what_word(c->what[MINE]), what_word(c->what[THEIRS]),
            c->answer ? "; answered: " : "",
            c->answer ? (strchr(c->answer, 'm') == NULL   ? "theirs"
                         : strchr(c->answer, 't') == NULL ? "mine"
                                                          : "by column")
                      : "");
    for (size_t i = 0; i < c->layout->ncol; i++) {
        const struct val *m = c->row[MINE] ? &c->row[MINE][i] : NULL,
                         *t = c->row[THEIRS] ? &c->row[THEIRS][i] : NULL;
        if (m && t && val_same(m, t))
            continue;
        fputs("  ", l->out);
        print_cut(l->out, c->layout->col[i], name - 2, true);
        fputc(' ', l->out);
        print_cut(l->out, m ? show(&a, m) : "(deleted)", half, true);
        fputs(" | ", l->out);
        print_cut(l->out, t ? show(&b, t) : "(deleted)", half - 1, false);
        fputc('\n', l->out);
    }
    buf_free(&a);
    buf_free(&b);
    return 0;
}

int view_base_conflicts(struct base *b, int width, FILE *out)
{
    struct listing l = {out, width};
    return base_each_conflict(b, print_side_by_side, &l);
}

static int print_json(void *ctx, const struct base_conflict *c)
{
    struct listing *l = ctx;
    struct buf b = {0};
    buf_addf(&b, "{\"id\":%lld,\"object\":", (long long)c->id);
    jsonl_string(&b, c->table, strlen(c->table));
    buf_puts(&b, ",\"key\":");
    put_key(&b, c->layout, c->key);
    for (int side = 0; side < SIDES; side++) {
        buf_addf(&b, ",\"%s\":{\"what\":\"%s\",\"row\":", side_name[side], what_word(c->what[side]));
        put_row(&b, c->layout, c->row[side]);
        buf_byte(&b, '}');
    }
    buf_puts(&b, ",\"answer\":");
    if (c->answer == NULL)
        buf_puts(&b, "null");
    else if (strchr(c->answer, 'm') == NULL || strchr(c->answer, 't') == NULL)
        buf_puts(&b, strchr(c->answer, 'm') ? "\"mine\"" : "\"theirs\"");
    else {
        buf_byte(&b, '{');
        for (size_t i = 0; i < c->layout->ncol && c->answer[i]; i++) {
            struct val side = val_text(c->answer[i] == 'm' ? "mine" : "theirs");
            put_member(&b, c->layout->col[i], &side, i == 0);
        }
        buf_byte(&b, '}');
    }
    buf_puts(&b, "}\n");
    fwrite(b.p, 1, b.n, l->out);
    buf_free(&b);
    return 0;
}

int view_base_json(struct base *b, FILE *out)
{
    struct listing l = {.out = out};
    return base_each_conflict(b, print_json, &l);
}
