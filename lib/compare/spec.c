/* spec: see compare/spec.h. */
#include "compare/spec.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/sha.h"
#include "compare/pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const section_of[SIDES] = {"mine ", "theirs "};
static const char *const side_name[SIDES] = {"mine", "theirs"}, *const in_side[SIDES] = {" in mine",
                                                                                         " in theirs"};

/* An object while it is put together. */
struct making {
    const struct conf *conf; /* NULL: a table of both */
    const char *section;     /* "object NAME" */
    const char *name;
    const struct described *side;
    const struct described_table *t[SIDES];
    struct specs *out;
    struct spec *s;
    bool skip; /* noted, not compared */
};

static void add_line(char ***list, size_t *n, char *line)
{
    *list = mem_grow(*list, *n + 1, sizeof **list);
    (*list)[(*n)++] = line;
}

static void note(struct specs *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct specs *s, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    add_line(&s->note, &s->nnote, mem_text(line));
}

/* ---- the configuration ---- */

static const char *setting(const struct making *m, const char *name)
{
    return m->conf ? conf_get(m->conf, m->section, name) : NULL;
}

static const struct conf_entry *entry_of(const struct conf *conf, const char *section, const char *name)
{
    const struct conf_entry *found = NULL;
    for (size_t i = 0; i < conf->n; i++)
        if (strcmp(conf->entry[i].section, section) == 0 && strcmp(conf->entry[i].name, name) == 0)
            found = &conf->entry[i];
    return found;
}

/* Refuses a setting, with its line. */
static int refuse(const struct making *m, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(const struct making *m, const char *name, const char *fmt, ...)
{
    char why[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    const struct conf_entry *e = m->conf ? entry_of(m->conf, m->section, name) : NULL;
    return e ? conf_refuse(m->conf, e, why) : fail(ERR_REFUSED, "%s: %s", m->name, why);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int check_entry(const struct conf *conf, const struct conf_entry *e)
{
    static const char *const known[] = {"table",   "columns",    "change_key", "user_key", "visible",
                                        "via",     "write",      "conflict",   "keep",     "keys",
                                        "deletes", "duplicates", "fields",     "filter"};
    if (begins(e->section, section_of[MINE]) || begins(e->section, section_of[THEIRS]))
        return 0; /* columns have any name; table_side() checks them */
    if (!begins(e->section, "object "))
        return strcmp(e->section, "package") == 0 ? 0 : conf_refuse(conf, e, "not a section of an object");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], e->name) == 0)
            return 0;
    return conf_refuse(conf, e, "no such setting");
}

static char **words(const char *list, char separator, size_t *n)
{
    char **out = NULL, *word;
    *n = 0;
    while (list && (word = conf_word(&list, separator)))
        add_line(&out, n, word);
    return out;
}

static void free_words(char **word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(word[i]);
    free(word);
}

/* ---- columns ---- */

/* The section of this object for one side, to free. */
static char *side_section(const struct making *m, int side)
{
    return mem_printf("%s%s", section_of[side], m->name);
}

/* What the configuration says that canonical column is on a side: a name or a literal; NULL when it says nothing. */
static const char *mapped(const struct making *m, int side, const char *column)
{
    char *section = side_section(m, side);
    const char *value = NULL;
    for (size_t i = 0; m->conf && i < m->conf->n; i++)
        if (strcmp(m->conf->entry[i].section, section) == 0 &&
            strcasecmp(m->conf->entry[i].name, column) == 0)
            value = m->conf->entry[i].value;
    free(section);
    return value;
}

static bool is_literal(const char *s)
{
    return *s == '\'' || (*s >= '0' && *s <= '9') || *s == '-' || strcasecmp(s, "NULL") == 0;
}

/* Whether a literal is one: a number, or a text in single quotes that ends where it should. */
static bool sound_literal(const char *s)
{
    if (*s != '\'') {
        char *end;
        strtod(s, &end);
        return strcasecmp(s, "NULL") == 0 || (end != s && *end == 0);
    }
    for (s++; *s; s++) {
        if (*s != '\'')
            continue;
        s++; /* two quotes are one within; a single one ends it */
        if (*s != '\'')
            return *s == 0;
    }
    return false;
}

/* The canonical name of a column of that side: the one it is mapped from, or its own. */
static const char *canonical(const struct making *m, int side, const char *column)
{
    char *section = side_section(m, side);
    const char *name = column;
    for (size_t i = 0; m->conf && i < m->conf->n; i++) {
        const struct conf_entry *e = &m->conf->entry[i];
        if (strcmp(e->section, section) == 0 && strcmp(e->name, "table") != 0 &&
            strcmp(e->name, "filter") != 0 && !is_literal(e->value) && strcasecmp(e->value, column) == 0)
            name = e->name;
    }
    free(section);
    return name;
}

struct column {
    const char *name; /* canonical */
    uint8_t pk;
    bool keep;
};

/* All canonical columns that a side has, with those that are fixed there; the caller frees the array. */
static struct column *columns_of(const struct making *m, int side, size_t *n)
{
    const struct table *t = m->t[side]->table;
    char *section = side_section(m, side);
    struct column *c = mem_zero(t->ncol + (m->conf ? m->conf->n : 0) + 1, sizeof *c);
    *n = 0;
    for (size_t i = 0; i < t->ncol; i++)
        c[(*n)++] = (struct column){canonical(m, side, t->col[i]), t->pk[i], true};
    for (size_t i = 0; m->conf && i < m->conf->n; i++) {
        const struct conf_entry *e = &m->conf->entry[i];
        if (strcmp(e->section, section) == 0 && strcmp(e->name, "table") != 0 &&
            strcmp(e->name, "filter") != 0 && is_literal(e->value))
            c[(*n)++] = (struct column){e->name, 0, true};
    }
    free(section);
    return c;
}

static struct column *find_column(struct column *c, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(c[i].name, name) == 0)
            return &c[i];
    return NULL;
}

static int keep_named(const struct making *m, struct column *c, size_t n, const char *list, bool keep)
{
    size_t count;
    char **name = words(list, ',', &count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct column *found = find_column(c, n, name[i]);
        if (found == NULL)
            rc = refuse(m, "columns", "table %s has no column %s", m->t[MINE]->name, name[i]);
        else if (!keep && found->pk)
            rc = refuse(m, "columns", "column %s is in the key, it cannot be left out", name[i]);
        else
            found->keep = keep;
    }
    free_words(name, count);
    return rc;
}

/* Marks what `columns =` chooses. *listed: they are named one by one, and what else a side has does not matter. */
static int choose(const struct making *m, struct column *c, size_t n, bool *listed)
{
    const char *columns = setting(m, "columns");
    *listed = columns && *columns != '*';
    if (columns == NULL)
        return 0;
    if (*listed) {
        for (size_t i = 0; i < n; i++)
            c[i].keep = c[i].pk != 0;
        return keep_named(m, c, n, columns, true);
    }
    columns += 1 + strspn(columns + 1, " \t\n");
    if (begins(columns, "except"))
        return keep_named(m, c, n, columns + strlen("except"), false);
    return *columns ? refuse(m, "columns", "'* except COLUMN, ...' or a list is wanted") : 0;
}

static void sort_columns(struct spec *s)
{
    s->sorted = mem_zero(s->row->ncol, sizeof *s->sorted);
    for (size_t i = 0; i < s->row->ncol; i++) {
        size_t at = i;
        for (; at > 0 && strcmp(s->row->col[s->sorted[at - 1]], s->row->col[i]) > 0; at--)
            s->sorted[at] = s->sorted[at - 1];
        s->sorted[at] = i;
    }
}

static void set_row(struct making *m, const struct column *c, size_t n)
{
    const char **col = mem_zero(n, sizeof *col);
    uint8_t *pk = mem_zero(n, 1);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].keep) {
            pk[kept] = c[i].pk;
            col[kept++] = c[i].name;
        }
    m->s->row = table_new(m->t[MINE]->name, kept, col, pk);
    sort_columns(m->s);
    free(col);
    free(pk);
}

/* ---- one side ---- */

static int set_side_column(struct making *m, int side, size_t i)
{
    struct spec_side *at = &m->s->at[side];
    const struct table *t = m->t[side]->table, *row = m->s->row;
    const char *value = mapped(m, side, row->col[i]);
    if (value && is_literal(value)) {
        if (!sound_literal(value) || row->pk[i])
            return fail(ERR_REFUSED, "%s: [%s%s] %s = %s: %s", m->conf->path, section_of[side], m->name,
                        row->col[i], value,
                        row->pk[i] ? "a column of the key cannot be fixed" : "no number and no 'text'");
        at->fixed[i] = mem_text(value);
        return 0;
    }
    int c = table_column(t, value ? value : row->col[i]);
    if (c < 0 && value)
        return fail(ERR_REFUSED, "%s: [%s%s] %s: table %s of %s has no column %s", m->conf->path,
                    section_of[side], m->name, row->col[i], t->name, side_name[side], value);
    if (c >= 0)
        at->column[i] = mem_text(t->col[c]);
    return 0;
}

static int set_side(struct making *m, int side)
{
    struct spec_side *at = &m->s->at[side];
    const struct table *row = m->s->row;
    char *section = side_section(m, side);
    const char *filter = m->conf ? conf_get(m->conf, section, "filter") : NULL;
    const char *both = setting(m, "filter"), *keep = setting(m, "keep");
    struct buf all = {0};
    const char *part[] = {filter, both, keep};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i] && *part[i])
            buf_addf(&all, "%s(%s)", all.n ? " AND " : "", part[i]);
    free(section);
    at->table = mem_text(m->t[side]->name);
    at->filter = buf_take(&all);
    at->column = mem_zero(row->ncol, sizeof *at->column);
    at->fixed = mem_zero(row->ncol, sizeof *at->fixed);
    for (size_t i = 0; i < row->ncol; i++)
        if (set_side_column(m, side, i))
            return -1;
    return 0;
}

/* What of the other side's table does not fit. Columns that are listed must be there; otherwise both must have the same. */
static void check_theirs(struct making *m, bool listed)
{
    const struct spec_side *at = &m->s->at[THEIRS];
    const struct table *row = m->s->row;
    size_t n;
    struct column *theirs = columns_of(m, THEIRS, &n);
    struct buf lacking = {0}, extra = {0};
    const char *except = setting(m, "columns");
    for (size_t i = 0; i < row->ncol; i++)
        if (at->column[i] == NULL && at->fixed[i] == NULL)
            buf_addf(&lacking, "%s%s", lacking.n ? ", " : "", row->col[i]);
    for (size_t i = 0; i < n && !listed && except == NULL; i++)
        if (table_column(row, theirs[i].name) < 0)
            buf_addf(&extra, "%s%s", extra.n ? ", " : "", theirs[i].name);
    if (lacking.n || extra.n) {
        note(m->out, "%s: not compared: %s%s%s%s%s; name the columns to compare (columns =, [theirs %s])",
             m->name, lacking.n ? "theirs has no column " : "", lacking.n ? buf_text(&lacking) : "",
             lacking.n && extra.n ? ", and " : "", extra.n ? "mine has no column " : "",
             extra.n ? buf_text(&extra) : "", m->name);
        m->skip = true;
    }
    buf_free(&lacking);
    buf_free(&extra);
    free(theirs);
}

/* Whether a value keeps its type in both: key columns must. */
static bool alike(enum affinity a, enum affinity b)
{
    bool number_a = a == AFFINITY_INTEGER || a == AFFINITY_NUMERIC;
    bool number_b = b == AFFINITY_INTEGER || b == AFFINITY_NUMERIC;
    return a == b || (number_a && number_b);
}

static void check_keys(struct making *m)
{
    const struct table *row = m->s->row;
    if (m->skip)
        return;
    size_t nkey = m->t[THEIRS]->table->nkey;
    for (size_t i = 0; i < row->ncol && !m->skip; i++) {
        int mine = row->pk[i] ? table_column(m->t[MINE]->table, m->s->at[MINE].column[i]) : -1;
        int theirs = row->pk[i] ? table_column(m->t[THEIRS]->table, m->s->at[THEIRS].column[i]) : -1;
        if (mine < 0 || theirs < 0)
            continue;
        if (!m->t[THEIRS]->table->pk[theirs] || nkey != row->nkey) {
            note(m->out, "%s: not compared: theirs has another key", m->name);
            m->skip = true;
        } else if (!alike(m->t[MINE]->affinity[mine], m->t[THEIRS]->affinity[theirs])) {
            note(m->out,
                 "%s: not compared: column %s of the key stores its values as another type in theirs than in "
                 "mine; declare both alike",
                 m->name, row->col[i]);
            m->skip = true;
        }
    }
}

/* ---- settings ---- */

static int set_change_key(struct making *m)
{
    struct spec *s = m->s;
    size_t n;
    char **name = words(setting(m, "change_key"), ',', &n);
    s->change = mem_zero(n, sizeof *s->change);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        int c = table_column(s->row, name[i]);
        if (c < 0)
            rc = refuse(m, "change_key", "no column %s for the change key", name[i]);
        else if (s->row->pk[c])
            rc = refuse(m, "change_key", "%s is part of the key, it cannot be the change key", name[i]);
        else
            s->change[s->nchange++] = (size_t)c;
    }
    free_words(name, n);
    return rc;
}

static int set_user_key(struct making *m, const char *columns)
{
    struct spec *s = m->s;
    size_t n;
    char **name = words(columns, ',', &n);
    s->user = mem_grow(s->user, s->nuser + 1, sizeof *s->user);
    struct spec_user_key *u = &s->user[s->nuser++];
    *u = (struct spec_user_key){.column = mem_zero(n, sizeof *u->column)};
    int rc = n ? 0 : refuse(m, "user_key", "an empty alternative");
    for (size_t i = 0; i < n && rc == 0; i++) {
        int c = table_column(s->row, name[i]);
        if (c < 0)
            rc = refuse(m, "user_key", "no column %s for the user key", name[i]);
        else
            u->column[u->n++] = (size_t)c;
    }
    free_words(name, n);
    return rc;
}

static int set_user_keys(struct making *m)
{
    size_t n;
    char **alternative = words(setting(m, "user_key"), '|', &n);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = set_user_key(m, alternative[i]);
    free_words(alternative, n);
    return rc;
}

/* The number of the word that the setting is, 0 where it is not set, -1 when it is none of them. */
static int choice(struct making *m, const char *name, const char *const *word, size_t n)
{
    const char *value = setting(m, name);
    struct buf all = {0};
    if (value == NULL)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(value, word[i]) == 0)
            return (int)i;
    for (size_t i = 0; i < n; i++)
        buf_addf(&all, "%s%s", i ? ", " : "", word[i]);
    int rc = refuse(m, name, "'%s' is none of: %s", value, buf_text(&all));
    buf_free(&all);
    return rc;
}

static int set_conflict(struct making *m)
{
    static const char newest[] = "newest ";
    const char *value = setting(m, "conflict");
    struct spec *s = m->s;
    if (value == NULL || strcmp(value, "ask") == 0)
        s->take = TAKE_ASK;
    else if (strcmp(value, "mine") == 0 || strcmp(value, "client") == 0)
        s->take = TAKE_MINE;
    else if (strcmp(value, "theirs") == 0 || strcmp(value, "server") == 0)
        s->take = TAKE_THEIRS;
    else if (begins(value, newest)) {
        int c = table_column(s->row, value + strlen(newest));
        if (c < 0)
            return refuse(m, "conflict", "no column %s", value + strlen(newest));
        s->take = TAKE_NEWEST;
        s->newest = (size_t)c;
    } else
        return refuse(m, "conflict", "'%s' is none of: mine, theirs, newest COLUMN, ask (client, server)",
                      value);
    return 0;
}

static int set_write(struct making *m)
{
    static const struct {
        const char *word;
        unsigned flags;
    } known[] = {{"yes", SPEC_INSERT | SPEC_UPDATE | SPEC_DELETE},
                 {"no", 0},
                 {"insert", SPEC_INSERT},
                 {"update", SPEC_UPDATE},
                 {"delete", SPEC_DELETE}};
    const char *value = setting(m, "write");
    size_t n;
    char **word = words(value ? value : "yes", ',', &n);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        size_t k = 0;
        while (k < sizeof known / sizeof *known && strcmp(known[k].word, word[i]) != 0)
            k++;
        if (k == sizeof known / sizeof *known)
            rc = refuse(m, "write", "'%s' is none of: yes, no, insert, update, delete", word[i]);
        else
            m->s->write |= known[k].flags;
    }
    free_words(word, n);
    return rc;
}

static int set_policies(struct making *m)
{
    static const char *const deletes[] = {"ask", "win", "lose"}, *const duplicates[] = {"issue", "keep"},
                             *const fields[] = {"all", "changed"}, *const keys[] = {"issue", "rekey"};
    struct spec *s = m->s;
    int d = choice(m, "deletes", deletes, 3), u = choice(m, "duplicates", duplicates, 2),
        f = choice(m, "fields", fields, 2), k = choice(m, "keys", keys, 2);
    if (d < 0 || u < 0 || f < 0 || k < 0 || set_conflict(m) || set_write(m))
        return -1;
    s->deletes = (enum delete_policy)d;
    s->keep_duplicates = u;
    s->by_column = f;
    s->rekey = k;
    if (k && !(m->t[MINE]->rowid_key && m->t[THEIRS]->rowid_key))
        return refuse(m, "keys", "rekey is for an INTEGER PRIMARY KEY on both sides");
    return 0;
}

/* ---- references ---- */

static void add_ref(struct specs *all, struct spec *s, const char *column, const struct spec *parent)
{
    int c = table_column(s->row, column);
    if (c < 0 || parent == NULL || parent->row->nkey != 1)
        return;
    for (size_t i = 0; i < s->nref; i++)
        if (s->ref[i].column == (size_t)c)
            return;
    s->ref = mem_grow(s->ref, s->nref + 1, sizeof *s->ref);
    s->ref[s->nref++] = (struct spec_ref){(size_t)c, (size_t)(parent - all->spec)};
}

/* Declared foreign keys of mine to another's key, and `via`. */
static int set_refs(struct specs *all, const struct conf *conf, const struct described side[SIDES])
{
    for (size_t i = 0; i < all->n; i++) {
        struct spec *s = &all->spec[i];
        const struct described_table *t = described_find(&side[MINE], s->at[MINE].table);
        char *section = mem_printf("object %s", s->name);
        const char *via = conf ? conf_get(conf, section, "via") : NULL;
        free(section);
        for (size_t k = 0; t && k < t->nref; k++) {
            const struct spec *parent = specs_find(all, t->ref[k].parent);
            const char *to = t->ref[k].parent_column;
            if (parent && parent->row->nkey == 1 &&
                (*to == 0 || strcasecmp(to, parent->row->col[parent->row->key[0]]) == 0))
                add_ref(all, s, t->ref[k].column, parent);
        }
        const char *arrow = via ? strstr(via, "->") : NULL;
        if (via && *via && arrow == NULL)
            return fail(ERR_REFUSED, "%s: [object %s] via: COLUMN -> OBJECT is wanted", conf->path, s->name);
        if (arrow) {
            char *column = strndup(via, (size_t)(arrow - via));
            column[strcspn(column, " \t\n")] = 0;
            add_ref(all, s, column, specs_find(all, arrow + 2 + strspn(arrow + 2, " \t\n")));
            free(column);
        }
    }
    return 0;
}

/* ---- one object ---- */

static int make_columns(struct making *m)
{
    size_t n;
    bool listed;
    struct column *c = columns_of(m, MINE, &n);
    int rc = choose(m, c, n, &listed);
    if (rc == 0) {
        set_row(m, c, n);
        rc = set_side(m, MINE) || set_side(m, THEIRS) ? -1 : 0;
    }
    free(c);
    if (rc)
        return -1;
    check_theirs(m, listed);
    check_keys(m);
    return 0;
}

static void free_spec(struct spec *s)
{
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; s->row && i < s->row->ncol; i++) {
            if (s->at[side].column)
                free(s->at[side].column[i]);
            if (s->at[side].fixed)
                free(s->at[side].fixed[i]);
        }
        free(s->at[side].column);
        free(s->at[side].fixed);
        free(s->at[side].table);
        free(s->at[side].filter);
    }
    for (size_t i = 0; i < s->nuser; i++)
        free(s->user[i].column);
    free(s->user);
    free(s->change);
    free(s->sorted);
    free(s->ref);
    free(s->name);
    table_free(s->row);
    *s = (struct spec){0};
}

/* Adds the object of these two tables, or notes why not. */
static int make(struct making *m)
{
    m->out->spec = mem_grow(m->out->spec, m->out->n + 1, sizeof *m->out->spec);
    m->s = &m->out->spec[m->out->n++];
    *m->s = (struct spec){.name = mem_text(m->name)};
    if (make_columns(m) || (!m->skip && (set_change_key(m) || set_user_keys(m) || set_policies(m))))
        return -1;
    if (m->skip)
        free_spec(&m->out->spec[--m->out->n]);
    return 0;
}

/* Whether the table can be compared; else says why it cannot. */
static bool usable(struct making *m, const char *const table[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        const struct described_table *t = m->t[side], *other = m->t[!side];
        const char *where = t && other && t->kind == other->kind ? "" : in_side[side];
        if (t == NULL)
            note(m->out, "%s: not compared: only %s has a table %s", m->name, side_name[!side], table[!side]);
        else if (t->kind == DESCRIBED_NO_KEY)
            note(m->out, "%s: not compared: it has no primary key%s; give it one", m->name, where);
        else if (t->kind == DESCRIBED_VIRTUAL)
            note(m->out, "%s: not compared: a virtual table%s; its content comes from others", m->name,
                 where);
        else if (t->kind == DESCRIBED_UNFIT)
            note(m->out, "%s: not compared: %s", m->name, t->reason);
        else if (t->kind == DESCRIBED_RESERVED)
            note(m->out, "%s: not compared: names that begin with dx_ are the toolkit's; rename it%s",
                 m->name, where);
        else
            continue;
        return false;
    }
    return true;
}

static int make_configured(const struct conf *conf, const char *section, const struct described side[SIDES],
                           struct specs *out)
{
    struct making m = {
        .conf = conf, .section = section, .name = section + strlen("object "), .side = side, .out = out};
    const char *visible = setting(&m, "visible"), *table[SIDES];
    if (visible && strcmp(visible, "none") == 0)
        return 0;
    for (int s = 0; s < SIDES; s++) {
        char *own = side_section(&m, s);
        const char *named = conf_get(conf, own, "table"), *general = setting(&m, "table");
        free(own);
        table[s] = named ? named : general ? general : m.name;
        m.t[s] = described_find(&side[s], table[s]);
    }
    if (m.t[MINE] == NULL && m.t[THEIRS] == NULL)
        return fail(ERR_REFUSED, "%s: [%s] no such table: %s", conf->path, section, table[MINE]);
    return usable(&m, table) ? make(&m) : 0;
}

static int make_all(const struct described side[SIDES], struct specs *out)
{
    for (int s = 0; s < SIDES; s++)
        for (size_t i = 0; i < side[s].n; i++) {
            const struct described_table *here = &side[s].table[i],
                                         *there = described_find(&side[!s], here->name);
            const char *const table[SIDES] = {here->name, here->name};
            struct making m = {.name = here->name, .side = side, .out = out};
            m.t[s] = here;
            m.t[!s] = there;
            if (s == THEIRS && there)
                continue;
            if (usable(&m, table) && make(&m))
                return -1;
        }
    return 0;
}

static int by_table(const void *a, const void *b)
{
    return strcmp(((const struct spec *)a)->row->name, ((const struct spec *)b)->row->name);
}

static int check_once(const struct specs *s, const struct conf *conf)
{
    for (size_t i = 1; conf && i < s->n; i++)
        for (size_t k = 0; k < i; k++)
            for (int side = 0; side < SIDES; side++)
                if (strcasecmp(s->spec[i].at[side].table, s->spec[k].at[side].table) == 0)
                    return fail(ERR_REFUSED, "%s: table %s is in two objects", conf->path,
                                s->spec[i].at[side].table);
    return 0;
}

static int check_side_sections(const struct conf *conf)
{
    for (size_t i = 0; i < conf->nsection; i++)
        for (int side = 0; side < SIDES; side++)
            if (begins(conf->section[i], section_of[side])) {
                char *object = mem_printf("object %s", conf->section[i] + strlen(section_of[side]));
                bool found = false;
                for (size_t k = 0; k < conf->nsection; k++)
                    found |= strcmp(conf->section[k], object) == 0;
                free(object);
                if (!found)
                    return fail(ERR_REFUSED, "%s: [%s] is of no object: there is no [object %s]", conf->path,
                                conf->section[i], conf->section[i] + strlen(section_of[side]));
            }
    return 0;
}

static int make_from(const struct conf *conf, const struct described side[SIDES], struct specs *out)
{
    size_t objects = 0;
    for (size_t i = 0; i < conf->n; i++)
        if (check_entry(conf, &conf->entry[i]))
            return -1;
    if (check_side_sections(conf))
        return -1;
    for (size_t i = 0; i < conf->nsection; i++)
        if (begins(conf->section[i], "object ")) {
            objects++;
            if (make_configured(conf, conf->section[i], side, out))
                return fail_in("%s: [%s]", conf->path, conf->section[i]);
        }
    return objects ? 0 : fail(ERR_REFUSED, "%s: no [object NAME] to compare", conf->path);
}

int specs_of(const struct conf *conf, const struct described side[SIDES], struct specs *out)
{
    *out = (struct specs){0};
    if (conf ? make_from(conf, side, out) : make_all(side, out))
        return -1;
    if (out->n)
        qsort(out->spec, out->n, sizeof *out->spec, by_table);
    return check_once(out, conf) ? -1 : set_refs(out, conf, side);
}

void specs_free(struct specs *s)
{
    for (size_t i = 0; i < s->n; i++)
        free_spec(&s->spec[i]);
    free(s->spec);
    free_words(s->note, s->nnote);
    free_words(s->warning, s->nwarning);
    *s = (struct specs){0};
}

const struct spec *specs_find(const struct specs *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcasecmp(s->spec[i].name, name) == 0)
            return &s->spec[i];
    for (size_t i = 0; i < s->n; i++)
        if (strcasecmp(s->spec[i].row->name, name) == 0)
            return &s->spec[i];
    return NULL;
}

/* ---- as bytes ---- */

static void put_spec(struct buf *b, const struct spec *s, int side)
{
    const struct spec_side *at = &s->at[side];
    pack_text(b, s->name);
    pack_table(b, s->row);
    pack_text(b, at->table);
    pack_text(b, at->filter);
    for (size_t i = 0; i < s->row->ncol; i++) {
        pack_text(b, at->column[i]);
        pack_text(b, at->fixed[i]);
    }
    pack_int(b, (int64_t)s->nchange);
    for (size_t i = 0; i < s->nchange; i++)
        pack_int(b, (int64_t)s->change[i]);
    pack_int(b, (int64_t)s->nuser);
    for (size_t i = 0; i < s->nuser; i++) {
        pack_int(b, (int64_t)s->user[i].n);
        for (size_t k = 0; k < s->user[i].n; k++)
            pack_int(b, (int64_t)s->user[i].column[k]);
    }
    pack_int(b, s->keep_duplicates);
    pack_int(b, s->by_column);
    pack_int(b, (int64_t)s->nref);
    for (size_t i = 0; i < s->nref; i++) {
        pack_int(b, (int64_t)s->ref[i].column);
        pack_int(b, (int64_t)s->ref[i].parent);
    }
}

void specs_put(struct buf *b, const struct specs *s, int side)
{
    pack_int(b, (int64_t)s->n);
    for (size_t i = 0; i < s->n; i++)
        put_spec(b, &s->spec[i], side);
}

/* What decides which rows there are and what a version of one is made of. */
static void put_shape(struct buf *b, const struct spec *s)
{
    pack_text(b, s->name);
    pack_table(b, s->row);
    for (int side = 0; side < SIDES; side++) {
        pack_text(b, s->at[side].table);
        pack_text(b, s->at[side].filter);
        for (size_t i = 0; i < s->row->ncol; i++) {
            pack_text(b, s->at[side].column[i]);
            pack_text(b, s->at[side].fixed[i]);
        }
    }
    for (size_t i = 0; i < s->nchange; i++)
        pack_int(b, (int64_t)s->change[i]);
    pack_int(b, s->by_column);
}

void specs_digest(const struct specs *s, char hex[SHA_HEX])
{
    struct buf b = {0};
    for (size_t i = 0; i < s->n; i++)
        put_shape(&b, &s->spec[i]);
    sha_hex(b.p, b.n, hex);
    buf_free(&b);
}

/* "" as NULL. */
static char *text_or_null(struct wire *w)
{
    char *s = unpack_text(w);
    if (*s)
        return s;
    free(s);
    return NULL;
}

static size_t get_column(struct wire *w, const struct spec *s)
{
    return (size_t)unpack_int(w, (int64_t)s->row->ncol - 1);
}

static bool get_spec(struct wire *w, struct spec *s, int side, size_t nspec)
{
    struct spec_side *at = &s->at[side];
    *s = (struct spec){.name = unpack_text(w), .row = unpack_table(w)};
    if (s->row == NULL)
        return false;
    sort_columns(s);
    at->table = unpack_text(w);
    at->filter = unpack_text(w);
    at->column = mem_zero(s->row->ncol, sizeof *at->column);
    at->fixed = mem_zero(s->row->ncol, sizeof *at->fixed);
    for (size_t i = 0; i < s->row->ncol; i++) {
        at->column[i] = text_or_null(w);
        at->fixed[i] = text_or_null(w);
        if ((at->column[i] == NULL) == (at->fixed[i] == NULL) ||
            (at->fixed[i] && !sound_literal(at->fixed[i])))
            w->state = WIRE_BAD;
    }
    size_t n = (size_t)unpack_int(w, (int64_t)s->row->ncol);
    s->change = mem_zero(n, sizeof *s->change);
    for (; s->nchange < n; s->nchange++)
        s->change[s->nchange] = get_column(w, s);
    n = (size_t)unpack_int(w, (int64_t)s->row->ncol * 16);
    s->user = mem_zero(n, sizeof *s->user);
    for (; s->nuser < n; s->nuser++) {
        struct spec_user_key *u = &s->user[s->nuser];
        u->n = (size_t)unpack_int(w, (int64_t)s->row->ncol);
        u->column = mem_zero(u->n, sizeof *u->column);
        for (size_t k = 0; k < u->n; k++)
            u->column[k] = get_column(w, s);
    }
    s->keep_duplicates = unpack_int(w, 1) != 0;
    s->by_column = unpack_int(w, 1) != 0;
    n = (size_t)unpack_int(w, (int64_t)s->row->ncol);
    s->ref = mem_zero(n, sizeof *s->ref);
    for (; s->nref < n; s->nref++)
        s->ref[s->nref] = (struct spec_ref){get_column(w, s), (size_t)unpack_int(w, (int64_t)nspec - 1)};
    return w->state == WIRE_OK;
}

bool specs_get(struct wire *w, struct specs *out, int side)
{
    *out = (struct specs){0};
    size_t n = (size_t)unpack_int(w, PACK_MANY);
    for (size_t i = 0; i < n; i++) {
        out->spec = mem_grow(out->spec, out->n + 1, sizeof *out->spec);
        if (!get_spec(w, &out->spec[out->n++], side, n))
            return false;
    }
    return w->state == WIRE_OK;
}
