/* diffset: see compare/diffset.h. */
#include "compare/diffset.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/spec.h"

#include <stdlib.h>
#include <string.h>

static const char section_prefix[] = "object ";

/* ---- the configuration ---- */

static bool is_object(const char *section)
{
    return strncmp(section, section_prefix, sizeof section_prefix - 1) == 0;
}

/* Refuses what a comparison of databases knows, and one of archives of keys does not; the rest is for spec to judge. */
static int check_entry(const struct conf *conf, const struct conf_entry *e)
{
    if (strncmp(e->section, "mine ", 5) == 0 || strncmp(e->section, "theirs ", 7) == 0)
        return conf_refuse(conf, e, "archives of keys know no columns of other names; compare the databases");
    if (strcmp(e->name, "filter") == 0 || strcmp(e->name, "keep") == 0)
        return conf_refuse(conf, e, "archives of keys know no filters; compare the databases");
    return 0;
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

/* ---- the set ---- */

/* One alternative of a user key: a layout of the row whose key is that combination. */
static struct table *user_key(const struct table *row, const struct spec_user_key *u)
{
    uint8_t *pk = mem_zero(row->ncol, 1);
    for (size_t i = 0; i < u->n; i++)
        pk[u->column[i]] = (uint8_t)(i + 1);
    struct table *out = table_new(row->name, row->ncol, (const char *const *)row->col, pk);
    free(pk);
    return out;
}

static int fill_object(struct diff_object *o, const struct spec *s)
{
    char **change_key = mem_zero(s->nchange, sizeof *change_key);
    for (size_t i = 0; i < s->nchange; i++)
        change_key[i] = s->row->col[s->change[i]];
    o->row = table_copy(s->row);
    o->by = changekey_new(o->row, s->nchange, change_key);
    free(change_key);
    if (o->by == NULL)
        return -1;
    o->keys = changekey_table(o->by, o->row);
    o->user = mem_zero(s->nuser, sizeof *o->user);
    for (; o->nuser < s->nuser; o->nuser++) {
        if (s->user[o->nuser].n > UINT8_MAX)
            return fail(ERR_REFUSED, "%s: a user key of more than %d columns", s->name, UINT8_MAX);
        o->user[o->nuser] = user_key(o->row, &s->user[o->nuser]);
    }
    return 0;
}

/* The same objects as of a comparison with a database that has the same tables. */
static int fill(struct diff_set *set, struct db *db, const struct conf *conf)
{
    struct described side[SIDES];
    struct specs specs = {0};
    for (size_t i = 0; conf && i < conf->n; i++)
        if (check_entry(conf, &conf->entry[i]))
            return -1;
    int rc = described_of(db, &side[MINE]);
    side[THEIRS] = side[MINE];
    if (rc == 0)
        rc = specs_of(conf, side, &specs);
    if (rc == 0 && conf && specs.nnote)
        rc = fail(ERR_REFUSED, "%s: %s", conf->path, specs.note[0]);
    set->object = mem_zero(specs.n, sizeof *set->object);
    for (size_t i = 0; i < specs.n && rc == 0; i++)
        rc = fill_object(&set->object[set->n++], &specs.spec[i]);
    set->note = specs.note;
    set->nnote = specs.nnote;
    specs.note = NULL;
    specs.nnote = 0;
    specs_free(&specs);
    described_free(&side[MINE]);
    return rc;
}

struct diff_set *diff_set_of(struct db *db, const struct conf *conf)
{
    struct diff_set *s = mem_zero(1, sizeof *s);
    if (fill(s, db, conf) == 0)
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
    for (size_t i = 0; i < s->nnote; i++)
        free(s->note[i]);
    free(s->note);
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
