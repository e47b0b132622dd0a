/* packread: reads and checks package.conf (nodes/package.h, dx-package(5)). What its rules do is analysed by rules/rule.c. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "nodes/packentry.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int check_layout(const struct reading *r, const struct draft *d)
{
    const struct table *t = d->layout->table;
    for (size_t k = 0; k < t->nkey; k++)
        if (strcasecmp(d->layout->column[t->key[k]].collation, "BINARY") != 0)
            return packentry_refuse(
                r, d->at,
                "the key column %s of table %s compares by %s; keys must compare byte by byte: make "
                "it COLLATE BINARY",
                t->col[t->key[k]], t->name, d->layout->column[t->key[k]].collation);
    for (size_t i = 0; i + 1 < r->n; i++)
        if (strcasecmp(r->draft[i].o.table, d->o.table) == 0)
            return packentry_refuse(r, d->at, "table %s is that of object %s already", t->name,
                                    r->draft[i].o.name);
    return 0;
}

static bool of_section(const struct conf *c, size_t i, const char *section)
{
    return strcmp(c->entry[i].section, section) == 0;
}

static int check_repeats(const struct reading *r, const char *section)
{
    const struct conf *c = r->conf;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; of_section(c, i, section) && k < i; k++)
            if (of_section(c, k, section) && strcmp(c->entry[i].name, c->entry[k].name) == 0)
                return packentry_refuse(r, &c->entry[i], "given twice");
    return 0;
}

static int take_object(struct reading *r, const char *section)
{
    const struct conf *c = r->conf;
    const char *name = section + strcspn(section, " \t");
    const char *table = conf_get(c, section, "table");
    struct draft *d = &r->draft[r->n++];
    bool columns = false, visible = false;
    *d = (struct draft){0};
    name += strspn(name, " \t");
    for (size_t i = c->n; i-- > 0;)
        if (of_section(c, i, section))
            d->at = &c->entry[i];
    d->o.name = mem_text(name);
    d->o.table = mem_text(table ? table : name);
    d->o.write = WRITE_INSERT | WRITE_UPDATE | WRITE_DELETE;
    d->o.conflict = mem_text("server");
    d->o.keys = mem_text("rekey");
    d->o.deletes = mem_text("win");
    d->o.duplicates = mem_text("issue");
    d->o.change_key = mem_text("");
    d->o.user_key = mem_text("");
    d->o.keep = mem_text("");
    d->o.references = mem_text("");
    d->o.triggers = mem_text("server");
    d->o.visible = VISIBLE_NONE;
    if (*name == 0)
        return packentry_refuse(r, d->at, "an object has a name: [object NAME]");
    if ((d->layout = layout_of(r->db, d->o.table)) == NULL)
        return fail_in("%s:%d: [%s]", c->path, d->at->line, section);
    free(d->o.table);
    d->o.table = mem_text(d->layout->table->name);
    if (check_repeats(r, section) || check_layout(r, d))
        return -1;
    for (size_t i = 0; i < c->n; i++) {
        if (!of_section(c, i, section))
            continue;
        columns |= strcmp(c->entry[i].name, "columns") == 0;
        visible |= strcmp(c->entry[i].name, "visible") == 0 || strcmp(c->entry[i].name, "via") == 0;
        if (packentry_take(r, d, &c->entry[i]))
            return -1;
    }
    if (!visible)
        return packentry_refuse(
            r, d->at, "who sees it? `visible = all`, none or a SELECT, or `via = column -> object`");
    return columns ? 0 : packentry_columns(r, d, NULL);
}

/* ---- the whole ---- */

static struct draft *draft_named(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->draft[i].o.name, name) == 0)
            return &r->draft[i];
    return NULL;
}

/* The parent's key must compare with the column as SQLite's = does, whatever the values. */
static int check_via(const struct reading *r, const struct draft *d)
{
    const struct draft *p = draft_named(r, d->o.via_object);
    if (p == NULL)
        return packentry_refuse(r, d->at, "via %s: there is no object of that name", d->o.via_object);
    const struct table *t = p->layout->table;
    char **w;
    size_t n = packentry_words(d->o.via_column, ',', &w);
    int rc = n == t->nkey ? 0
                          : packentry_refuse(r, d->at, "via: %zu columns are named, the key of %s has %zu", n,
                                             t->name, t->nkey);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct layout_column *c = &d->layout->column[table_column(d->layout->table, w[i])];
        const struct layout_column *k = &p->layout->column[t->key[i]];
        if (c->affinity != k->affinity || strcasecmp(c->collation, k->collation) != 0)
            rc = packentry_refuse(
                r, d->at,
                "via: %s.%s (%s, %s) and %s.%s (%s, %s) compare by different rules; declare them alike",
                d->o.table, w[i], c->type, c->collation, t->name, t->col[t->key[i]], k->type, k->collation);
    }
    packentry_free_words(w, n);
    return rc;
}

/* An object that is referred to has one key column. */
static int check_references(const struct reading *r, const struct draft *d)
{
    struct object_reference *ref;
    bool closed;
    size_t n = object_references(&d->o, &ref, &closed);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct draft *to = ref[i].to ? draft_named(r, ref[i].to) : d;
        if (to == NULL)
            rc = packentry_refuse(r, d->at, "references: %s -> %s: there is no object of that name",
                                  ref[i].column, ref[i].to);
        else if (ref[i].to && to->layout->table->nkey != 1)
            rc = packentry_refuse(
                r, d->at,
                "references: %s -> %s: its key has %zu columns; only a key of one can be referred to",
                ref[i].column, ref[i].to, to->layout->table->nkey);
    }
    object_references_free(ref, n);
    return rc;
}

static int order(struct reading *r, struct draft *d);

/* Whether the draft, or one that it depends on by `via`, waits for its turn further up. */
static bool waits(const struct reading *r, const struct draft *d)
{
    while (!d->open && d->o.via_object)
        d = draft_named(r, d->o.via_object);
    return d->open;
}

/* Declared references, as far as they form no cycle. */
static int order_references(struct reading *r, const struct draft *d)
{
    struct stmt *s = db_preparef(
        r->db, "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(%Q) ORDER BY 1", d->o.table);
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW)
        for (size_t i = 0; rc == 0 && i < r->n; i++)
            if (strcasecmp(r->draft[i].o.table, stmt_text(s, 0)) == 0 && !waits(r, &r->draft[i]))
                rc = order(r, &r->draft[i]);
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}

/* Moves the draft into the package, behind those that it depends on. */
static int order(struct reading *r, struct draft *d)
{
    if (d->done)
        return 0;
    d->open = true;
    if (d->o.via_object && order(r, draft_named(r, d->o.via_object)))
        return -1;
    if (!d->done && order_references(r, d))
        return -1;
    if (!d->done) {
        r->p->object[r->p->nobject++] = d->o;
        d->done = true;
    }
    d->open = false;
    return 0;
}

static int check_cycle(const struct reading *r, const struct draft *d)
{
    const struct draft *at = d;
    for (size_t steps = 0; at->o.via_object; steps++) {
        if (steps > r->n || ((at = draft_named(r, at->o.via_object)) == d))
            return packentry_refuse(
                r, d->at,
                "via goes round in a circle back to %s; give one object of it a `visible` of its own",
                d->o.name);
    }
    return 0;
}

/* Parents by `via` first, then, as far as that leaves it open, those that declared references name. */
static int order_all(struct reading *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        if (r->draft[i].o.visible == VISIBLE_VIA)
            rc = check_via(r, &r->draft[i]);
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = check_cycle(r, &r->draft[i]) || check_references(r, &r->draft[i]) ? -1 : 0;
    r->p->object = mem_zero(r->n, sizeof *r->p->object);
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = order(r, &r->draft[i]);
    return rc;
}

static int take_package(struct reading *r)
{
    static const char head[] = "package";
    const struct conf *c = r->conf;
    for (size_t i = 0; i < c->n; i++)
        if (of_section(c, i, head) && strcmp(c->entry[i].name, "name") != 0 &&
            strcmp(c->entry[i].name, "version") != 0)
            return packentry_refuse(r, &c->entry[i], "no such option; there are name, version");
    const char *name = conf_get(c, head, "name"), *version = conf_get(c, head, "version");
    if (name == NULL || version == NULL)
        return fail(ERR_REFUSED, "%s: [package] needs name = and version =", c->path);
    if (!meta_node_name(name))
        return fail(ERR_REFUSED, "%s: [package] name: '%s': letters, digits, . _ - only", c->path, name);
    r->p->name = mem_text(name);
    r->p->version = mem_text(version);
    return 0;
}

static int take_sections(struct reading *r)
{
    const struct conf *c = r->conf;
    r->draft = mem_zero(c->n, sizeof *r->draft);
    for (size_t i = 0; i < c->n; i++) {
        const char *section = c->entry[i].section;
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first &= !of_section(c, k, section);
        if (!first || strcmp(section, "package") == 0)
            continue;
        if (strncmp(section, "object", 6) != 0 || (section[6] != ' ' && section[6] != '\t'))
            return packentry_refuse(r, &c->entry[i],
                                    "no such section; there are [package] and [object NAME]");
        if (take_object(r, section))
            return -1;
    }
    return r->n ? 0 : fail(ERR_REFUSED, "%s: no [object NAME] in it", c->path);
}

static int hash_conf(struct reading *r, const char *path)
{
    struct buf text = {0};
    int rc = file_load(path, PACKENTRY_FILE_MAX, &text);
    if (rc == 0)
        sha_add(r->sha, text.p, text.n);
    buf_free(&text);
    return rc;
}

struct package *package_read(struct db *db, const char *directory)
{
    struct reading r = {.db = db, .directory = directory};
    char hex[SHA_HEX];
    char *path = file_join(directory, "package.conf");
    int rc = -1;
    r.sha = sha_new();
    r.p = mem_zero(1, sizeof *r.p);
    if ((r.conf = conf_read(path)) && hash_conf(&r, path) == 0 && take_package(&r) == 0 &&
        take_sections(&r) == 0)
        rc = order_all(&r);
    sha_end(r.sha, hex);
    r.p->hash = mem_text(hex);
    for (size_t i = 0; i < r.n; i++) {
        layout_free(r.draft[i].layout);
        if (!r.draft[i].done) { /* not moved into the package: let package_free have it */
            r.p->object = r.p->object ? r.p->object : mem_zero(r.n, sizeof *r.p->object);
            r.p->object[r.p->nobject++] = r.draft[i].o;
        }
    }
    free(r.draft);
    conf_free(r.conf);
    sha_free(r.sha);
    free(path);
    if (rc == 0)
        return r.p;
    package_free(r.p);
    return NULL;
}
