/* table_refs: see rules/table_refs.h. */
#include "rules/table_refs.h"

#include "base/mem.h"
#include "rules/read_set.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Whether the statement with `name` in the place of the token can be prepared, and whether it reads the image then. */
static bool try_name(const struct placing *an, const char *sql, const struct occurrence *o, const char *name,
                     bool *reads)
{
    const char *image = strchr(o->relation->old_name, '"') + 1; /* temp."dx_o_NAME" */
    char *bare = mem_printf("%.*s", (int)strlen(image) - 1, image);
    struct buf trial = {0};
    struct read_set seen = {0};
    buf_add(&trial, sql, o->at);
    rule_put_name(&trial, o, name);
    buf_puts(&trial, sql + o->end);
    bool sound = read_set_of(an->db, buf_text(&trial), &seen) == 0;
    *reads = sound && read_set_table(&seen, bare);
    read_set_free(&seen);
    buf_free(&trial);
    free(bare);
    return sound;
}

/* Whether the token, replaced by the relation's old image, makes a statement that reads that image. Of columns that
 * are joined by USING or NATURAL alone SQLite says nothing; of those of a subquery it does. */
static bool try_token(const struct placing *an, const char *sql, struct occurrence *o)
{
    char *subquery = mem_printf("(SELECT * FROM %s)", o->relation->old_name);
    bool found = false;
    for (int as = 0; as < 2 && !found; as++) {
        o->as = as;
        if (try_name(an, sql, o, o->relation->old_name, &found) && !found)
            try_name(an, sql, o, subquery, &found);
    }
    free(subquery);
    return found;
}

static int by_place(const void *a, const void *b)
{
    const struct occurrence *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Finds the places of tables in the arm's own text, which is bytes [from, to) of its SQL, by trial. */
static int find_occurrences(const struct placing *an, struct arm *a, size_t from, size_t to)
{
    size_t n;
    struct token *t = tokens_of(a->sql, &n);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        bool known = false;
        if (t[i].at < from || t[i].end > to || (i + 1 < n && a->sql[t[i + 1].at] == '.') ||
            (i > 0 && a->sql[t[i - 1].at] == '.'))
            continue;
        char *name = token_name(a->sql, &t[i]);
        struct occurrence o = {.at = t[i].at, .end = t[i].end, .dual = -1};
        o.relation = name ? transition_relation(an->images, name, &known) : NULL;
        free(name);
        if (o.relation == NULL) {
            rc = known ? -1 : 0;
            continue;
        }
        if (!try_token(an, a->sql, &o))
            continue;
        a->occurrence = mem_grow(a->occurrence, a->noccurrence + 1, sizeof *a->occurrence);
        a->occurrence[a->noccurrence++] = o;
    }
    free(t);
    if (a->noccurrence > 1)
        qsort(a->occurrence, a->noccurrence, sizeof *a->occurrence, by_place);
    return rc;
}

/* Finds the NOT EXISTS (...) terms, and which occurrences stand in them. */
static void find_duals(struct arm *a, size_t from, size_t to)
{
    size_t n;
    struct token *t = tokens_of(a->sql, &n);
    for (size_t i = 0; i + 2 < n; i++) {
        if (t[i].at < from || t[i].end > to || !token_is(a->sql, &t[i], "NOT") ||
            !token_is(a->sql, &t[i + 1], "EXISTS") || a->sql[t[i + 2].at] != '(')
            continue;
        struct dual d = {t[i].at, t[token_close(a->sql, t, n, i + 2)].end, t[i].end};
        for (size_t k = 0; k < a->noccurrence; k++)
            if (a->occurrence[k].at > d.at && a->occurrence[k].at < d.end && a->occurrence[k].dual < 0)
                a->occurrence[k].dual = (int)a->ndual;
        a->dual = mem_grow(a->dual, a->ndual + 1, sizeof *a->dual);
        a->dual[a->ndual++] = d;
    }
    free(t);
}

/* The key's expressions in the result list of a SELECT: tokens [first, last) of each, from the second on. Their
 * number, or 0 when there is another number than wanted, or something before the SELECT. */
static size_t key_expressions(const char *sql, const struct token *t, size_t n, size_t from, size_t want,
                              size_t *first, size_t *last)
{
    size_t i = 0, k = 0;
    while (i < n && t[i].at < from)
        i++;
    if (i == n || !token_is(sql, &t[i], "SELECT"))
        return 0;
    int depth = t[i].depth;
    size_t begin = i + 1;
    for (i++; i < n && !(t[i].depth == depth && token_is(sql, &t[i], "FROM")); i++) {
        if (t[i].depth != depth || sql[t[i].at] != ',')
            continue;
        if (k > 0 && k <= want) {
            first[k - 1] = begin;
            last[k - 1] = i;
        }
        begin = i + 1;
        k++;
    }
    if (k != want)
        return 0;
    first[k - 1] = begin;
    last[k - 1] = i;
    return k;
}

/* The words that may follow a table's name and are no alias. */
static const char *const no_alias[] = {"JOIN",  "INNER", "CROSS",  "LEFT",      "NATURAL",
                                       "ON",    "USING", "WHERE",  "GROUP",     "HAVING",
                                       "UNION", "SET",   "EXCEPT", "INTERSECT", NULL};

/* Finds the names by which the tables in the arm's own FROM go. */
static void find_aliases(struct arm *a, const struct token *t, size_t n, size_t from)
{
    size_t first = 0;
    while (first < n && t[first].at < from)
        first++;
    for (size_t k = 0, i = first; k < a->noccurrence; k++) {
        struct occurrence *o = &a->occurrence[k];
        while (i < n && t[i].at < o->at)
            i++;
        if (o->frame || i >= n || t[i].at != o->at || t[i].depth != t[first].depth || o->at > a->end)
            continue;
        size_t next = i + 1 < n && token_is(a->sql, &t[i + 1], "AS") ? i + 2 : i + 1;
        bool named = !o->as && next < n && t[next].at < a->end && !token_in(a->sql, &t[next], no_alias);
        o->alias = named ? token_name(a->sql, &t[next]) : NULL;
        if (o->alias == NULL)
            o->alias = mem_text(o->relation->name);
    }
}

/* The anchor yields the key: its alias, a dot, the key's column, for each column of the key. */
static void find_anchor(const struct placing *an, struct arm *a, size_t from)
{
    const struct table *sent = an->sent;
    size_t n, *first = mem_zero(sent->nkey, sizeof *first), *last = mem_zero(sent->nkey, sizeof *last);
    struct token *t = tokens_of(a->sql, &n);
    size_t k = key_expressions(a->sql, t, n, from, sent->nkey, first, last);
    find_aliases(a, t, n, from);
    a->list_end = k ? t[last[k - 1] - 1].end : 0;
    a->keys = k ? t[first[0]].at : 0;
    for (size_t c = 0; k && c < a->noccurrence; c++) {
        struct occurrence *o = &a->occurrence[c];
        bool yields = o->alias && o->relation == an->relation;
        for (size_t i = 0; yields && i < k; i++) {
            bool dotted = last[i] - first[i] == 3 && a->sql[t[first[i] + 1].at] == '.';
            char *name = dotted ? token_name(a->sql, &t[first[i]]) : NULL;
            char *column = dotted ? token_name(a->sql, &t[first[i] + 2]) : NULL;
            yields = name && column && strcasecmp(name, o->alias) == 0 &&
                     strcasecmp(column, sent->col[sent->key[i]]) == 0;
            free(name);
            free(column);
        }
        o->anchor = yields;
        if (yields)
            break;
    }
    free(first);
    free(last);
    free(t);
}

int table_refs_tables(const struct placing *an, struct arm *a, size_t from, size_t to)
{
    a->list = from + strlen("SELECT");
    a->end = to;
    if (find_occurrences(an, a, from, to))
        return -1;
    find_duals(a, from, to);
    find_anchor(an, a, from);
    return 0;
}

/* Whether the arm uses the anchor's key only to name the row: with the key taken out of its result, it reads no key
 * column of the anchor. What it does read there makes the classes of rows (route/row_class.h). */
int table_refs_class(const struct placing *an, struct arm *a)
{
    const struct relation *r = an->relation;
    const char *image = strchr(r->new_name, '"') + 1; /* temp."dx_n_NAME" */
    const char **use = mem_zero(a->noccurrence, sizeof *use);
    struct buf sql = {0}, none = {0};
    struct read_set seen = {0};
    bool anchored = false;
    for (size_t i = 0; i < a->noccurrence; i++) {
        use[i] = a->occurrence[i].anchor ? r->new_name : NULL;
        anchored |= a->occurrence[i].anchor;
    }
    for (size_t k = 0; k < r->layout->table->nkey; k++)
        buf_puts(&none, k ? ", NULL" : "NULL");
    buf_puts(&sql, "SELECT ");
    struct cut cut = {a->keys, a->list_end, buf_text(&none)};
    rule_cut_sql(&sql, a, use, a->list, a->end, &cut, 1);
    int rc = anchored ? read_set_of(an->db, buf_text(&sql), &seen) : 0;
    bool *column = mem_zero(r->ncol, sizeof *column);
    for (size_t i = 0; i < seen.n; i++)
        for (size_t c = 0; c < r->ncol; c++)
            if (strncasecmp(seen.t[i].table, image, strlen(image) - 1) == 0 &&
                strlen(seen.t[i].table) == strlen(image) - 1 &&
                strcasecmp(seen.t[i].column, r->col[c]) == 0) {
                column[c] = true;
                anchored &= !r->layout->table->pk[c];
            }
    if (anchored && rc == 0)
        a->class_column = column;
    else
        free(column);
    read_set_free(&seen);
    buf_free(&sql);
    buf_free(&none);
    free(use);
    return rc;
}
