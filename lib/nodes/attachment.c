/* attachment: see nodes/attachment.h. */
#include "nodes/attachment.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/client_tables.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "nodes/package_files.h"
#include "sql/layout.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char sql_make[] =
    /* The node (dx_nodes.id) has written the digest into that row, and was not given the file. proven: it has sent it. */
    "CREATE TABLE IF NOT EXISTS dx_file_claim (digest TEXT NOT NULL, node INTEGER NOT NULL, tbl TEXT NOT "
    "NULL, key NOT "
    "NULL, proven INTEGER NOT NULL, made TEXT NOT NULL DEFAULT (datetime('now')), PRIMARY KEY (digest, tbl, "
    "key, node)) "
    "WITHOUT ROWID;"
    /* Files of the store that no row names, since when. */
    "CREATE TABLE IF NOT EXISTS dx_file_unused (digest TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT "
    "ROWID";

static const char *const deliveries[] = {"requested", "published", "broadcast"};

int attachment_init(struct db *db)
{
    return db_exec(db, sql_make);
}

static bool is_digest(const char *text)
{
    return strlen(text) == SHA_HEX - 1 && strspn(text, "0123456789abcdef") == SHA_HEX - 1;
}

int64_t attachment_number(const char *sha)
{
    char digits[13];
    memcpy(digits, sha, 12);
    digits[12] = 0;
    return strtoll(digits, NULL, 16);
}

/* ---- package.conf ---- */

static int take_size(const struct conf *c, const struct conf_entry *e, int64_t *out)
{
    static const char units[] = "KMGT";
    size_t digits = strspn(e->value, "0123456789");
    const char *unit = e->value + digits, *found = *unit ? strchr(units, *unit) : NULL;
    if (digits == 0 || digits > 9 || (*unit && (found == NULL || unit[1])))
        return conf_refuse(c, e, "a number of bytes, to 999999999; K, M, G or T may follow it");
    *out = strtoll(e->value, NULL, 10);
    for (const char *u = units; found && u <= found; u++)
        *out *= 1024;
    return 0;
}

static int take_delivery(const struct conf *c, const struct conf_entry *e, struct attachment_section *s)
{
    for (size_t i = 0; i < sizeof deliveries / sizeof *deliveries; i++)
        if (strcmp(e->value, deliveries[i]) == 0) {
            s->delivery = (enum attachment_delivery)i;
            return 0;
        }
    return conf_refuse(c, e, "requested, published or broadcast expected");
}

static int take_entry(const struct conf *c, const struct conf_entry *e, struct attachment_section *s)
{
    const struct {
        const char *name;
        char **text;
    } texts[] = {{"table", &s->table}, {"digest", &s->digest}, {"size", &s->size}, {"name", &s->label},
                 {"type", &s->type},   {"types", &s->types},   {"to", &s->rule}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(e->name, texts[i].name) == 0) {
            if (*texts[i].text)
                return conf_refuse(c, e, "given twice");
            *texts[i].text = mem_text(e->value);
            return 0;
        }
    if (strcmp(e->name, "delivery") == 0)
        return take_delivery(c, e, s);
    if (strcmp(e->name, "max") == 0)
        return take_size(c, e, &s->max);
    return conf_refuse(c, e,
                       "no such option; there are table, digest, size, name, type, types, delivery, max, to");
}

static void fill(struct attachment_section *s)
{
    char **texts[] = {&s->table, &s->digest, &s->size, &s->label, &s->type, &s->types, &s->rule};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i] == NULL)
            *texts[i] = mem_text("");
}

static int check_column(const struct conf *c, const struct conf_entry *at, const struct object *o,
                        const char *column)
{
    if (*column == 0 || table_column(o->sent, column) >= 0)
        return 0;
    char *why = mem_printf("column %s is none of table %s that travels", column, o->table);
    int rc = conf_refuse(c, at, why);
    free(why);
    return rc;
}

struct rule_look {
    bool odd;
};

static void on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through)
{
    struct rule_look *l = ctx;
    (void)a;
    (void)b;
    (void)database;
    (void)through;
    l->odd |= action != DB_ACTION_READ && action != DB_ACTION_SELECT && action != DB_ACTION_FUNCTION &&
              action != DB_ACTION_RECURSIVE;
}

static int check_rule(struct db *db, const struct conf *c, const struct conf_entry *at,
                      const struct attachment_section *s)
{
    struct rule_look l = {false};
    if ((s->delivery == DELIVERY_PUBLISHED) != (*s->rule != 0))
        return conf_refuse(
            c, at, "`to`, a SELECT of (node, key), goes with `delivery = published`, and only with it");
    if (*s->rule == 0)
        return 0;
    char *sql = mem_printf("SELECT * FROM (WITH r(node, key) AS (%s\n) SELECT node, key FROM r)", s->rule);
    int rc = db_touches(db, sql, on_touch, &l) ? fail_in("%s:%d: [%s] to", c->path, at->line, at->section)
             : l.odd                           ? conf_refuse(c, at, "to: it must only read")
                                               : 0;
    free(sql);
    return rc;
}

static int check_section(struct db *db, const struct conf *c, const struct conf_entry *at,
                         const struct package *p, struct attachment_section *s)
{
    const struct object *o = package_object(p, s->table);
    if (o == NULL || o->visible == VISIBLE_NONE)
        return conf_refuse(c, at, "table = names no table of an object of which rows travel");
    if (*s->digest == 0)
        return conf_refuse(c, at, "digest = is missing: the column that holds the SHA-256");
    if (*s->types && *s->type == 0)
        return conf_refuse(c, at, "types = needs type =, the column of the media type");
    free(s->table);
    s->table = mem_text(o->table);
    const char *const columns[] = {s->digest, s->size, s->label, s->type};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (check_column(c, at, o, columns[i]))
            return -1;
    return check_rule(db, c, at, s);
}

static int read_section(struct db *db, const struct conf *c, size_t first, const struct package *p,
                        struct attachments *out)
{
    const char *section = c->entry[first].section, *name = section + strlen("files");
    name += strspn(name, " \t");
    out->section = mem_grow(out->section, out->n + 1, sizeof *out->section);
    struct attachment_section *s = &out->section[out->n++];
    *s = (struct attachment_section){.name = mem_text(name)};
    int rc = *name ? 0 : conf_refuse(c, &c->entry[first], "a section of files has a name: [files NAME]");
    for (size_t i = first; rc == 0 && i < c->n; i++)
        if (strcmp(c->entry[i].section, section) == 0)
            rc = take_entry(c, &c->entry[i], s);
    fill(s);
    return rc ? -1 : check_section(db, c, &c->entry[first], p, s);
}

int attachments_read(struct db *db, const struct conf *c, const struct package *p, struct attachments *out)
{
    *out = (struct attachments){0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->n; i++) {
        const char *section = c->entry[i].section;
        bool first = strcmp(section, "files") == 0 || strncmp(section, "files ", 6) == 0;
        for (size_t k = 0; first && k < i; k++)
            first = strcmp(section, c->entry[k].section) != 0;
        if (first)
            rc = read_section(db, c, i, p, out);
    }
    return rc;
}

void attachments_free(struct attachments *a)
{
    for (size_t i = 0; i < a->n; i++) {
        struct attachment_section *s = &a->section[i];
        char *const text[] = {s->name, s->table, s->digest, s->size, s->label, s->type, s->types, s->rule};
        for (size_t k = 0; k < sizeof text / sizeof *text; k++)
            free(text[k]);
    }
    free(a->section);
    *a = (struct attachments){0};
}

/* ---- as JSON ---- */

void attachments_json(const struct attachments *a, bool rules, struct buf *out)
{
    json_t *all = json_array();
    for (size_t i = 0; i < a->n; i++) {
        const struct attachment_section *s = &a->section[i];
        json_t *j =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "name", s->name, "table", s->table,
                      "digest", s->digest, "size", s->size, "label", s->label, "type", s->type, "types",
                      s->types, "delivery", deliveries[s->delivery], "max", (json_int_t)s->max);
        if (rules)
            json_object_set_new(j, "to", json_string(s->rule));
        json_array_append_new(all, j);
    }
    char *text = a->n ? json_dumps(all, JSON_COMPACT) : NULL;
    buf_puts(out, text ? text : "");
    free(text);
    json_decref(all);
}

static char *text_of(const json_t *j, const char *name)
{
    const char *text = json_string_value(json_object_get(j, name));
    return mem_text(text ? text : "");
}

static int from_json(const char *text, const char *where, struct attachments *out)
{
    json_t *all = text && *text ? json_loads(text, 0, NULL) : NULL, *j;
    size_t i;
    *out = (struct attachments){0};
    if (text && *text && !json_is_array(all)) {
        json_decref(all);
        return fail(ERR_REFUSED, "%s: what it says of files is damaged", where);
    }
    out->section = mem_zero(json_array_size(all), sizeof *out->section);
    json_array_foreach (all, i, j) {
        struct attachment_section *s = &out->section[out->n++];
        *s = (struct attachment_section){.name = text_of(j, "name"),
                                         .table = text_of(j, "table"),
                                         .digest = text_of(j, "digest"),
                                         .size = text_of(j, "size"),
                                         .label = text_of(j, "label"),
                                         .type = text_of(j, "type"),
                                         .types = text_of(j, "types"),
                                         .rule = text_of(j, "to"),
                                         .max = json_integer_value(json_object_get(j, "max"))};
        const char *delivery = json_string_value(json_object_get(j, "delivery"));
        for (size_t k = 0; delivery && k < sizeof deliveries / sizeof *deliveries; k++)
            if (strcmp(delivery, deliveries[k]) == 0)
                s->delivery = (enum attachment_delivery)k;
    }
    json_decref(all);
    return 0;
}

int attachments_of_package(struct db *db, const char *package, struct attachments *out)
{
    char *text = NULL;
    *out = (struct attachments){0};
    int rc = package_files_sections(db, package, &text) || from_json(text, db_path(db), out) ? -1 : 0;
    free(text);
    return rc;
}

/* A section of a table that is no part of the copy, or not yet, is passed over. */
int attachments_of_copy(struct db *db, struct attachments *out)
{
    char *text = NULL;
    int rc = meta_get_text(db, "files", &text) || from_json(text, db_path(db), out) ? -1 : 0;
    free(text);
    for (size_t i = 0; rc == 0 && i < out->n;) {
        struct layout *l =
            client_tables_has(db, out->section[i].table) > 0 ? layout_of(db, out->section[i].table) : NULL;
        const char *const columns[] = {out->section[i].digest, out->section[i].size, out->section[i].label,
                                       out->section[i].type};
        bool fits = l != NULL;
        for (size_t k = 0; fits && k < sizeof columns / sizeof *columns; k++)
            fits = *columns[k] == 0 ? k > 0 : table_column(l->table, columns[k]) >= 0;
        layout_free(l);
        if (fits) {
            i++;
            continue;
        }
        struct attachments gone = {.section = mem_zero(1, sizeof *gone.section), .n = 1};
        gone.section[0] = out->section[i];
        attachments_free(&gone);
        out->section[i] = out->section[--out->n];
    }
    return rc;
}

static void put_column(struct buf *sql, const char *column, const char *otherwise)
{
    if (*column) {
        buf_puts(sql, "x.");
        buf_name(sql, column);
    } else
        buf_puts(sql, otherwise);
}

void attachment_select(const struct attachment_section *s, const struct table *t, struct buf *sql)
{
    buf_puts(sql, "SELECT ");
    put_column(sql, s->digest, "NULL");
    buf_puts(sql, ", ");
    put_column(sql, s->size, "NULL");
    buf_puts(sql, ", ");
    put_column(sql, s->type, "NULL");
    buf_puts(sql, ", ");
    membership_key(sql, t, "x");
    buf_puts(sql, " FROM main.");
    buf_name(sql, s->table);
    buf_puts(sql, " AS x WHERE ");
    put_column(sql, s->digest, "NULL");
}

/* ---- who may have what ---- */

struct look {
    struct stmt *rows; /* of one digest: see attachment_select */
    struct membership_asker *asker;
    struct stmt *claims; /* unproven, of (digest, key) */
    struct stmt *
        published; /* whether (node, key) is in the rule; NULL: no rule, or one that does not work any more */
    bool to_nobody; /* the latter */
};

struct attachment_view {
    struct db *db;
    const struct node *node;
    struct package *package;
    struct attachments files;
    struct look *look;
};

static int open_look(struct attachment_view *v, size_t i)
{
    const struct attachment_section *s = &v->files.section[i];
    struct look *l = &v->look[i];
    const struct object *o = package_object(v->package, s->table);
    struct buf sql = {0};
    if (o == NULL)
        return 0; /* nobody holds rows of it */
    attachment_select(s, o->sent, &sql);
    buf_puts(&sql, " COLLATE BINARY = ?1"); /* exactly the texts that are claims (attachment_claim) */
    l->rows = db_prepare(v->db, buf_text(&sql));
    l->asker = l->rows ? membership_asker_open(v->db, v->node, o) : NULL;
    if (l->asker)
        l->claims = db_preparef(
            v->db, "SELECT 1 FROM dx_file_claim WHERE digest = ?1 AND tbl = %Q AND key = ?2 AND NOT proven",
            s->table);
    buf_clear(&sql);
    if (l->claims && *s->rule) {
        buf_addf(&sql, "WITH r(node, key) AS (%s\n) SELECT 1 FROM r WHERE node = ?1 AND key = ?2", s->rule);
        l->published = db_prepare(v->db, buf_text(&sql));
        l->to_nobody = l->published == NULL;
    }
    buf_free(&sql);
    return l->claims ? 0 : -1;
}

struct attachment_view *attachment_view_open(struct db *db, const struct node *n)
{
    struct attachment_view *v = mem_zero(1, sizeof *v);
    v->db = db;
    v->node = n;
    int rc = attachments_of_package(db, n->package, &v->files);
    if (rc == 0 && v->files.n) {
        v->look = mem_zero(v->files.n, sizeof *v->look);
        rc = membership_functions(db) == 0 && (v->package = package_get(db, n->package)) ? 0 : -1;
    }
    for (size_t i = 0; rc == 0 && i < v->files.n; i++)
        rc = open_look(v, i);
    if (rc == 0)
        return v;
    attachment_view_close(v);
    return NULL;
}

void attachment_view_close(struct attachment_view *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; v->look && i < v->files.n; i++) {
        stmt_free(v->look[i].rows);
        stmt_free(v->look[i].claims);
        stmt_free(v->look[i].published);
        membership_asker_close(v->look[i].asker);
    }
    free(v->look);
    package_free(v->package);
    attachments_free(&v->files);
    free(v);
}

bool attachment_type_travels(const char *types, const char *type)
{
    char *word;
    bool any = *types == 0;
    while ((word = conf_word(&types, ','))) {
        size_t n = strlen(word);
        any |= n && word[n - 1] == '*' ? type && strncasecmp(type, word, n - 1) == 0
                                       : type && strcasecmp(type, word) == 0;
        free(word);
    }
    return any;
}

/* Whether a statement of two parameters has a row. */
static int has_row(struct stmt *s, const struct val *a, const struct val *b)
{
    stmt_bind(s, 1, a);
    stmt_bind(s, 2, b);
    enum step step = stmt_step(s);
    if (step == STEP_ROW)
        stmt_reset(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

static struct val text_val(const char *text)
{
    return (struct val){.type = VAL_TEXT, .p = (const uint8_t *)text, .n = strlen(text)};
}

/* Whether the row of that key gives the node the file: it holds the row, nobody has only claimed the file there, and it is
 * published to the node, where that is asked. */
static int gives(struct attachment_view *v, struct look *l, const struct val *digest, const struct val *key,
                 bool all)
{
    struct val name = text_val(v->node->name);
    int holds = membership_ask(l->asker, key);
    int claimed = holds > 0 ? has_row(l->claims, digest, key) : 0;
    if (holds <= 0 || claimed)
        return holds < 0 || claimed < 0 ? -1 : 0;
    return all ? 1 : l->to_nobody ? 0 : l->published == NULL ? 1 : has_row(l->published, &name, key);
}

static int may_by(struct attachment_view *v, size_t i, const char *sha, bool all)
{
    struct look *l = &v->look[i];
    const struct attachment_section *s = &v->files.section[i];
    if (l->rows == NULL)
        return 0;
    struct val digest = text_val(sha);
    stmt_bind(l->rows, 1, &digest);
    enum step step = STEP_DONE;
    int may = 0;
    while (may == 0 && (step = stmt_step(l->rows)) == STEP_ROW) {
        struct val size = stmt_val(l->rows, 1), key = stmt_val(l->rows, 3);
        bool fits = all || ((s->max == 0 || size.type != VAL_INT || size.i <= s->max) &&
                            attachment_type_travels(s->types, stmt_text(l->rows, 2)));
        may = fits ? gives(v, l, &digest, &key, all) : 0;
    }
    stmt_reset(l->rows);
    return may == 0 && step == STEP_ERROR ? -1 : may;
}

int attachment_view_may(struct attachment_view *v, const char *sha, bool all)
{
    int may = 0;
    for (size_t i = 0; may == 0 && i < v->files.n; i++)
        may = may_by(v, i, sha, all);
    return may;
}

/* ---- claims ---- */

static const char sql_claim[] = "INSERT OR IGNORE INTO dx_file_claim (digest, node, tbl, key, proven) SELECT "
                                "?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM "
                                "dx_file_claim WHERE digest = ?1 AND node = ?2 AND proven)";
static const char sql_unclaim[] =
    "DELETE FROM dx_file_claim WHERE digest = ?1 AND node = ?2 AND tbl = ?3 AND key = ?4";

static int change_claim(struct attachment_view *v, const char *sql, const char *sha, const char *table,
                        const struct val *key)
{
    struct stmt *s = db_prepare(v->db, sql);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, sha);
    stmt_bind_int(s, 2, v->node->id);
    stmt_bind_text(s, 3, table);
    stmt_bind(s, 4, key);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

/* The claim comes first: while it is there, the row itself gives the node nothing. */
static int claim_one(struct attachment_view *v, const char *sha, const char *table, const struct val *key)
{
    if (change_claim(v, sql_claim, sha, table, key))
        return -1;
    int may = attachment_view_may(v, sha, true);
    return may > 0 ? change_claim(v, sql_unclaim, sha, table, key) : may;
}

int attachment_claim(struct attachment_view *v, const struct table *t, const struct val *values,
                     const struct val *key)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->files.n; i++) {
        const struct attachment_section *s = &v->files.section[i];
        int column = strcasecmp(s->table, t->name) == 0 ? table_column(t, s->digest) : -1;
        const struct val *d = column < 0 ? NULL : &values[column];
        char sha[SHA_HEX] = "";
        if (d == NULL || d->type != VAL_TEXT || d->n != SHA_HEX - 1)
            continue;
        memcpy(sha, d->p, SHA_HEX - 1);
        if (is_digest(sha))
            rc = claim_one(v, sha, s->table, key);
    }
    return rc;
}

int attachment_claimed(struct db *db, int64_t node, const char *sha)
{
    int64_t n;
    return db_get_int(db, &n, "SELECT count(*) FROM dx_file_claim WHERE digest = %Q AND node = %lld", sha,
                      (long long)node)
               ? -1
               : n > 0;
}

int attachment_prove(struct db *db, int64_t node, const char *sha)
{
    return db_execf(db, "UPDATE dx_file_claim SET proven = 1 WHERE digest = %Q AND node = %lld", sha,
                    (long long)node);
}
