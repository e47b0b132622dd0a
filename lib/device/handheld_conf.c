/* handheld_conf: see device/handheld_conf.h. Each object of it has one filter; rows that rows inside refer to come along
 * as stubs. Both become one rule of the package: the rows inside, and for each way that references take from them to this
 * object an arm of its own. Where references go round in a circle, one recursive rule follows them all. */
#include "device/handheld_conf.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "sql/layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ARMS_MAX = 64 };

struct part {
    char *name;
    struct layout *layout;
    const struct conf_entry *at; /* its first entry, for messages */
    const char *filter, *rule;   /* a condition; the SELECT of a [rule NAME] */
    char *via;                   /* "column, ... ": follows the parent's rows */
    struct part *parent;
    const char *category, *order; /* a category: its column, and the order of its values */
    const char *columns;
    bool *left_out; /* columns that do not travel */
    bool inserts;   /* the device may insert rows */
    bool open;      /* on the way that is being followed */
};

/* A declared foreign key from one object to another, both of the file. */
struct reference {
    struct part *from, *to;
    char **column; /* to->layout->table->nkey of them, in the order of the key */
};

struct reading {
    struct db *pc;
    struct conf *conf;
    size_t n, nreference;
    struct part *part;
    struct reference *reference;
    bool stubs;
    const char *cascade;
    int64_t limit;
};

static int refuse(const struct reading *r, const struct conf_entry *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(const struct reading *r, const struct conf_entry *e, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return conf_refuse(r->conf, e, text);
}

int handheld_conf_is(const char *path)
{
    struct conf *c = conf_read(path);
    bool is = false;
    if (c == NULL)
        return -1;
    for (size_t i = 0; i < c->n; i++)
        is |= strcmp(c->entry[i].section, "handheld") == 0;
    conf_free(c);
    return is;
}

void handheld_limits_free(struct handheld_limits *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->object[i].name);
        free(l->object[i].filter);
        free(l->object[i].inside);
    }
    free(l->object);
    free(l->release);
    *l = (struct handheld_limits){0};
}

/* ---- reading ---- */

static struct part *part_named(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->part[i].name, name) == 0)
            return &r->part[i];
    return NULL;
}

static int number_of(const struct reading *r, const struct conf_entry *e, int64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoll(e->value, &end, 10);
    return errno || *end || end == e->value || *out < 0 ? refuse(r, e, "a number of rows, from 0") : 0;
}

static int yes_no(const struct reading *r, const struct conf_entry *e, bool *out)
{
    *out = strcmp(e->value, "yes") == 0;
    return *out || strcmp(e->value, "no") == 0 ? 0 : refuse(r, e, "yes or no");
}

static int take_head(struct reading *r, const struct conf_entry *e, struct buf *name,
                     struct handheld_limits *l)
{
    bool flag;
    if (strcmp(e->name, "name") == 0) {
        if (!meta_node_name(e->value))
            return refuse(r, e, "letters, digits, . _ - only");
        buf_clear(name);
        buf_puts(name, e->value);
        return 0;
    }
    if (strcmp(e->name, "release") == 0) {
        free(l->release);
        l->release = mem_text(e->value);
        return 0;
    }
    if (strcmp(e->name, "limit") == 0)
        return number_of(r, e, &r->limit);
    if (strcmp(e->name, "stubs") == 0)
        return yes_no(r, e, &r->stubs);
    if (strcmp(e->name, "cascade") == 0) {
        r->cascade = e->value;
        return yes_no(r, e, &flag);
    }
    return refuse(r, e, "no such option; there are name, release, limit, stubs, cascade");
}

/* Splits "column -> object". */
static int take_follows(struct reading *r, struct part *p, const struct conf_entry *e)
{
    const char *arrow = strstr(e->value, "->"), *list;
    if (p->parent || p->filter || p->rule)
        return refuse(r, e, "the object has a filter already; it has exactly one");
    if (arrow == NULL)
        return refuse(r, e, "expected `column -> object`");
    const char *name = arrow + 2 + strspn(arrow + 2, " \t\r\n");
    char *object = mem_printf("%.*s", (int)strcspn(name, " \t\r\n"), name);
    p->via = mem_printf("%.*s", (int)(arrow - e->value), e->value);
    p->parent = part_named(r, object);
    int rc = p->parent ? 0 : refuse(r, e, "there is no [object %s] before it", object);
    list = p->via;
    char *word;
    size_t n = 0;
    while (rc == 0 && (word = conf_word(&list, ','))) {
        if (table_column(p->layout->table, word) < 0)
            rc = refuse(r, e, "table %s has no column %s", p->layout->table->name, word);
        free(word);
        n++;
    }
    if (rc == 0 && n != p->parent->layout->table->nkey)
        rc =
            refuse(r, e, "the key of %s has %zu columns, not %zu", object, p->parent->layout->table->nkey, n);
    free(object);
    return rc;
}

static int take_filter(struct reading *r, struct part *p, const struct conf_entry *e)
{
    if (p->parent || p->filter || p->rule)
        return refuse(r, e, "the object has a filter already; it has exactly one");
    if (strncmp(e->value, "rule ", 5) != 0) {
        p->filter = strcasecmp(e->value, "all") == 0 ? "1" : e->value;
        return 0;
    }
    char *section = mem_printf("rule %s", e->value + 5 + strspn(e->value + 5, " \t"));
    p->rule = conf_get(r->conf, section, "select");
    int rc = p->rule ? 0 : refuse(r, e, "there is no [%s] with `select =`", section);
    free(section);
    return rc;
}

/* Marks the columns that do not travel. */
static int take_columns(struct reading *r, struct part *p, const struct conf_entry *e)
{
    const struct table *t = p->layout->table;
    const char *list = e->value + strspn(e->value, " \t\r\n");
    bool except = *list == '*';
    char *word;
    p->columns = e->value;
    if (except && strncasecmp(list += 1 + strspn(list + 1, " \t\r\n"), "except", 6) == 0)
        list += 6;
    else if (except && *list)
        return refuse(r, e, "expected `*`, `* except a, b` or `a, b`");
    for (size_t i = 0; i < t->ncol; i++)
        p->left_out[i] = !except && !t->pk[i];
    while ((word = conf_word(&list, ','))) {
        int i = (int)table_column(t, word);
        int rc = i < 0 ? refuse(r, e, "table %s has no column %s", t->name, word) : 0;
        if (rc == 0)
            p->left_out[i] = except && !t->pk[i];
        free(word);
        if (rc)
            return -1;
    }
    return 0;
}

static int take_write(struct part *p, const struct conf_entry *e)
{
    p->inserts = strcmp(e->value, "yes") == 0 || strstr(e->value, "insert") != NULL;
    return 0;
}

/* What package.conf says in the same words. */
static bool passes(const char *name)
{
    static const char *const same[] = {"write",      "conflict",   "keys",       "deletes",
                                       "duplicates", "user_key",   "change_key", "cascade",
                                       "keep",       "references", "triggers"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(name, same[i]) == 0)
            return true;
    return false;
}

static int take_entry(struct reading *r, struct part *p, const struct conf_entry *e, int64_t *limit)
{
    const char *n = e->name;
    if (strcmp(n, "table") == 0)
        return 0; /* taken first */
    if (strcmp(n, "filter") == 0)
        return take_filter(r, p, e);
    if (strcmp(n, "follows") == 0)
        return take_follows(r, p, e);
    if (strcmp(n, "columns") == 0)
        return take_columns(r, p, e);
    if (strcmp(n, "limit") == 0)
        return number_of(r, e, limit);
    if (strcmp(n, "category") == 0)
        p->category = e->value;
    else if (strcmp(n, "order") == 0)
        p->order = e->value;
    else if (strcmp(n, "write") == 0)
        return take_write(p, e);
    else if (!passes(n))
        return refuse(
            r, e,
            "no such option; there are table, filter, follows, columns, limit, category, order, and of "
            "dx-package(5) write, conflict, keys, deletes, duplicates, user_key, change_key, cascade, keep, "
            "references, "
            "triggers");
    return 0;
}

/* A category: at most one row of it for each row of the parent. */
static int check_category(const struct reading *r, const struct part *p)
{
    const struct table *t = p->layout->table;
    if (p->category == NULL && p->order == NULL)
        return 0;
    if (p->category == NULL || p->order == NULL || p->parent == NULL)
        return refuse(
            r, p->at,
            "a category needs category = COLUMN, order = VALUE, ... and follows = COLUMN -> OBJECT");
    long column = table_column(t, p->category);
    if (column < 0)
        return refuse(r, p->at, "category: table %s has no column %s", t->name, p->category);
    if (p->left_out[column])
        return refuse(r, p->at, "category: column %s does not travel", p->category);
    return 0;
}

/* Work on the device that could never be merged, or would take more with it than the device shows. */
static int check_loss(const struct reading *r, const struct part *p)
{
    const struct table *t = p->layout->table;
    for (size_t i = 0; p->inserts && i < t->ncol; i++)
        if (p->left_out[i] && p->layout->column[i].notnull && p->layout->column[i].value == NULL)
            return refuse(
                r, p->at,
                "rows inserted on the device would be lost: column %s is NOT NULL, has no default and does "
                "not travel; send it, or say `write = update, delete`",
                t->col[i]);
    return 0;
}

static int take_object(struct reading *r, const char *section, int64_t *limit)
{
    const struct conf *c = r->conf;
    const char *name = section + 6 + strspn(section + 6, " \t"), *table = conf_get(c, section, "table");
    struct part *p = &r->part[r->n];
    *p = (struct part){.name = mem_text(name), .inserts = true};
    r->n++;
    *limit = -1;
    for (size_t i = c->n; i-- > 0;)
        if (strcmp(c->entry[i].section, section) == 0)
            p->at = &c->entry[i];
    p->layout = layout_of(r->pc, table ? table : name);
    if (p->layout == NULL)
        return fail_in("%s:%d: [%s]", c->path, p->at->line, section);
    p->left_out = mem_zero(p->layout->table->ncol, sizeof *p->left_out);
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->entry[i].section, section) != 0)
            continue;
        for (size_t k = 0; k < i; k++)
            if (strcmp(c->entry[k].section, section) == 0 && strcmp(c->entry[k].name, c->entry[i].name) == 0)
                return refuse(r, &c->entry[i], "given twice");
        if (take_entry(r, p, &c->entry[i], limit))
            return -1;
    }
    if (p->filter == NULL && p->rule == NULL && p->parent == NULL)
        return refuse(
            r, p->at,
            "which rows? `filter = all`, a condition or `rule NAME`, or `follows = column -> object`");
    return check_category(r, p) || check_loss(r, p) ? -1 : 0;
}

static char *filter_text(const struct part *p)
{
    if (p->parent)
        return mem_printf("follows %s-> %s%s%s", p->via, p->parent->name, p->order ? ", first of " : "",
                          p->order ? p->order : "");
    return mem_text(p->rule ? p->rule : strcmp(p->filter, "1") == 0 ? "all" : p->filter);
}

static int take_sections(struct reading *r, struct buf *name, struct handheld_limits *l)
{
    const struct conf *c = r->conf;
    for (size_t i = 0; i < c->n; i++) {
        const char *section = c->entry[i].section;
        bool first = true;
        int64_t limit;
        for (size_t k = 0; k < i; k++)
            first &= strcmp(c->entry[k].section, section) != 0;
        if (strcmp(section, "handheld") == 0) {
            if (take_head(r, &c->entry[i], name, l))
                return -1;
        } else if (strncmp(section, "object ", 7) == 0) {
            if (first && take_object(r, section, &limit))
                return -1;
            if (first) {
                l->object = mem_grow(l->object, l->n + 1, sizeof *l->object);
                l->object[l->n++] = (struct handheld_object){mem_text(r->part[r->n - 1].name),
                                                             filter_text(&r->part[r->n - 1]), NULL, limit};
            }
        } else if (strncmp(section, "rule ", 5) != 0)
            return refuse(r, &c->entry[i],
                          "no such section; there are [handheld], [object NAME] and [rule NAME]");
    }
    if (r->n == 0)
        return fail(ERR_REFUSED, "%s: no [object NAME] in it: the device would get nothing", c->path);
    for (size_t i = 0; i < l->n; i++)
        if (l->object[i].rows < 0)
            l->object[i].rows = r->limit;
    return 0;
}

/* ---- references between the objects ---- */

static struct part *part_of_table(const struct reading *r, const char *table)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcasecmp(r->part[i].layout->table->name, table) == 0)
            return &r->part[i];
    return NULL;
}

/* The columns of foreign key `id` in the order of the parent's key: 1; 0 when it refers to something else; -1. */
static int key_columns(struct reading *r, struct part *from, int64_t id, struct part *to, char **column)
{
    struct stmt *s =
        db_preparef(r->pc,
                    "SELECT \"from\", coalesce(\"to\", ''), seq FROM pragma_foreign_key_list(%Q) WHERE id = "
                    "%lld ORDER BY seq",
                    from->layout->table->name, (long long)id);
    const struct table *t = to->layout->table;
    enum step step = STEP_ERROR;
    size_t found = 0, rows = 0;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        const char *target = stmt_text(s, 1);
        for (size_t k = 0; k < t->nkey; k++)
            if (*target ? strcasecmp(t->col[t->key[k]], target) == 0 : (int64_t)k == stmt_int(s, 2)) {
                free(column[k]);
                column[k] = mem_text(stmt_text(s, 0));
                found++;
            }
        rows++;
    }
    stmt_free(s);
    return step != STEP_DONE ? -1 : found == t->nkey && rows == t->nkey;
}

static bool travels(const struct part *p, const char *column)
{
    long i = table_column(p->layout->table, column);
    return i >= 0 && !p->left_out[i];
}

static void free_columns(char **column, size_t n)
{
    for (size_t i = 0; column && i < n; i++)
        free(column[i]);
    free(column);
}

static int add_reference(struct reading *r, struct part *from, int64_t id, struct part *to)
{
    size_t n = to->layout->table->nkey;
    char **column = mem_zero(n, sizeof *column);
    int got = key_columns(r, from, id, to, column);
    for (size_t i = 0; got > 0 && i < n; i++)
        got = travels(from, column[i]);
    if (got <= 0) {
        free_columns(column, n);
        return got;
    }
    r->reference = mem_grow(r->reference, r->nreference + 1, sizeof *r->reference);
    r->reference[r->nreference++] = (struct reference){from, to, column};
    return 0;
}

static int load_references(struct reading *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && r->stubs && i < r->n; i++) {
        struct part *p = &r->part[i];
        struct stmt *s =
            db_preparef(r->pc, "SELECT DISTINCT id, \"table\" FROM pragma_foreign_key_list(%Q) ORDER BY id",
                        p->layout->table->name);
        enum step step = STEP_ERROR;
        while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW) {
            struct part *to = part_of_table(r, stmt_text(s, 1));
            rc = to ? add_reference(r, p, stmt_int(s, 0), to) : 0;
        }
        stmt_free(s);
        if (rc == 0 && step != STEP_DONE)
            rc = -1;
    }
    return rc;
}

/* ---- rules ---- */

/* "alias"."a" = "other"."b" AND ... for a list of columns "x, y" against the key of a table. */
static void put_join(struct buf *b, const char *alias, const char *list, const char *other,
                     const struct table *t)
{
    char *word;
    for (size_t k = 0; k < t->nkey && (word = conf_word(&list, ',')); k++) {
        buf_addf(b, "%s%s.", k ? " AND " : "", other);
        buf_name(b, t->col[t->key[k]]);
        buf_addf(b, " = %s.", alias);
        buf_name(b, word);
        free(word);
    }
}

static void put_rank(struct buf *b, const struct part *p, const char *alias)
{
    const char *list = p->order;
    char *word;
    buf_puts(b, "CASE ");
    buf_puts(b, alias);
    buf_byte(b, '.');
    buf_name(b, p->category);
    for (int rank = 0; (word = conf_word(&list, ',')); rank++) {
        buf_puts(b, " WHEN ");
        buf_quote(b, word);
        buf_addf(b, " THEN %d", rank);
        free(word);
    }
    buf_addf(b, " ELSE %d END", ARMS_MAX * ARMS_MAX);
}

/* AND NOT EXISTS (a row of the same parent whose category comes first; of two of one rank the lesser value). */
static void put_first_category(struct buf *b, const struct part *p, const char *alias)
{
    const char *list = p->via;
    char *word;
    buf_puts(b, " WHERE NOT EXISTS (SELECT 1 FROM ");
    buf_name(b, p->layout->table->name);
    buf_puts(b, " AS dx_other WHERE ");
    while ((word = conf_word(&list, ','))) {
        buf_puts(b, "dx_other.");
        buf_name(b, word);
        buf_addf(b, " = %s.", alias);
        buf_name(b, word);
        buf_puts(b, " AND ");
        free(word);
    }
    buf_byte(b, '(');
    put_rank(b, p, "dx_other");
    buf_puts(b, " < ");
    put_rank(b, p, alias);
    buf_puts(b, " OR ");
    put_rank(b, p, "dx_other");
    buf_puts(b, " = ");
    put_rank(b, p, alias);
    buf_puts(b, " AND dx_other.");
    buf_name(b, p->category);
    buf_addf(b, " < %s.", alias);
    buf_name(b, p->category);
    buf_puts(b, "))");
}

static void put_keys(struct buf *b, const struct table *t, const char *alias)
{
    for (size_t k = 0; k < t->nkey; k++) {
        buf_addf(b, "%s%s.", k ? ", " : "", alias);
        buf_name(b, t->col[t->key[k]]);
    }
}

/* The rows inside, as an item of FROM with that alias. */
static void put_inside(struct buf *b, const struct part *p, const char *alias, int depth)
{
    char *child = mem_printf("dx_c%d", depth), *parent = mem_printf("dx_p%d", depth);
    if (p->rule) {
        /* The rule yields keys. */
        buf_addf(b, "(SELECT %s.* FROM ", child);
        buf_name(b, p->layout->table->name);
        buf_addf(b, " AS %s WHERE (", child);
        put_keys(b, p->layout->table, child);
        buf_addf(b, ") IN (%s)) AS %s", p->rule, alias);
    } else if (p->parent) {
        buf_addf(b, "(SELECT %s.* FROM ", child);
        buf_name(b, p->layout->table->name);
        buf_addf(b, " AS %s JOIN ", child);
        put_inside(b, p->parent, parent, depth + 1);
        buf_puts(b, " ON ");
        put_join(b, child, p->via, parent, p->parent->layout->table);
        if (p->category)
            put_first_category(b, p, child);
        buf_addf(b, ") AS %s", alias);
    } else {
        buf_puts(b, "(SELECT * FROM ");
        buf_name(b, p->layout->table->name);
        buf_addf(b, " WHERE (%s)) AS %s", p->filter, alias);
    }
    free(child);
    free(parent);
}

/* A way of references that begins at rows inside. */
struct way {
    size_t n;
    const struct reference *step[ARMS_MAX];
};

/* One arm: the keys at the end of the way. */
static void put_way(struct buf *b, const struct way *w)
{
    const struct reference *last = w->step[w->n - 1];
    buf_puts(b, "\nUNION SELECT dx_n.name");
    for (size_t k = 0; k < last->to->layout->table->nkey; k++) {
        buf_addf(b, ", dx_w%zu.", w->n - 1);
        buf_name(b, last->column[k]);
    }
    buf_puts(b, " FROM dx_node AS dx_n JOIN ");
    put_inside(b, w->step[0]->from, "dx_w0", 0);
    for (size_t i = 1; i < w->n; i++) {
        const struct table *t = w->step[i]->from->layout->table;
        buf_puts(b, " JOIN ");
        buf_name(b, t->name);
        buf_addf(b, " AS dx_w%zu ON ", i);
        for (size_t k = 0; k < t->nkey; k++) {
            buf_addf(b, "%sdx_w%zu.", k ? " AND " : "", i);
            buf_name(b, t->col[t->key[k]]);
            buf_addf(b, " = dx_w%zu.", i - 1);
            buf_name(b, w->step[i - 1]->column[k]);
        }
    }
    buf_addf(b, " WHERE dx_w%zu.", w->n - 1);
    buf_name(b, last->column[0]);
    buf_puts(b, " IS NOT NULL");
}

/* Whether the reference leads from rows inside to rows inside always: a child to the parent that it follows. */
static bool is_followed(const struct reference *f)
{
    const char *list = f->from->via;
    char *word;
    bool same = f->from->parent == f->to;
    for (size_t k = 0; same && k < f->to->layout->table->nkey; k++) {
        word = conf_word(&list, ',');
        same = word && strcasecmp(word, f->column[k]) == 0;
        free(word);
    }
    return same;
}

/* Follows references backwards from `p`, and writes an arm for each way; whether they go round. */
static bool put_ways(struct reading *r, struct buf *b, struct part *p, struct way *w, int *arms)
{
    bool round = false;
    if (p->open || w->n == ARMS_MAX)
        return true;
    p->open = true;
    for (size_t i = 0; i < r->nreference && !round; i++) {
        const struct reference *f = &r->reference[i];
        if (f->to != p)
            continue;
        /* The way is written from its beginning: what was found before goes behind. */
        struct way longer = {w->n + 1, {0}};
        longer.step[0] = f;
        memcpy(longer.step + 1, w->step, w->n * sizeof *w->step);
        if (!is_followed(f)) { /* else the parent is inside, and its own ways are written */
            put_way(b, &longer);
            round = ++*arms > ARMS_MAX;
        }
        round = round || put_ways(r, b, f->from, &longer, arms);
    }
    p->open = false;
    return round;
}

static bool wide(const struct part *p)
{
    return p->layout->table->nkey != 1;
}

/* The first rows of the closure: those inside, and what those of objects refer to whose key has several columns: they
 * cannot be stubs themselves. */
static void put_first_rows(struct reading *r, struct buf *b)
{
    const char *between = "";
    for (size_t i = 0; i < r->n; i++) {
        if (wide(&r->part[i]))
            continue;
        buf_addf(b, "%sSELECT %zu, ", between, i);
        put_keys(b, r->part[i].layout->table, "dx_i");
        buf_puts(b, " FROM ");
        put_inside(b, &r->part[i], "dx_i", 0);
        between = "\nUNION ";
    }
    for (size_t i = 0; i < r->nreference; i++) {
        const struct reference *f = &r->reference[i];
        if (!wide(f->from))
            continue;
        buf_addf(b, "%sSELECT %td, dx_i.", between, f->to - r->part);
        buf_name(b, f->column[0]);
        buf_puts(b, " FROM ");
        put_inside(b, f->from, "dx_i", 0);
        buf_puts(b, " WHERE dx_i.");
        buf_name(b, f->column[0]);
        buf_puts(b, " IS NOT NULL");
        between = "\nUNION ";
    }
}

/* One rule that follows all references from all rows inside, whatever way they take. */
static int put_closure(struct reading *r, struct buf *b, const struct part *wanted)
{
    for (size_t i = 0; i < r->nreference; i++)
        if (wide(r->reference[i].to))
            return refuse(
                r, wanted->at,
                "references go round in a circle, and %s, whose key has several columns, is referred to: "
                "leave the column that refers out of `columns`, or say `stubs = no` in [handheld]",
                r->reference[i].to->name);
    buf_puts(b, "WITH RECURSIVE dx_r(o, k) AS (");
    put_first_rows(r, b);
    for (size_t i = 0; i < r->nreference; i++) {
        const struct reference *f = &r->reference[i];
        if (wide(f->from))
            continue;
        buf_addf(b, "\nUNION SELECT %td, dx_t.", f->to - r->part);
        buf_name(b, f->column[0]);
        buf_puts(b, " FROM dx_r JOIN ");
        buf_name(b, f->from->layout->table->name);
        buf_addf(b, " AS dx_t ON dx_r.o = %td AND ", f->from - r->part);
        put_keys(b, f->from->layout->table, "dx_t");
        buf_puts(b, " = dx_r.k WHERE dx_t.");
        buf_name(b, f->column[0]);
        buf_puts(b, " IS NOT NULL");
    }
    buf_addf(b, ")\nSELECT dx_n.name, dx_r.k FROM dx_node AS dx_n JOIN dx_r ON dx_r.o = %td",
             wanted - r->part);
    return 0;
}

/* A rule goes into an INI file: its lines are indented. */
static void put_lines(struct buf *out, const char *text)
{
    for (; *text; text++) {
        buf_byte(out, (uint8_t)*text);
        if (*text == '\n')
            buf_puts(out, "          ");
    }
}

/* Which rows are there for themselves. Of categories the device changes the one it shows, whichever that is by then. */
static char *inside_text(const struct part *p)
{
    struct buf b = {0};
    if (wide(p) || p->category)
        return NULL;
    buf_puts(&b, "SELECT 1 FROM ");
    put_inside(&b, p, "dx_i", 0);
    buf_puts(&b, " WHERE ");
    put_keys(&b, p->layout->table, "dx_i");
    buf_puts(&b, " = ?1");
    return buf_take(&b);
}

static int put_visible(struct reading *r, struct buf *out, struct part *p, char **inside)
{
    struct buf rule = {0};
    struct way none = {0};
    int arms = 0, rc = 0;
    buf_puts(&rule, "SELECT dx_n.name, ");
    put_keys(&rule, p->layout->table, "dx_i");
    buf_puts(&rule, " FROM dx_node AS dx_n JOIN ");
    put_inside(&rule, p, "dx_i", 0);
    bool round = put_ways(r, &rule, p, &none, &arms);
    if (round) {
        buf_clear(&rule);
        rc = put_closure(r, &rule, p);
    } else if (arms == 0 && p->parent && p->category == NULL) {
        buf_addf(out, "via = %s-> %s\n", p->via, p->parent->name);
        buf_free(&rule);
        return 0;
    } else if (arms == 0 && p->filter && strcmp(p->filter, "1") == 0) {
        buf_puts(out, "visible = all\n");
        buf_free(&rule);
        return 0;
    }
    buf_puts(out, "visible = ");
    put_lines(out, buf_text(&rule));
    buf_byte(out, '\n');
    buf_free(&rule);
    if (arms || round)
        *inside = inside_text(p);
    return rc;
}

static int put_object(struct reading *r, struct buf *out, struct part *p, char **inside)
{
    const struct conf *c = r->conf;
    char *section = mem_printf("object %s", p->name);
    buf_addf(out, "[object %s]\ntable = %s\n", p->name, p->layout->table->name);
    int rc = put_visible(r, out, p, inside);
    if (p->columns) {
        buf_puts(out, "columns = ");
        put_lines(out, p->columns);
        buf_byte(out, '\n');
    }
    bool cascade = false;
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->entry[i].section, section) == 0 && passes(c->entry[i].name)) {
            cascade |= strcmp(c->entry[i].name, "cascade") == 0;
            buf_addf(out, "%s = ", c->entry[i].name);
            put_lines(out, c->entry[i].value);
            buf_byte(out, '\n');
        }
    if (r->cascade && !cascade)
        buf_addf(out, "cascade = %s\n", r->cascade);
    free(section);
    return rc;
}

static void free_reading(struct reading *r)
{
    for (size_t i = 0; i < r->nreference; i++)
        free_columns(r->reference[i].column, r->reference[i].to->layout->table->nkey);
    free(r->reference);
    for (size_t i = 0; i < r->n; i++) {
        free(r->part[i].name);
        free(r->part[i].via);
        free(r->part[i].left_out);
        layout_free(r->part[i].layout);
    }
    free(r->part);
    conf_free(r->conf);
}

int handheld_conf_read(struct db *pc, const char *path, struct buf *package, struct handheld_limits *limits)
{
    struct reading r = {.pc = pc, .stubs = true, .limit = -1};
    struct buf name = {0};
    *limits = (struct handheld_limits){0};
    buf_puts(&name, "handheld");
    int rc = (r.conf = conf_read(path)) ? 0 : -1;
    if (rc == 0) {
        r.part = mem_zero(r.conf->n, sizeof *r.part);
        rc = take_sections(&r, &name, limits) || load_references(&r) ? -1 : 0;
    }
    if (rc == 0)
        buf_addf(package, "[package]\nname = %s\nversion = 1\n", buf_text(&name));
    for (size_t i = 0; rc == 0 && i < r.n; i++)
        rc = put_object(&r, package, &r.part[i], &limits->object[i].inside);
    if (limits->release == NULL)
        limits->release = mem_text("");
    buf_free(&name);
    free_reading(&r);
    if (rc)
        handheld_limits_free(limits);
    return rc;
}
