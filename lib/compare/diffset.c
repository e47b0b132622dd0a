/* diffset: see compare/diffset.h. */
#include "compare/diffset.h"

#include "base/err.h"
#include "base/mem.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char section_prefix[] = "object ";

/* ---- the configuration ---- */

static bool is_object(const char *section)
{
    return strncmp(section, section_prefix, sizeof section_prefix - 1) == 0;
}

static int check_entry(const struct conf *conf, const struct conf_entry *e)
{
    static const char *const known[] = {"table",   "columns",    "change_key", "user_key", "visible",
                                        "via",     "write",      "conflict",   "keep",     "keys",
                                        "deletes", "duplicates", "fields",     "filter"};
    if (strncmp(e->section, "mine ", 5) == 0 || strncmp(e->section, "theirs ", 7) == 0)
        return conf_refuse(conf, e, "archives of keys know no columns of other names; compare the databases");
    if (strcmp(e->name, "filter") == 0 || strcmp(e->name, "keep") == 0)
        return conf_refuse(conf, e, "archives of keys know no filters; compare the databases");
    if (!is_object(e->section))
        return strcmp(e->section, "package") == 0 ? 0 : conf_refuse(conf, e, "not a section of an object");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], e->name) == 0)
            return 0;
    return conf_refuse(conf, e, "no such setting");
}

/* Whether section i is an object that is to be compared. */
static bool begins_object(const struct conf *conf, size_t i)
{
    const char *section = conf->section[i];
    if (!is_object(section))
        return false;
    const char *visible = conf_get(conf, section, "visible");
    return visible == NULL || strcmp(visible, "none") != 0;
}

static const char *table_of(const struct conf *conf, const char *section)
{
    const char *table = conf_get(conf, section, "table");
    return table ? table : section + sizeof section_prefix - 1;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **diff_set_names(const struct conf *conf, size_t *n)
{
    char **names = mem_zero(conf->nsection, sizeof *names);
    *n = 0;
    for (size_t i = 0; i < conf->nsection; i++)
        if (begins_object(conf, i))
            names[(*n)++] = mem_text(table_of(conf, conf->section[i]));
    qsort(names, *n, sizeof *names, by_text);
    return names;
}

/* A list of words as an array; the caller frees each and the array. */
static char **words(const char *list, char separator, size_t *n)
{
    char **out = NULL, *word;
    *n = 0;
    while (list && (word = conf_word(&list, separator))) {
        out = mem_grow(out, *n + 1, sizeof *out);
        out[(*n)++] = word;
    }
    return out;
}

static void free_words(char **word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(word[i]);
    free(word);
}

/* ---- columns ---- */

static int mark_columns(const struct table *t, const char *list, bool value, bool *keep)
{
    size_t n;
    char **name = words(list, ',', &n);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        int c = table_column(t, name[i]);
        if (c < 0)
            rc = fail(ERR_REFUSED, "table %s has no column %s", t->name, name[i]);
        else if (!value && t->pk[c])
            rc = fail(ERR_REFUSED, "column %s is in the key of %s, it cannot be left out", name[i], t->name);
        else
            keep[c] = value;
    }
    free_words(name, n);
    return rc;
}

/* The columns kept, with the key. */
static struct table *subset(const struct table *t, const bool *keep)
{
    const char **col = mem_zero(t->ncol, sizeof *col);
    uint8_t *pk = mem_zero(t->ncol, 1);
    size_t n = 0;
    for (size_t i = 0; i < t->ncol; i++)
        if (keep[i] || t->pk[i]) {
            pk[n] = t->pk[i];
            col[n++] = t->col[i];
        }
    struct table *out = table_new(t->name, n, col, pk);
    free(col);
    free(pk);
    return out;
}

static struct table *choose_columns(const struct table *t, const char *columns)
{
    static const char all[] = "*", except[] = "except";
    const char *rest = columns ? columns : all;
    bool star = *rest == '*';
    bool *keep = mem_zero(t->ncol, sizeof *keep);
    for (size_t i = 0; i < t->ncol; i++)
        keep[i] = star;
    int rc = 0;
    if (!star)
        rc = mark_columns(t, rest, true, keep);
    else {
        rest += 1 + strspn(rest + 1, " \t\n");
        if (strncmp(rest, except, sizeof except - 1) == 0)
            rc = mark_columns(t, rest + sizeof except - 1, false, keep);
        else if (*rest)
            rc = fail(ERR_REFUSED, "columns: '* except COLUMN, ...' or a list, not '%s'", columns);
    }
    struct table *out = rc ? NULL : subset(t, keep);
    free(keep);
    return out;
}

/* One alternative of a user key: a layout of the row whose key is that combination. */
static struct table *user_key(const struct table *row, const char *columns)
{
    size_t n;
    char **name = words(columns, ',', &n);
    uint8_t *pk = mem_zero(row->ncol, 1);
    struct table *out = NULL;
    int rc = n && n < 256 ? 0 : fail(ERR_REFUSED, "%s: an empty alternative in user_key", row->name);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int c = table_column(row, name[i]);
        if (c < 0)
            rc = fail(ERR_REFUSED, "%s: no column %s for the user key", row->name, name[i]);
        else
            pk[c] = (uint8_t)(i + 1);
    }
    if (rc == 0)
        out = table_new(row->name, row->ncol, (const char *const *)row->col, pk);
    free(pk);
    free_words(name, n);
    return out;
}

static int add_user_keys(struct diff_object *o, const char *alternatives)
{
    size_t n;
    char **alternative = words(alternatives, '|', &n);
    o->user = mem_zero(n, sizeof *o->user);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        o->user[i] = user_key(o->row, alternative[i]);
        rc = o->user[i] ? 0 : -1;
        o->nuser += rc == 0;
    }
    free_words(alternative, n);
    return rc;
}

/* ---- the set ---- */

static int fill_object(struct diff_object *o, const struct table *t, const struct conf *conf,
                       const char *section)
{
    size_t n;
    char **change_key = words(conf ? conf_get(conf, section, "change_key") : NULL, ',', &n);
    o->row = choose_columns(t, conf ? conf_get(conf, section, "columns") : NULL);
    o->by = o->row ? changekey_new(o->row, n, change_key) : NULL;
    free_words(change_key, n);
    if (o->by == NULL)
        return -1;
    o->keys = changekey_table(o->by, o->row);
    const char *user = conf ? conf_get(conf, section, "user_key") : NULL;
    return user ? add_user_keys(o, user) : 0;
}

static int add_object(struct diff_set *s, struct db *db, const char *table, const struct conf *conf,
                      const char *section)
{
    struct layout *l = layout_of(db, table);
    if (l == NULL)
        return conf ? fail_in("%s: [%s]", conf->path, section) : -1;
    s->object = mem_grow(s->object, s->n + 1, sizeof *s->object);
    s->object[s->n] = (struct diff_object){0};
    int rc = fill_object(&s->object[s->n++], l->table, conf, section);
    layout_free(l);
    return rc && conf ? fail_in("%s: [%s]", conf->path, section) : rc;
}

struct every {
    struct diff_set *set;
    struct db *db;
};

static int add_table(void *ctx, const char *table, bool has_key)
{
    struct every *e = ctx;
    return has_key ? add_object(e->set, e->db, table, NULL, NULL) : 0;
}

static int add_configured(struct diff_set *s, struct db *db, const struct conf *conf)
{
    for (size_t i = 0; i < conf->n; i++)
        if (check_entry(conf, &conf->entry[i]))
            return -1;
    for (size_t i = 0; i < conf->nsection; i++) {
        const char *section = conf->section[i];
        if (begins_object(conf, i) && add_object(s, db, table_of(conf, section), conf, section))
            return -1;
    }
    return s->n ? 0 : fail(ERR_REFUSED, "%s: no [object NAME] to compare", conf->path);
}

static int by_table(const void *a, const void *b)
{
    return strcmp(((const struct diff_object *)a)->row->name, ((const struct diff_object *)b)->row->name);
}

static int check_once(const struct diff_set *s, const struct conf *conf)
{
    for (size_t i = 1; i < s->n; i++)
        if (strcasecmp(s->object[i - 1].row->name, s->object[i].row->name) == 0)
            return fail(ERR_REFUSED, "%s: table %s is in two objects", conf ? conf->path : "",
                        s->object[i].row->name);
    return 0;
}

struct diff_set *diff_set_of(struct db *db, const struct conf *conf)
{
    struct diff_set *s = mem_zero(1, sizeof *s);
    struct every every = {s, db};
    int rc = conf ? add_configured(s, db, conf) : layout_each(db, add_table, &every);
    if (rc == 0) {
        if (s->n)
            qsort(s->object, s->n, sizeof *s->object, by_table);
        rc = check_once(s, conf);
    }
    if (rc == 0)
        return s;
    diff_set_free(s);
    return NULL;
}

void diff_set_free(struct diff_set *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct diff_object *o = &s->object[i];
        changekey_free(o->by);
        for (size_t u = 0; u < o->nuser; u++)
            table_free(o->user[u]);
        free(o->user);
        table_free(o->keys);
        table_free(o->row);
    }
    free(s->object);
    free(s);
}

const struct diff_object *diff_set_object(const struct diff_set *s, const char *table)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->object[i].row->name, table) == 0)
            return &s->object[i];
    return NULL;
}

void diff_object_select(const struct diff_object *o, struct buf *sql)
{
    buf_puts(sql, "SELECT ");
    layout_columns(sql, o->row, "");
    buf_puts(sql, " FROM ");
    buf_name(sql, o->row->name);
}
