/* lookalike: see route/lookalike.h. A name alone is a weak sign, values alone are weaker: small numbers are keys of every
 * table. So a good name needs values that do not speak against it, a vague name needs values that speak for it, and
 * values alone count where the keys lie so far apart that no chance explains them. */
#include "route/lookalike.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "sql/layout.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How well a column's name fits an object. */
enum fit { FIT_NONE, FIT_VALUES, FIT_VAGUE, FIT_ENDS, FIT_EXACT };

enum { ROWS_MAX = 2000, ALONE_MIN = 20, ALONE_SPARSE = 10 };

/* ---- names ---- */

/* Small letters and digits alone: "Product_ID" is "productid". */
static char *plain(const char *name)
{
    struct buf b = {0};
    for (; *name; name++)
        if (isalnum((unsigned char)*name) || (unsigned char)*name >= 0x80)
            buf_byte(&b, (uint8_t)tolower((unsigned char)*name));
    return buf_take(&b);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return m && n >= m && strcmp(text + n - m, end) == 0;
}

/* "categories" is "category", "boxes" is "box", "tags" is "tag". */
static char *singular(const char *plural)
{
    size_t n = strlen(plural);
    if (n > 4 && ends_with(plural, "ies"))
        return mem_printf("%.*sy", (int)n - 3, plural);
    if (n > 4 && (ends_with(plural, "xes") || ends_with(plural, "ses") || ends_with(plural, "hes")))
        return mem_printf("%.*s", (int)n - 2, plural);
    if (n > 3 && ends_with(plural, "s") && !ends_with(plural, "ss"))
        return mem_printf("%.*s", (int)n - 1, plural);
    return mem_text(plural);
}

/* The name without the end that says that it is a reference; *said: whether it had one. */
static char *stem(const char *name, bool *said)
{
    static const char *const ends[] = {"rowid", "uuid", "guid", "id", "key", "fk", "ref", "nr", "no"};
    *said = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(name, ends[i]) && strlen(name) > strlen(ends[i])) {
            *said = true;
            return mem_printf("%.*s", (int)(strlen(name) - strlen(ends[i])), name);
        }
    return mem_text(name);
}

static enum fit fit_one(const char *base, bool said, const char *table)
{
    char *one = singular(table), *own = singular(base);
    bool same = strcmp(own, one) == 0, ends = strlen(one) >= 3 && ends_with(own, one);
    bool part = strlen(own) >= 4 && ends_with(one, own);
    bool counts = !said && strcmp(own, base) != 0; /* "posts" counts them */
    free(one);
    free(own);
    return counts ? FIT_NONE
           : same ? FIT_EXACT
           : ends ? (said ? FIT_ENDS : FIT_VAGUE)
           : part ? FIT_VAGUE
                  : FIT_NONE;
}

/* A key column's own name, used elsewhere: ArtistId, but not plain id. */
static bool is_key_name(const char *column, const char *key)
{
    static const char *const common[] = {"id",   "rowid", "key",  "no",    "nr",   "code",
                                         "name", "pk",    "uuid", "value", "guid", "type"};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (strcmp(key, common[i]) == 0)
            return false;
    return strcmp(column, key) == 0;
}

static enum fit fit_name(const char *column, const struct object *o, const struct object *to)
{
    bool said;
    char *name = plain(column), *base = stem(name, &said), *table = plain(to->table),
         *object = plain(to->name), *key = plain(to->sent->col[to->sent->key[0]]);
    enum fit fit = fit_one(base, said, table), other = fit_one(base, said, object);
    if (other > fit)
        fit = other;
    if (o != to && is_key_name(name, key))
        fit = FIT_EXACT;
    if (o == to && said && fit < FIT_ENDS && (strcmp(base, "parent") == 0 || strcmp(base, "up") == 0))
        fit = FIT_ENDS;
    free(name);
    free(base);
    free(table);
    free(object);
    free(key);
    return fit;
}

/* ---- values ---- */

struct evidence {
    int64_t values, found;
    bool sparse; /* the keys there lie far apart */
};

static int look_at_values(struct db *db, const struct object *o, const char *column, const struct object *to,
                          struct evidence *e)
{
    const char *key = to->sent->col[to->sent->key[0]];
    struct stmt *s = db_preparef(
        db,
        "SELECT count(*), count(CASE WHEN EXISTS (SELECT 1 FROM main.\"%w\" WHERE \"%w\" = v) THEN 1 END)"
        " FROM (SELECT DISTINCT v FROM (SELECT \"%w\" AS v FROM main.\"%w\""
        " WHERE \"%w\" IS NOT NULL AND \"%w\" NOT IN (0, '') LIMIT %d))",
        to->table, key, column, o->table, column, column, ROWS_MAX);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW) {
        e->values = stmt_int(s, 0);
        e->found = stmt_int(s, 1);
    }
    stmt_free(s);
    return step == STEP_ROW ? 0 : -1;
}

static int look_at_keys(struct db *db, const struct object *to, bool *sparse)
{
    int64_t n;
    const char *key = to->sent->col[to->sent->key[0]];
    if (db_get_int(db, &n,
                   "SELECT count(*) >= %d AND (max(\"%w\") - min(\"%w\")) / %d > count(*) FROM main.\"%w\"",
                   ALONE_MIN, key, key, ALONE_SPARSE, to->table))
        return -1;
    *sparse = n != 0;
    return 0;
}

static bool convinces(enum fit fit, const struct evidence *e)
{
    bool nearly_all = e->found * 10 >= e->values * 9;
    switch (fit) {
    case FIT_EXACT:
        return e->values == 0 || e->found * 2 >= e->values;
    case FIT_ENDS:
        return nearly_all;
    case FIT_VAGUE:
        return e->values >= 3 && nearly_all;
    default:
        return e->sparse && e->values >= ALONE_MIN && e->found == e->values;
    }
}

/* ---- objects and columns ---- */

struct search {
    struct db *db;
    const struct package *p;
    struct layout **layout; /* of the objects */
    bool *sparse;
    struct lookalike *out;
    size_t n;
};

static bool may_hold(const struct layout_column *c, const struct layout_column *key)
{
    if (key->affinity == AFFINITY_INTEGER)
        return c->affinity == AFFINITY_INTEGER || c->affinity == AFFINITY_NUMERIC ||
               c->affinity == AFFINITY_BLOB;
    return c->affinity == key->affinity;
}

/* Whether somebody has said already what the column is: 1, 0, -1. */
static int is_known(const struct search *s, const struct object *o, const char *column)
{
    struct object_reference *ref;
    bool known;
    int64_t declared;
    if (db_get_int(s->db, &declared,
                   "SELECT count(*) FROM pragma_foreign_key_list(%Q) WHERE \"from\" = %Q COLLATE NOCASE",
                   o->table, column))
        return -1;
    size_t n = object_references(o, &ref, &known);
    for (size_t i = 0; i < n; i++)
        known |= strcasecmp(ref[i].column, column) == 0;
    object_references_free(ref, n);
    known |= declared > 0;
    const char *via = o->via_column ? o->via_column : "";
    char *word;
    while ((word = conf_word(&via, ','))) {
        known |= strcasecmp(word, column) == 0;
        free(word);
    }
    return known;
}

static int try_pair(struct search *s, size_t from, int column, size_t to, enum fit *best,
                    struct evidence *most, const struct object **found)
{
    const struct object *o = &s->p->object[from], *other = &s->p->object[to];
    const struct layout *l = s->layout[to];
    const char *name = s->layout[from]->table->col[column];
    struct evidence e = {0};
    if (other->visible == VISIBLE_NONE || l->table->nkey != 1 ||
        !may_hold(&s->layout[from]->column[column], &l->column[l->table->key[0]]) ||
        (from == to && s->layout[from]->table->pk[column]))
        return 0;
    enum fit fit = fit_name(name, o, other);
    e.sparse = s->sparse[to];
    if (fit == FIT_NONE && e.sparse && from != to && !s->layout[from]->table->pk[column])
        fit = FIT_VALUES;
    if (fit <= *best && !(fit == *best && fit != FIT_NONE))
        return 0;
    if (look_at_values(s->db, o, name, other, &e))
        return -1;
    if (convinces(fit, &e) && (fit > *best || e.found > most->found)) {
        *best = fit;
        *most = e;
        *found = other;
    }
    return 0;
}

static int search_column(struct search *s, size_t from, int column)
{
    const struct object *o = &s->p->object[from], *found = NULL;
    const char *name = s->layout[from]->table->col[column];
    enum fit best = FIT_NONE;
    struct evidence most = {0};
    if (table_column(o->sent, name) < 0)
        return 0;
    int known = is_known(s, o, name);
    if (known)
        return known < 0 ? -1 : 0;
    for (size_t to = 0; to < s->p->nobject; to++)
        if (try_pair(s, from, column, to, &best, &most, &found))
            return -1;
    if (found == NULL)
        return 0;
    s->out = mem_grow(s->out, s->n + 1, sizeof *s->out);
    s->out[s->n++] = (struct lookalike){o, mem_text(name), found, most.values, most.found};
    return 0;
}

static int prepare(struct search *s)
{
    s->layout = mem_zero(s->p->nobject, sizeof *s->layout);
    s->sparse = mem_zero(s->p->nobject, sizeof *s->sparse);
    for (size_t i = 0; i < s->p->nobject; i++) {
        const struct object *o = &s->p->object[i];
        if ((s->layout[i] = layout_of(s->db, o->table)) == NULL)
            return -1;
        if (s->layout[i]->rowid_key && look_at_keys(s->db, o, &s->sparse[i]))
            return -1;
    }
    return 0;
}

int lookalike_find(struct db *db, const struct package *p, struct lookalike **out, size_t *n)
{
    struct search s = {.db = db, .p = p};
    int rc = prepare(&s);
    for (size_t i = 0; rc == 0 && i < p->nobject; i++)
        for (size_t c = 0; rc == 0 && p->object[i].visible != VISIBLE_NONE && c < s.layout[i]->table->ncol;
             c++)
            rc = search_column(&s, i, (int)c);
    for (size_t i = 0; i < p->nobject; i++)
        layout_free(s.layout[i]);
    free(s.layout);
    free(s.sparse);
    *out = s.out;
    *n = s.n;
    if (rc == 0)
        return 0;
    lookalike_free(s.out, s.n);
    *out = NULL;
    *n = 0;
    return -1;
}

void lookalike_free(struct lookalike *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(l[i].column);
    free(l);
}

void lookalike_line(struct buf *out, const struct object *o, const struct lookalike *l, size_t n,
                    lookalike_wanted *wanted)
{
    struct object_reference *ref;
    bool closed, any = false;
    for (size_t i = 0; i < n; i++)
        any |= l[i].object == o && (wanted == NULL || wanted(&l[i]));
    if (!any)
        return;
    const char *comma = "references = ";
    size_t nref = object_references(o, &ref, &closed);
    for (size_t i = 0; i < nref; i++, comma = ", ")
        buf_addf(out, "%s%s -> %s", comma, ref[i].column, ref[i].to ? ref[i].to : "none");
    object_references_free(ref, nref);
    for (size_t i = 0; i < n; i++)
        if (l[i].object == o && (wanted == NULL || wanted(&l[i]))) {
            buf_addf(out, "%s%s -> %s", comma, l[i].column, l[i].to->name);
            comma = ", ";
        }
    buf_puts(out, "\n");
}

/* ---- the check ---- */

/* Whether a merge may give rows that nodes insert other keys. */
static bool gets_other_keys(const struct object *o)
{
    return (o->write & WRITE_INSERT) &&
           (object_policy(o).keys != KEYS_ISSUE || object_policy(o).duplicates == DUPLICATES_ADOPT);
}

static bool endangered(const struct lookalike *l)
{
    return gets_other_keys(l->to);
}

/* An object's key that is no alias of the rowid stays what it is, unless its rows are adopted. */
static int keeps_its_keys(struct db *db, const struct object *o)
{
    struct layout *l = layout_of(db, o->table);
    int keeps = l ? !l->rowid_key && object_policy(o).duplicates != DUPLICATES_ADOPT : -1;
    layout_free(l);
    return keeps;
}

int lookalike_check(struct db *db, const struct package *p, const char *directory)
{
    struct lookalike *l;
    struct buf lines = {0};
    size_t n, left = 0;
    if (lookalike_find(db, p, &l, &n))
        return -1;
    int keeps = 0;
    for (size_t i = 0; i < n && keeps >= 0; i++) {
        if ((keeps = keeps_its_keys(db, l[i].to)) == 0)
            l[left++] = l[i];
        else
            free(l[i].column);
    }
    for (size_t i = 0; keeps >= 0 && i < p->nobject; i++) {
        struct buf line = {0};
        lookalike_line(&line, &p->object[i], l, left, endangered);
        if (line.n)
            buf_addf(&lines, "\n[object %s]\n%s", p->object[i].name, buf_text(&line));
        buf_free(&line);
    }
    if (keeps >= 0 && lines.n)
        keeps = fail(
            ERR_REFUSED,
            "%s/package.conf: a row that a node inserts may get another key at a merge, and these columns "
            "look "
            "like references that would then point to another row. Put these lines at the end of "
            "package.conf, "
            "with `-> none` for what is no reference (or `keys = issue` for the object referred to):",
            directory);
    if (keeps < 0 && lines.n)
        fail_show(buf_text(&lines));
    buf_free(&lines);
    lookalike_free(l, left);
    return keeps < 0 ? -1 : 0;
}
