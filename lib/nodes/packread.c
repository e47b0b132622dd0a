/* packread: reads and checks package.conf (nodes/package.h, dx-package(5)). What its rules do is analysed by rules/rule.c. */
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "nodes/attachment.h"
#include "nodes/package_files.h"
#include "nodes/packentry.h"
#include "nodes/rule_text.h"

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
            if (of_section(c, k, section) && strcmp(c->entry[i].name, c->entry[k].name) == 0 &&
                (c->entry[i].path == NULL) == (c->entry[k].path == NULL))
                return packentry_refuse(r, &c->entry[i], "given twice");
    return 0;
}

/* table: NULL for the one named like the object. */
static int take_object(struct reading *r, const char *section, const char *name, const char *table)
{
    const struct conf *c = r->conf;
    r->draft = mem_grow(r->draft, r->n + 1, sizeof *r->draft);
    struct draft *d = &r->draft[r->n++];
    bool columns = false;
    *d = (struct draft){0};
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
    d->o.guard = mem_text("");
    d->o.late = mem_text("");
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
        if (packentry_take(r, d, &c->entry[i]))
            return -1;
    }
    if (packentry_settle(r, d))
        return -1;
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

/* A generated column cannot follow a row that gets another key: what it is generated from would still have the old one. */
static int check_generated(const struct reading *r, const struct draft *d, const struct draft_via *v,
                           const struct draft *p)
{
    bool rekeyed = p->layout->rowid_key && object_policy(&p->o).keys != KEYS_ISSUE;
    if ((p->o.write & WRITE_INSERT) && (rekeyed || object_policy(&p->o).duplicates == DUPLICATES_ADOPT))
        return packentry_refuse(
            r, d->at,
            "via: %s.%s is generated, so that it cannot follow when a row of %s gets another key; say "
            "`keys = issue` for %s (and not `duplicates = adopt`), or do not let nodes insert there",
            d->o.table, v->column[0], p->o.name, p->o.name);
    return 0;
}

/* The parent's key must compare with the column as SQLite's = does, whatever the values. */
static int check_one_via(const struct reading *r, const struct draft *d, const struct draft_via *v)
{
    const struct draft *p = draft_named(r, v->object);
    if (p == NULL)
        return packentry_refuse(r, d->at, "via %s: there is no object of that name", v->object);
    const struct table *t = p->layout->table;
    int rc = v->n == t->nkey ? 0
                             : packentry_refuse(r, d->at, "via: %zu columns are named, the key of %s has %zu",
                                                v->n, t->name, t->nkey);
    if (rc == 0 && v->generated)
        return check_generated(r, d, v, p);
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        const struct layout_column *c = &d->layout->column[table_column(d->layout->table, v->column[i])];
        const struct layout_column *k = &p->layout->column[t->key[i]];
        if (c->affinity != k->affinity || strcasecmp(c->collation, k->collation) != 0)
            rc = packentry_refuse(
                r, d->at,
                "via: %s.%s (%s, %s) and %s.%s (%s, %s) compare by different rules; declare them alike",
                d->o.table, v->column[i], c->type, c->collation, t->name, t->col[t->key[i]], k->type,
                k->collation);
    }
    return rc;
}

static int check_via(const struct reading *r, const struct draft *d)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < d->nvia; i++)
        rc = check_one_via(r, d, &d->via[i]);
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
    bool open = d->open;
    for (size_t i = 0; !open && i < d->nvia; i++)
        open = waits(r, draft_named(r, d->via[i].object));
    return open;
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
    for (size_t i = 0; i < d->nvia; i++)
        if (order(r, draft_named(r, d->via[i].object)))
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

/* Whether `via` leads from d to `to`, in at most so many steps. */
static bool leads(const struct reading *r, const struct draft *d, const struct draft *to, size_t steps)
{
    bool found = false;
    for (size_t i = 0; !found && i < d->nvia && steps; i++) {
        const struct draft *up = draft_named(r, d->via[i].object);
        found = up == to || leads(r, up, to, steps - 1);
    }
    return found;
}

static int check_cycle(const struct reading *r, const struct draft *d)
{
    return leads(r, d, d, r->n)
               ? packentry_refuse(
                     r, d->at,
                     "via goes round in a circle back to %s; give one object of it a `visible` of its own",
                     d->o.name)
               : 0;
}

/* ---- who sees it where several say so ---- */

static int compose(struct reading *r, struct draft *d);

/* The rule by which the object's rows are seen, as if it were written out; to free. NULL after a failure. */
static char *rule_of(struct reading *r, struct draft *d)
{
    if (compose(r, d))
        return NULL;
    if (d->o.visible == VISIBLE_ALL)
        return rule_text_all(d->layout->table);
    if (d->o.visible != VISIBLE_VIA)
        return mem_text(d->o.rule ? d->o.rule : "");
    struct draft *up = draft_named(r, d->via->object);
    struct buf b = {0};
    size_t n = 0;
    char *above = rule_of(r, up);
    char *why = above ? rule_text_join(&b, &n, above, d->layout->table, d->via->column, d->via->n,
                                       up->layout->table, up->o.keep)
                      : NULL;
    if (why)
        packentry_refuse(r, d->at, "via %s: %s", d->via->object, why);
    char *rule = above && !why ? buf_take(&b) : NULL;
    buf_free(&b);
    free(above);
    free(why);
    return rule;
}

/* A column by which rows are seen refers to the other object's, too. */
static void add_reference(struct draft *d, const struct draft_via *v)
{
    struct object_reference *ref;
    bool closed, known = false;
    size_t n = object_references(&d->o, &ref, &closed);
    for (size_t i = 0; i < n; i++)
        known |= strcasecmp(ref[i].column, v->column[0]) == 0;
    object_references_free(ref, n);
    if (known || v->n != 1 || v->generated)
        return;
    char *more =
        mem_printf("%s%s%s -> %s", d->o.references, *d->o.references ? ", " : "", v->column[0], v->object);
    free(d->o.references);
    d->o.references = more;
}

/* Of several `via`, or one beside `visible`, one rule is made: a row is seen where one of them lets it be seen. */
static int compose(struct reading *r, struct draft *d)
{
    if (d->composed || d->nvia == 0 || d->o.visible == VISIBLE_VIA)
        return 0;
    struct buf b = {0};
    size_t n = 0;
    int rc = 0;
    if (d->o.rule)
        rule_text_add(&b, &n, d->o.rule);
    for (size_t i = 0; rc == 0 && i < d->nvia; i++) {
        const struct draft_via *v = &d->via[i];
        struct draft *up = draft_named(r, v->object);
        char *rule = rule_of(r, up);
        char *why = rule && *rule ? rule_text_join(&b, &n, rule, d->layout->table, v->column, v->n,
                                                   up->layout->table, up->o.keep)
                                  : NULL;
        rc = rule == NULL ? -1 : why ? packentry_refuse(r, d->at, "via %s: %s", v->object, why) : 0;
        add_reference(d, v);
        free(why);
        free(rule);
    }
    if (rc == 0) {
        free(d->o.rule);
        d->o.rule = n ? buf_take(&b) : NULL;
        d->o.visible = n ? VISIBLE_SELECT : VISIBLE_NONE;
        d->composed = true;
    }
    buf_free(&b);
    return rc;
}

/* Parents by `via` first, then, as far as that leaves it open, those that declared references name. */
static int order_all(struct reading *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = check_via(r, &r->draft[i]);
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = check_cycle(r, &r->draft[i]) || check_references(r, &r->draft[i]) ? -1 : 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = compose(r, &r->draft[i]);
    r->p->object = mem_zero(r->n, sizeof *r->p->object);
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = order(r, &r->draft[i]);
    return rc;
}

/* "1", "1.2", "1.2.0" */
static bool is_release(const char *text)
{
    enum { LONGEST = 40 };
    size_t n = strlen(text);
    return n > 0 && n <= LONGEST && strspn(text, "0123456789.") == n && *text != '.' && text[n - 1] != '.' &&
           strstr(text, "..") == NULL;
}

static int take_package(struct reading *r)
{
    static const char head[] = "package";
    const struct conf *c = r->conf;
    for (size_t i = 0; i < c->n; i++)
        if (of_section(c, i, head) && strcmp(c->entry[i].name, "name") != 0 &&
            strcmp(c->entry[i].name, "version") != 0 && strcmp(c->entry[i].name, "include") != 0 &&
            strcmp(c->entry[i].name, "release") != 0)
            return packentry_refuse(r, &c->entry[i],
                                    "no such option; there are name, version, release, include");
    const char *name = conf_get(c, head, "name"), *version = conf_get(c, head, "version");
    if (name == NULL || version == NULL)
        return fail(ERR_REFUSED, "%s: [package] needs name = and version =", c->path);
    if (!meta_node_name(name))
        return fail(ERR_REFUSED, "%s: [package] name: '%s': letters, digits, . _ - only", c->path, name);
    const char *release = conf_get(c, head, "release");
    if (release && !is_release(release))
        return fail(ERR_REFUSED, "%s: [package] release: '%s': numbers and dots, such as 1.2", c->path,
                    release);
    r->p->name = mem_text(name);
    r->p->version = mem_text(version);
    r->p->release = mem_text(release ? release : "");
    return 0;
}

/* ---- everything ---- */

static const char everything[] = "objects *";

static bool is_taken(const struct reading *r, const char *table)
{
    bool taken = false;
    for (size_t i = 0; i < r->n && !taken; i++)
        taken = strcasecmp(r->draft[i].o.table, table) == 0;
    return taken;
}

/* [objects *]: an object for each captured table that is none's, but those excepted. */
static int take_everything(struct reading *r, const struct conf_entry *at)
{
    const char *except = conf_get(r->conf, everything, "except");
    char **w;
    size_t n = packentry_words(except ? except : "", ',', &w), have = r->n;
    struct stmt *s = db_prepare(r->db, "SELECT name FROM dx_table WHERE current ORDER BY name");
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        const char *table = stmt_text(s, 0);
        bool out = is_taken(r, table);
        for (size_t i = 0; i < n; i++)
            out |= strcasecmp(w[i], table) == 0;
        if (!out)
            rc = take_object(r, everything, table, table);
    }
    stmt_free(s);
    packentry_free_words(w, n);
    if (rc == 0 && step == STEP_DONE && r->n == have)
        return packentry_refuse(r, at, "no captured table is left for it");
    return rc || step != STEP_DONE ? -1 : 0;
}

static bool has_word(const char *section, const char *word)
{
    size_t n = strlen(word);
    return strncmp(section, word, n) == 0 && (section[n] == ' ' || section[n] == '\t');
}

static int take_sections(struct reading *r)
{
    const struct conf *c = r->conf;
    const struct conf_entry *all = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const char *section = c->entry[i].section;
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first &= !of_section(c, k, section);
        if (!first || strcmp(section, "package") == 0 || has_word(section, "rule") ||
            has_word(section, "files"))
            continue;
        if (strcmp(section, everything) == 0) {
            all = &c->entry[i];
            continue;
        }
        if (!has_word(section, "object"))
            return packentry_refuse(r, &c->entry[i],
                                    "no such section; there are [package], [object NAME], [objects *], [rule "
                                    "NAME] and [files NAME]");
        const char *name = section + strcspn(section, " \t");
        name += strspn(name, " \t");
        if (take_object(r, section, name, conf_get(c, section, "table")))
            return -1;
    }
    if (all && take_everything(r, all))
        return -1;
    return r->n ? 0 : fail(ERR_REFUSED, "%s: no [object NAME] in it", c->path);
}

/* ---- files ---- */

enum { INCLUDE_MAX = 8 };

static int hash_conf(struct reading *r, const char *path);

/* Reads what the file includes, relative to its own place; what it says itself counts. */
static int include(struct reading *r, struct conf *c, int depth)
{
    static const char *const either[] = {"visible", "via", NULL};
    const char *name = conf_get(c, "package", "include");
    if (name == NULL)
        return 0;
    if (depth == INCLUDE_MAX)
        return fail(ERR_REFUSED, "%s: [package] include: more than %d files deep", c->path, INCLUDE_MAX);
    const char *slash = strrchr(c->path, '/');
    char *path = *name == '/' || slash == NULL ? mem_text(name)
                                               : mem_printf("%.*s/%s", (int)(slash - c->path), c->path, name);
    struct conf *from = conf_read(path);
    int rc = from && hash_conf(r, path) == 0 && include(r, from, depth + 1) == 0 ? 0 : -1;
    if (rc)
        conf_free(from);
    else
        conf_include(c, from, "package", either);
    free(path);
    return rc;
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

static void free_via(struct draft *d)
{
    for (size_t i = 0; i < d->nvia; i++) {
        packentry_free_words(d->via[i].column, d->via[i].n);
        free(d->via[i].object);
    }
    free(d->via);
}

/* What goes to copies beside rows: the sections [files NAME], and files that lie beside package.conf. */
static int take_files(struct reading *r)
{
    struct attachments a;
    struct buf stored = {0}, sent = {0};
    int rc = attachments_read(r->db, r->conf, r->p, &a);
    attachments_json(&a, true, &stored);
    attachments_json(&a, false, &sent);
    if (rc == 0)
        rc = package_files_pack(r->directory, &sent, &r->p->files);
    r->p->attachments = stored.n ? buf_take(&stored) : NULL;
    buf_free(&stored);
    buf_free(&sent);
    attachments_free(&a);
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
    if ((r.conf = conf_read(path)) && hash_conf(&r, path) == 0 && include(&r, r.conf, 0) == 0 &&
        take_package(&r) == 0 && take_sections(&r) == 0)
        rc = order_all(&r);
    if (rc == 0)
        rc = take_files(&r);
    sha_add(r.sha, r.p->files.p, r.p->files.n);
    sha_end(r.sha, hex);
    r.p->hash = mem_text(hex);
    for (size_t i = 0; i < r.n; i++) {
        layout_free(r.draft[i].layout);
        free_via(&r.draft[i]);
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
