/* packentry: see nodes/packentry.h. */
#include "nodes/packentry.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "nodes/key_range.h"
#include "nodes/rule_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- words ---- */

size_t packentry_words(const char *list, char separator, char ***out)
{
    size_t n = 0;
    char *word;
    *out = NULL;
    while ((word = conf_word(&list, separator))) {
        *out = mem_grow(*out, n + 1, sizeof **out);
        (*out)[n++] = word;
    }
    return n;
}

void packentry_free_words(char **w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(w[i]);
    free(w);
}

int packentry_refuse(const struct reading *r, const struct conf_entry *e, const char *fmt, ...)
{
    char why[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return conf_refuse(r->conf, e, why);
}

/* Every word of the list must be a column of the table. */
static int check_columns(const struct reading *r, const struct conf_entry *e, const struct table *t, char **w,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (table_column(t, w[i]) < 0)
            return packentry_refuse(r, e, "table %s has no column %s", t->name, w[i]);
    return 0;
}

static int check_list(const struct reading *r, const struct conf_entry *e, const struct table *t)
{
    char **alternative, **w;
    size_t n = packentry_words(e->value, '|', &alternative);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t m = packentry_words(alternative[i], ',', &w);
        rc = m ? check_columns(r, e, t, w, m) : packentry_refuse(r, e, "a column's name is missing");
        packentry_free_words(w, m);
    }
    packentry_free_words(alternative, n);
    return rc;
}

/* ---- the entries of an object ---- */

int packentry_columns(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    const struct table *t = d->layout->table;
    const char *list = e ? e->value : "*";
    bool except = false;
    char **w;
    list += strspn(list, " \t\r\n");
    if (*list == '*') {
        list += 1 + strspn(list + 1, " \t\r\n");
        except = strncasecmp(list, "except", 6) == 0;
        if (!except && *list)
            return packentry_refuse(r, e, "expected `*`, `* except a, b`, or `a, b`");
        list += except ? 6 : 0;
    } else
        except = false;
    bool all = e == NULL || e->value[strspn(e->value, " \t\r\n")] == '*';
    size_t n = packentry_words(list, ',', &w);
    int rc = e ? check_columns(r, e, t, w, n) : 0;
    const char **col = mem_zero(t->ncol, sizeof *col);
    uint8_t *pk = mem_zero(t->ncol, 1);
    size_t ncol = 0;
    for (size_t i = 0; i < t->ncol; i++) {
        bool named = false;
        for (size_t k = 0; k < n; k++)
            named |= strcasecmp(w[k], t->col[i]) == 0;
        if (named && all && t->pk[i] && rc == 0)
            rc = packentry_refuse(r, e, "%s belongs to the key of %s, which always travels", t->col[i],
                                  t->name);
        if (named != all || t->pk[i]) {
            pk[ncol] = t->pk[i];
            col[ncol++] = t->col[i];
        }
    }
    d->o.sent = table_new(t->name, ncol, col, pk);
    free(col);
    free(pk);
    packentry_free_words(w, n);
    return rc;
}

static int take_write(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    static const struct {
        const char *word;
        unsigned flag;
    } known[] = {{"yes", WRITE_INSERT | WRITE_UPDATE | WRITE_DELETE},
                 {"no", 0},
                 {"insert", WRITE_INSERT},
                 {"update", WRITE_UPDATE},
                 {"delete", WRITE_DELETE}};
    char **w;
    size_t n = packentry_words(e->value, ',', &w);
    int rc = n ? 0 : packentry_refuse(r, e, "yes, no, or a list of insert, update, delete");
    d->o.write = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t k = 0;
        while (k < 5 && strcasecmp(w[i], known[k].word) != 0)
            k++;
        if (k == 5 || (k < 2 && n > 1))
            rc = packentry_refuse(r, e, "'%s': yes, no, or a list of insert, update, delete", w[i]);
        else
            d->o.write |= known[k].flag;
    }
    packentry_free_words(w, n);
    return rc;
}

/* A rule may stand in a file of the package: visible = @FILE. */
static int take_file(struct reading *r, const struct conf_entry *e, char **sql)
{
    struct buf text = {0};
    const char *name = e->value + 1;
    if (*name == 0 || strchr(name, '/') || name[0] == '.')
        return packentry_refuse(r, e, "'%s' must be a file in the package's directory", name);
    char *path = file_join(r->directory, name);
    int rc = file_load(path, PACKENTRY_FILE_MAX, &text);
    free(path);
    if (rc == 0) {
        sha_add(r->sha, text.p, text.n);
        *sql = buf_take(&text);
    }
    buf_free(&text);
    return rc;
}

/* The rule of [rule NAME], to free; NULL when it is refused. */
static char *named_rule(struct reading *r, const struct conf_entry *e, const char *name)
{
    char *section = mem_printf("rule %s", name), *sql = NULL;
    const struct conf_entry *found = NULL;
    for (size_t i = 0; i < r->conf->n; i++)
        if (strcmp(r->conf->entry[i].section, section) == 0 && strcmp(r->conf->entry[i].name, "select") == 0)
            found = &r->conf->entry[i];
    if (found == NULL)
        packentry_refuse(r, e, "there is no [%s] with `select = SELECT ...`", section);
    else if (found->value[0] == '@') {
        if (take_file(r, found, &sql))
            sql = NULL;
    } else
        sql = mem_text(found->value);
    free(section);
    return sql;
}

/* `rule NAME`, or `rule NAME on column, column`: the rule yields nodes and the values of these columns. */
static int take_named(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    const char *rest = e->value + 4;
    char *word = conf_word(&rest, 0), **w;
    char *on = word ? strstr(word, " on ") : NULL;
    if (on)
        *on = 0;
    const char *list = word ? word : "";
    char *name = conf_word(&list, 0), *sql = name ? named_rule(r, e, name) : NULL;
    size_t n = packentry_words(on ? on + 4 : "", ',', &w), arms = 0;
    struct buf b = {0};
    int rc = sql && check_columns(r, e, d->layout->table, w, n) == 0 ? 0 : -1;
    if (name == NULL)
        rc = packentry_refuse(r, e, "which rule? `visible = rule NAME`, or `rule NAME on column`");
    if (rc == 0 && n) {
        char *why = rule_text_join(&b, &arms, sql, d->layout->table, w, n, NULL, "");
        if (why)
            rc = packentry_refuse(r, e, "rule %s: %s", name, why);
        free(why);
        free(sql);
        sql = buf_take(&b);
    }
    buf_free(&b);
    packentry_free_words(w, n);
    free(name);
    free(word);
    d->o.rule = sql;
    return rc;
}

static int take_visible(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    d->visible = true;
    if (strcasecmp(e->value, "all") == 0)
        d->o.visible = VISIBLE_ALL;
    else if (strcasecmp(e->value, "none") == 0)
        d->o.visible = VISIBLE_NONE;
    else {
        d->o.visible = VISIBLE_SELECT;
        if (e->value[0] == '@')
            return take_file(r, e, &d->o.rule);
        if (strncasecmp(e->value, "rule", 4) == 0 && strchr(" \t\n", e->value[4]))
            return take_named(r, d, e);
        d->o.rule = mem_text(e->value);
    }
    return 0;
}

/* One `column, column -> object`. */
/* Columns of the table, generated ones too. */
static int check_via_columns(const struct reading *r, const struct conf_entry *e, const struct draft *d,
                             struct draft_via *v)
{
    const struct table *t = d->layout->table;
    for (size_t i = 0; i < v->n; i++) {
        int generated =
            table_column(t, v->column[i]) < 0 ? layout_generated(r->db, t->name, v->column[i]) : 0;
        if (generated < 0)
            return -1;
        v->generated |= generated > 0;
        if (!generated && check_columns(r, e, t, &v->column[i], 1))
            return -1;
    }
    return v->n ? 0 : packentry_refuse(r, e, "a column's name is missing");
}

static int take_one_via(struct reading *r, struct draft *d, const struct conf_entry *e, const char *text)
{
    const char *arrow = strstr(text, "->");
    if (arrow == NULL)
        return packentry_refuse(r, e, "expected `via = column -> object`, or several separated by |");
    char *column = mem_printf("%.*s", (int)(arrow - text), text);
    const char *object = arrow + 2;
    d->via = mem_grow(d->via, d->nvia + 1, sizeof *d->via);
    struct draft_via *v = &d->via[d->nvia++];
    *v = (struct draft_via){0};
    v->n = packentry_words(column, ',', &v->column);
    v->object = conf_word(&object, 0);
    if (v->object == NULL)
        v->object = mem_text("");
    free(column);
    return check_via_columns(r, e, d, v);
}

static int take_via(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    char **w;
    size_t n = packentry_words(e->value, '|', &w);
    int rc = n ? 0 : packentry_refuse(r, e, "expected `via = column -> object`");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = take_one_via(r, d, e, w[i]);
    packentry_free_words(w, n);
    return rc;
}

/* Who sees the rows where one object alone says so; more are put together when all objects are known. */
static int settle_view(struct reading *r, struct draft *d)
{
    if (d->nvia == 0 && d->visible)
        return 0;
    if (d->nvia == 0)
        return packentry_refuse(
            r, d->at, "who sees it? `visible = all`, none, a SELECT or a rule, or `via = column -> object`");
    if (d->visible && d->o.visible != VISIBLE_SELECT)
        return packentry_refuse(
            r, d->at, "`visible = all` or none, and `via`: the one leaves the other nothing to say");
    if (d->nvia > 1 || d->visible || d->via->generated)
        return 0;
    struct buf list = {0};
    for (size_t i = 0; i < d->via->n; i++)
        buf_addf(&list, "%s%s", i ? ", " : "", d->via->column[i]);
    d->o.visible = VISIBLE_VIA;
    d->o.via_column = buf_take(&list);
    d->o.via_object = mem_text(d->via->object);
    return 0;
}

int packentry_settle(struct reading *r, struct draft *d)
{
    if (d->cascade && !(d->o.write & WRITE_DELETE))
        return packentry_refuse(r, d->at, "`cascade = yes`, but nodes may not delete: see `write`");
    d->o.write |= d->cascade ? WRITE_CASCADE : 0;
    return settle_view(r, d);
}

/* `newest COLUMN` as object_newest takes it: single spaces, the option behind a comma. */
static int take_newest(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    char **w, **option;
    size_t n = packentry_words(e->value + strlen("newest"), ',', &w);
    size_t m = packentry_words(n == 2 ? w[1] : "", ' ', &option);
    char *text = n == 1   ? mem_printf("newest %s", w[0])
                 : m == 2 ? mem_printf("newest %s, %s %s", w[0], option[0], option[1])
                          : mem_text("");
    int64_t ahead;
    char *column = object_newest(text, &ahead);
    int rc = 0;
    if (column == NULL || n > 2)
        rc = packentry_refuse(r, e, "`newest COLUMN` or `newest COLUMN, ahead SECONDS`");
    else if (table_column(d->layout->table, column) < 0)
        rc = packentry_refuse(r, e, "table %s has no column %s", d->layout->table->name, column);
    free(d->o.conflict);
    d->o.conflict = text;
    free(column);
    packentry_free_words(w, n);
    packentry_free_words(option, m);
    return rc;
}

static int take_conflict(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    const char *v = e->value;
    if (strncasecmp(v, "newest", 6) == 0)
        return take_newest(r, d, e);
    if (strcmp(v, "server") != 0 && strcmp(v, "client") != 0 && strcmp(v, "ask") != 0)
        return packentry_refuse(r, e, "server, client, ask, or newest COLUMN");
    free(d->o.conflict);
    d->o.conflict = mem_text(v);
    return 0;
}

static int take_cascade(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    if (strcmp(e->value, "yes") != 0 && strcmp(e->value, "no") != 0)
        return packentry_refuse(r, e, "yes or no");
    d->cascade = strcmp(e->value, "yes") == 0;
    return 0;
}

/* One of two words. */
static int take_choice(struct reading *r, const struct conf_entry *e, char **out, const char *one,
                       const char *other)
{
    if (strcmp(e->value, one) != 0 && strcmp(e->value, other) != 0)
        return packentry_refuse(r, e, "%s or %s", one, other);
    free(*out);
    *out = mem_text(e->value);
    return 0;
}

/* rekey, issue, or `ranges N`. */
static int take_keys(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    if (strncmp(e->value, "ranges", 6) != 0)
        return take_choice(r, e, &d->o.keys, "rekey", "issue");
    const char *number = e->value + 6 + strspn(e->value + 6, " \t");
    char *end;
    long long n = strtoll(number, &end, 10);
    if (*number < '0' || *number > '9' || *end || n < KEY_RANGE_LEAST || n > KEY_RANGE_MOST)
        return packentry_refuse(r, e, "`ranges N`: N keys for each copy, from %d to %d", KEY_RANGE_LEAST,
                                KEY_RANGE_MOST);
    if (!d->layout->autoincrement)
        return packentry_refuse(
            r, e, "ranges need INTEGER PRIMARY KEY AUTOINCREMENT; without it SQLite hands keys out again");
    free(d->o.keys);
    d->o.keys = mem_printf("ranges %lld", n);
    return 0;
}

/* What adopts a row tells its node the key of the one that is there: one value. */
static int take_duplicates(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    if (strcmp(e->value, "adopt") != 0)
        return strcmp(e->value, "issue") && strcmp(e->value, "keep")
                   ? packentry_refuse(r, e, "issue, keep or adopt")
                   : take_choice(r, e, &d->o.duplicates, "issue", "keep");
    if (d->layout->table->nkey != 1)
        return packentry_refuse(r, e, "adopt needs a key of one column; that of %s has %zu",
                                d->layout->table->name, d->layout->table->nkey);
    if (conf_get(r->conf, e->section, "user_key") == NULL)
        return packentry_refuse(r, e, "adopt needs `user_key`: by which columns do rows mean the same?");
    free(d->o.duplicates);
    d->o.duplicates = mem_text(e->value);
    return 0;
}

/* `a -> object, b -> none`, or `none`. Whether there are such objects is known when all are read. */
static int take_references(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    char **w;
    size_t n = packentry_words(e->value, ',', &w);
    int rc = n ? 0 : packentry_refuse(r, e, "`references = column -> object, ...`, or `none`");
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (strstr(w[i], "->") == NULL && (n > 1 || strcasecmp(w[i], "none") != 0))
            rc = packentry_refuse(r, e, "'%s': `column -> object`, `column -> none`, or `none` alone", w[i]);
    packentry_free_words(w, n);
    if (rc)
        return rc;
    free(d->o.references);
    d->o.references = mem_text(e->value);
    struct object_reference *ref;
    bool closed;
    n = object_references(&d->o, &ref, &closed);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (table_column(d->layout->table, ref[i].column) < 0)
            rc = packentry_refuse(r, e, "table %s has no column %s", d->layout->table->name, ref[i].column);
    object_references_free(ref, n);
    return rc;
}

static int take_guard(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    int64_t rows, percent;
    if (!object_guard(e->value, &rows, &percent) || (rows < 0 && percent < 0))
        return packentry_refuse(r, e, "`guard = rows N`, `percent P`, or `rows N | percent P`");
    free(d->o.guard);
    d->o.guard = mem_text(e->value);
    return 0;
}

static int take_late(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    int64_t days;
    if (*e->value == 0 || !object_late(e->value, &days))
        return packentry_refuse(r, e, "`late = accept`, `refuse`, or a number of days");
    free(d->o.late);
    d->o.late = mem_text(e->value);
    return 0;
}

int packentry_take(struct reading *r, struct draft *d, const struct conf_entry *e)
{
    const char *n = e->name;
    if (strcmp(n, "table") == 0)
        return 0; /* taken first */
    if (strcmp(n, "except") == 0 && strcmp(e->section, "objects *") == 0)
        return 0;
    if (strcmp(n, "visible") == 0)
        return take_visible(r, d, e);
    if (strcmp(n, "via") == 0)
        return take_via(r, d, e);
    if (strcmp(n, "columns") == 0)
        return packentry_columns(r, d, e);
    if (strcmp(n, "write") == 0)
        return take_write(r, d, e);
    if (strcmp(n, "conflict") == 0)
        return take_conflict(r, d, e);
    if (strcmp(n, "keys") == 0)
        return take_keys(r, d, e);
    if (strcmp(n, "deletes") == 0)
        return take_choice(r, e, &d->o.deletes, "win", "lose");
    if (strcmp(n, "duplicates") == 0)
        return take_duplicates(r, d, e);
    if (strcmp(n, "references") == 0)
        return take_references(r, d, e);
    if (strcmp(n, "triggers") == 0)
        return take_choice(r, e, &d->o.triggers, "server", "copy");
    if (strcmp(n, "cascade") == 0)
        return take_cascade(r, d, e);
    if (strcmp(n, "guard") == 0)
        return take_guard(r, d, e);
    if (strcmp(n, "late") == 0)
        return take_late(r, d, e);
    char **text = strcmp(n, "change_key") == 0 ? &d->o.change_key
                  : strcmp(n, "user_key") == 0 ? &d->o.user_key
                  : strcmp(n, "keep") == 0     ? &d->o.keep
                                               : NULL;
    if (text == NULL)
        return packentry_refuse(
            r, e,
            "no such option; there are table, visible, via, columns, write, change_key, user_key, "
            "conflict, keys, deletes, cascade, duplicates, references, triggers, late, guard, keep");
    free(*text);
    *text = mem_text(e->value);
    return text == &d->o.keep ? 0 : check_list(r, e, d->layout->table);
}
