/* package: as loaded in a database (nodes/package.h). Reading package.conf is nodes/packread.c. */
#include "nodes/package.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "data/columns.h"
#include "nodes/package_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_package ("
    " name TEXT PRIMARY KEY, version TEXT NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;"

    /* place: parents first. columns and key: JSON arrays of names.
     * What the router needs when a definition changes, until its next run:
     *   was    how rows were held before: 'none', 'all' (every row, none named), 'member';
     *          NULL when what is held is what the definition says
     *   fresh  1 when every row has to be sent again (more columns travel)
     *   gone   1 when the object is no longer in the package
     * bound: the values of the rule's time terms as of the last run. */
    "CREATE TABLE IF NOT EXISTS dx_object ("
    " id INTEGER PRIMARY KEY, package TEXT NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL, tbl TEXT "
    "NOT NULL,"
    " visible TEXT NOT NULL, rule TEXT, via_column TEXT, via_object TEXT, columns TEXT NOT NULL, key TEXT "
    "NOT NULL,"
    " written INTEGER NOT NULL, conflict TEXT NOT NULL, keys TEXT NOT NULL, deletes TEXT NOT NULL,"
    " duplicates TEXT NOT NULL, change_key TEXT NOT NULL, user_key TEXT NOT NULL, keep TEXT NOT NULL,"
    " refs TEXT NOT NULL DEFAULT '', triggers TEXT NOT NULL DEFAULT 'server', guard TEXT NOT NULL DEFAULT '',"
    " late TEXT NOT NULL DEFAULT '',"
    " was TEXT, fresh INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL DEFAULT 0, bound TEXT,"
    " UNIQUE (package, name));";

static const char *const visible_names[] = {"all", "none", "select", "via"};

int package_init(struct db *db)
{
    return db_exec(db, sql_make);
}

/* ---- storing ---- */

/* How rows are held under a definition, as dx_object.was tells it. */
#define HELD \
    "CASE WHEN visible = 'all' AND keep = '' THEN 'all' WHEN visible = 'none' THEN 'none' ELSE 'member' END"

static const char sql_put[] =
    "INSERT INTO dx_object (package, name, place, tbl, visible, rule, via_column, via_object, columns, key, "
    "written, conflict, keys, change_key, user_key, keep, deletes, duplicates, refs, triggers, guard, late, "
    "was, "
    "fresh, "
    "gone) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
    "?21, ?22, 'none', "
    "0, 0) "
    "ON CONFLICT (package, name) DO UPDATE SET "
    /* What is held is noted once: the definitions that no run has seen never held anything. */
    "was = coalesce(was, CASE WHEN visible IS excluded.visible AND rule IS excluded.rule AND keep = "
    "excluded.keep AND tbl = excluded.tbl AND via_column IS excluded.via_column AND via_object IS "
    "excluded.via_object THEN NULL "
    "ELSE " HELD " END), "
    "fresh = fresh OR EXISTS (SELECT value FROM json_each(excluded.columns) EXCEPT SELECT value FROM "
    "json_each(dx_object.columns)), "
    "place = excluded.place, tbl = excluded.tbl, visible = excluded.visible, rule = excluded.rule, "
    "via_column = excluded.via_column, via_object = excluded.via_object, columns = excluded.columns, "
    "key = excluded.key, written = excluded.written, conflict = excluded.conflict, keys = excluded.keys, "
    "change_key = excluded.change_key, user_key = excluded.user_key, keep = excluded.keep, "
    "deletes = excluded.deletes, duplicates = excluded.duplicates, refs = excluded.refs, "
    "triggers = excluded.triggers, guard = excluded.guard, late = excluded.late, gone = 0";

static const char sql_before[] = "UPDATE dx_object SET place = -1 WHERE package = %Q AND NOT gone";
static const char sql_gone[] =
    "UPDATE dx_object SET gone = 1, was = coalesce(was, " HELD ") WHERE package = %Q AND place = -1";

/* An object that is of another table now is another object. */
static const char sql_moved[] = "UPDATE dx_object SET name = name || ' ' || id, gone = 1, place = -1, was = "
                                "coalesce(was, " HELD ") WHERE package = %Q AND name = %Q AND tbl <> %Q";

/* Made when the first package asks for a release. */
static const char sql_make_release[] = "CREATE TABLE IF NOT EXISTS dx_package_release ("
                                       " package TEXT PRIMARY KEY, release TEXT NOT NULL) WITHOUT ROWID";
static const char sql_release_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package_release'";

static int put_release(struct db *db, const struct package *p)
{
    int64_t there;
    if (p->release && *p->release)
        return db_exec(db, sql_make_release) ||
               db_execf(db, "INSERT OR REPLACE INTO dx_package_release VALUES (%Q, %Q)", p->name, p->release);
    if (db_get_int(db, &there, "%s", sql_release_present))
        return -1;
    return there ? db_execf(db, "DELETE FROM dx_package_release WHERE package = %Q", p->name) : 0;
}

int package_release(struct db *db, const char *name, char **release)
{
    int64_t there;
    *release = NULL;
    if (db_get_int(db, &there, "%s", sql_release_present))
        return -1;
    return there ? db_get_text(db, release, "SELECT release FROM dx_package_release WHERE package = %Q", name)
                 : 0;
}

static int put_object(struct db *db, struct stmt *s, const struct package *p, size_t i)
{
    struct object *o = &p->object[i];
    char *columns = columns_text(o->sent, false), *key = columns_text(o->sent, true);
    const char *text[] = {p->name,  o->name,       NULL,          o->table,      visible_names[o->visible],
                          o->rule,  o->via_column, o->via_object, columns,       key,
                          NULL,     o->conflict,   o->keys,       o->change_key, o->user_key,
                          o->keep,  o->deletes,    o->duplicates, o->references, o->triggers,
                          o->guard, o->late};
    for (int c = 0; c < (int)(sizeof text / sizeof *text); c++)
        stmt_bind_text(s, c + 1, text[c]);
    stmt_bind_int(s, 3, (int64_t)i);
    stmt_bind_int(s, 11, (int64_t)o->write);
    int rc = stmt_run(s);
    if (rc == 0)
        rc = db_get_int(db, &o->id, "SELECT id FROM dx_object WHERE package = %Q AND name = %Q", p->name,
                        o->name);
    free(columns);
    free(key);
    return rc;
}

int package_put(struct db *db, struct package *p)
{
    if (db_execf(db, "INSERT OR REPLACE INTO dx_package (name, version, hash) VALUES (%Q, %Q, %Q)", p->name,
                 p->version, p->hash) ||
        put_release(db, p) || db_execf(db, sql_before, p->name))
        return -1;
    struct stmt *s = db_prepare(db, sql_put);
    int rc = s ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++)
        rc = db_execf(db, sql_moved, p->name, p->object[i].name, p->object[i].table) ||
             put_object(db, s, p, i);
    stmt_free(s);
    return rc || db_execf(db, sql_gone, p->name) ? -1
                                                 : package_files_put(db, p->name, &p->files, p->attachments);
}

/* ---- reading back ---- */

static const char sql_get[] =
    "SELECT id, name, tbl, visible, rule, via_column, via_object, columns, key, written, conflict, keys, "
    "change_key, user_key, keep, deletes, duplicates, refs, triggers, guard, late FROM dx_object WHERE "
    "package = "
    "?1 AND "
    "gone = ?2 "
    "ORDER "
    "BY place, id";

static int take_object(struct package *p, struct stmt *s)
{
    struct object o = {.id = stmt_int(s, 0),
                       .name = mem_text(stmt_text(s, 1)),
                       .table = mem_text(stmt_text(s, 2)),
                       .rule = mem_text(stmt_text(s, 4)),
                       .via_column = mem_text(stmt_text(s, 5)),
                       .via_object = mem_text(stmt_text(s, 6)),
                       .sent = columns_table(stmt_text(s, 2), stmt_text(s, 7), stmt_text(s, 8)),
                       .write = (unsigned)stmt_int(s, 9),
                       .conflict = mem_text(stmt_text(s, 10)),
                       .keys = mem_text(stmt_text(s, 11)),
                       .change_key = mem_text(stmt_text(s, 12)),
                       .user_key = mem_text(stmt_text(s, 13)),
                       .keep = mem_text(stmt_text(s, 14)),
                       .deletes = mem_text(stmt_text(s, 15)),
                       .duplicates = mem_text(stmt_text(s, 16)),
                       .references = mem_text(stmt_text(s, 17)),
                       .triggers = mem_text(stmt_text(s, 18)),
                       .guard = mem_text(stmt_text(s, 19)),
                       .late = mem_text(stmt_text(s, 20))};
    for (size_t v = 0; v < sizeof visible_names / sizeof *visible_names; v++)
        if (strcmp(visible_names[v], stmt_text(s, 3)) == 0)
            o.visible = (enum package_visible)v;
    p->object = mem_grow(p->object, p->nobject + 1, sizeof *p->object);
    p->object[p->nobject++] = o;
    return o.sent ? 0 : fail(ERR_REFUSED, "dx_object: object %s is damaged; load the package again", o.name);
}

static int get_objects(struct db *db, struct package *p, bool gone)
{
    struct stmt *s = db_prepare(db, sql_get);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, p->name);
    stmt_bind_int(s, 2, gone);
    enum step step;
    int rc = 0;
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW)
        rc = take_object(p, s);
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}

static struct package *get(struct db *db, const char *name, bool gone)
{
    int64_t there;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package'"))
        return NULL;
    struct stmt *s = NULL;
    if (there && (s = db_preparef(db, "SELECT version, hash FROM dx_package WHERE name = %Q", name)) == NULL)
        return NULL;
    enum step step = s ? stmt_step(s) : STEP_DONE;
    struct package *p = NULL;
    if (step == STEP_ROW) {
        p = mem_zero(1, sizeof *p);
        p->name = mem_text(name);
        p->version = mem_text(stmt_text(s, 0));
        p->hash = mem_text(stmt_text(s, 1));
        if (package_files_sections(db, name, &p->attachments)) {
            package_free(p);
            stmt_free(s);
            return NULL;
        }
    } else if (step == STEP_DONE)
        fail(ERR_REFUSED, "%s: package %s is not loaded; load it: txnroute load %s DIRECTORY", db_path(db),
             name, db_path(db));
    stmt_free(s);
    if (p && get_objects(db, p, gone)) {
        package_free(p);
        return NULL;
    }
    return p;
}

struct package *package_get(struct db *db, const char *name)
{
    return get(db, name, false);
}

struct package *package_gone(struct db *db, const char *name)
{
    return get(db, name, true);
}

int package_names(struct db *db, char ***names, size_t *n)
{
    int64_t there;
    *names = NULL;
    *n = 0;
    if (db_get_int(db, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package'"))
        return -1;
    if (!there)
        return 0;
    struct stmt *s = db_prepare(db, "SELECT name FROM dx_package ORDER BY name");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *names = mem_grow(*names, *n + 1, sizeof **names);
        (*names)[(*n)++] = mem_text(stmt_text(s, 0));
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static void free_one(struct object *o)
{
    char *const text[] = {
        o->name,     o->table, o->rule,    o->via_column, o->via_object, o->conflict, o->keys,  o->change_key,
        o->user_key, o->keep,  o->deletes, o->duplicates, o->references, o->triggers, o->guard, o->late};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free(text[i]);
    table_free(o->sent);
}

void object_free(struct object *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free_one(&o[i]);
    free(o);
}

void package_free(struct package *p)
{
    if (p == NULL)
        return;
    object_free(p->object, p->nobject);
    free(p->name);
    free(p->version);
    free(p->hash);
    free(p->release);
    buf_free(&p->files);
    free(p->attachments);
    free(p);
}

/* The number of the word with which the text begins; 0 when it is none of them. */
static int word_of(const char *text, const char *const *word, int n)
{
    for (int i = 0; i < n; i++) {
        size_t length = strlen(word[i]);
        if (strncmp(text, word[i], length) == 0 && (text[length] == 0 || text[length] == ' '))
            return i;
    }
    return 0;
}

struct object_policy object_policy(const struct object *o)
{
    static const char *const prefer[] = {[PREFER_SERVER] = "server",
                                         [PREFER_CLIENT] = "client",
                                         [PREFER_NEWEST] = "newest",
                                         [PREFER_ASK] = "ask"};
    static const char *const keys[] = {
        [KEYS_REKEY] = "rekey", [KEYS_ISSUE] = "issue", [KEYS_RANGES] = "ranges"};
    static const char *const duplicates[] = {
        [DUPLICATES_ISSUE] = "issue", [DUPLICATES_KEEP] = "keep", [DUPLICATES_ADOPT] = "adopt"};
    return (struct object_policy){
        .prefer = (enum package_prefer)word_of(o->conflict, prefer, PREFER_ASK + 1),
        .keys = (enum package_keys)word_of(o->keys, keys, KEYS_RANGES + 1),
        .duplicates = (enum package_duplicates)word_of(o->duplicates, duplicates, DUPLICATES_ADOPT + 1),
        .delete_loses = strcmp(o->deletes, "lose") == 0,
        .triggers_of_copy = strcmp(o->triggers, "copy") == 0};
}

const struct object *package_object(const struct package *p, const char *table)
{
    for (size_t i = 0; i < p->nobject; i++)
        if (strcasecmp(p->object[i].table, table) == 0)
            return &p->object[i];
    return NULL;
}

struct object *package_named(const struct package *p, const char *name)
{
    for (size_t i = 0; i < p->nobject; i++)
        if (strcmp(p->object[i].name, name) == 0)
            return &p->object[i];
    return NULL;
}

/* ---- newest ---- */

char *object_newest(const char *conflict, int64_t *ahead)
{
    static const char newest[] = "newest ", option[] = ", ahead ";
    enum { MINUTE = 60, DIGITS_MOST = 9 };
    *ahead = MINUTE;
    if (strncmp(conflict, newest, sizeof newest - 1) != 0)
        return NULL;
    const char *column = conflict + sizeof newest - 1, *end = strstr(column, option);
    if (end == NULL)
        return mem_text(column);
    const char *number = end + sizeof option - 1;
    size_t digits = strspn(number, "0123456789");
    if (digits == 0 || digits > DIGITS_MOST || number[digits])
        return NULL;
    *ahead = strtoll(number, NULL, 10);
    return mem_printf("%.*s", (int)(end - column), column);
}

/* ---- late changes ---- */

bool object_late(const char *text, int64_t *days)
{
    enum { DAYS_MOST = 36500 };
    char *end;
    *days = -1;
    if (*text == 0 || strcasecmp(text, "accept") == 0)
        return true;
    if (strcasecmp(text, "refuse") == 0) {
        *days = 0;
        return true;
    }
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *days = n;
    return *end == 0 && errno == 0 && n >= 1 && n <= DAYS_MOST;
}

/* ---- the guard ---- */

static bool guard_word(const char *word, int64_t *rows, int64_t *percent)
{
    size_t n = strcspn(word, " \t\n");
    int64_t *out = strncmp(word, "rows", n) == 0 && n == 4      ? rows
                   : strncmp(word, "percent", n) == 0 && n == 7 ? percent
                                                                : NULL;
    const char *number = word + n + strspn(word + n, " \t\n");
    size_t digits = strspn(number, "0123456789");
    if (out == NULL || *out >= 0 || digits == 0 || digits > 15 || number[digits])
        return false;
    *out = strtoll(number, NULL, 10);
    return out == rows || *out <= 100;
}

bool object_guard(const char *text, int64_t *rows, int64_t *percent)
{
    char *word;
    bool sound = true;
    *rows = *percent = -1;
    while ((word = conf_word(&text, '|'))) {
        sound &= guard_word(word, rows, percent);
        free(word);
    }
    return sound;
}

/* ---- references ---- */

size_t object_references(const struct object *o, struct object_reference **out, bool *closed)
{
    const char *list = o->references;
    char *word;
    size_t n = 0;
    *out = NULL;
    *closed = false;
    while ((word = conf_word(&list, ','))) {
        char *arrow = strstr(word, "->");
        if (arrow) {
            const char *left = word, *right = arrow + 2;
            *arrow = 0;
            char *column = conf_word(&left, 0), *to = conf_word(&right, 0);
            if (to && strcasecmp(to, "none") == 0) {
                free(to);
                to = NULL;
            }
            *out = mem_grow(*out, n + 1, sizeof **out);
            (*out)[n++] = (struct object_reference){column ? column : mem_text(""), to};
        } else
            *closed |= strcasecmp(word, "none") == 0;
        free(word);
    }
    return n;
}

void object_references_free(struct object_reference *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(r[i].column);
        free(r[i].to);
    }
    free(r);
}
