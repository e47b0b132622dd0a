/* app_triggers: see apply/app_triggers.h. SQLite can switch triggers off all together only; when some must fire, the others are dropped for
 * the length of the transaction. */
#include "apply/app_triggers.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "journal/client_tables.h"
#include "sql/layout.h"
#include "sql/token.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char sql_triggers[] =
    "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid";

/* What is known of a trigger. */
struct trigger {
    char *name, *table, *sql;
    bool here; /* on one of the tables at hand */
    bool ours; /* capture's */
    size_t nwrites;
    char **writes; /* the tables that it writes to */
    bool fires;
    char *
        checks; /* where it does not fire: its SQL with nothing left but what can refuse a row; NULL: nothing can */
    bool tangled; /* what refuses a row is in a statement that writes */
    bool dropped;
};

struct range_scan {
    struct db *db;
    struct table *const *table;
    size_t ntable;
    bool capturing; /* there is a dx_table, and what is captured counts as travelling */
    bool packaged;  /* there is a dx_object */
    bool checking;  /* triggers that write nothing fire */
    app_triggers_act *act;
    void *ctx;
    size_t n;
    struct trigger *trigger;
};

static bool is_ours(const char *name)
{
    return strncasecmp(name, "dx_", 3) == 0;
}

static bool at_hand(const struct range_scan *v, const char *table)
{
    for (size_t i = 0; i < v->ntable; i++)
        if (strcasecmp(v->table[i]->name, table) == 0)
            return true;
    return false;
}

static int load(struct range_scan *v)
{
    struct stmt *s = db_prepare(v->db, sql_triggers);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        v->trigger = mem_grow(v->trigger, v->n + 1, sizeof *v->trigger);
        struct trigger *t = &v->trigger[v->n++];
        *t = (struct trigger){.name = mem_text(stmt_text(s, 0)),
                              .table = mem_text(stmt_text(s, 1)),
                              .sql = mem_text(stmt_text(s, 2))};
        t->here = at_hand(v, t->table);
        t->ours = is_ours(t->name);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

static void free_survey(struct range_scan *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->trigger[i].name);
        free(v->trigger[i].table);
        free(v->trigger[i].sql);
        free(v->trigger[i].checks);
        for (size_t k = 0; k < v->trigger[i].nwrites; k++)
            free(v->trigger[i].writes[k]);
        free(v->trigger[i].writes);
    }
    free(v->trigger);
}

/* Whether changes of the table travel: 1, 0, -1. */
static int is_synced(struct range_scan *v, const char *table)
{
    int64_t n = 0;
    if (at_hand(v, table))
        return 1;
    if (v->packaged && db_get_int(v->db, &n,
                                  "SELECT count(*) FROM dx_object WHERE NOT gone AND visible <> 'none'"
                                  " AND tbl = %Q COLLATE NOCASE",
                                  table))
        return -1;
    if (n == 0 && v->capturing &&
        db_get_int(v->db, &n, "SELECT count(*) FROM dx_table WHERE current AND name = %Q COLLATE NOCASE",
                   table))
        return -1;
    return n ? 1 : client_tables_has(v->db, table);
}

/* Notes, while a write to a table at hand is being prepared, which trigger would write where. */
static void on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through)
{
    struct range_scan *v = ctx;
    (void)b;
    (void)database;
    if (through == NULL ||
        (action != DB_ACTION_INSERT && action != DB_ACTION_UPDATE && action != DB_ACTION_DELETE))
        return;
    for (size_t i = 0; i < v->n; i++) {
        struct trigger *t = &v->trigger[i];
        if (strcmp(t->name, through) == 0) {
            t->writes = mem_grow(t->writes, t->nwrites + 1, sizeof *t->writes);
            t->writes[t->nwrites++] = mem_text(a);
        }
    }
}

/* Prepares a write of each kind to the table, to see what it sets off. */
static int probe(struct range_scan *v, const struct table *t)
{
    struct buf sql = {0};
    buf_puts(&sql, "INSERT INTO main.");
    buf_name(&sql, t->name);
    buf_puts(&sql, " DEFAULT VALUES");
    int rc = db_touches(v->db, buf_text(&sql), on_touch, v);
    buf_clear(&sql);
    buf_puts(&sql, "DELETE FROM main.");
    buf_name(&sql, t->name);
    rc = rc || db_touches(v->db, buf_text(&sql), on_touch, v);
    buf_clear(&sql);
    buf_puts(&sql, "UPDATE main.");
    buf_name(&sql, t->name);
    struct layout *l =
        rc ? NULL : layout_of(v->db, t->name); /* the archive may have columns that are not here */
    for (size_t i = 0; l && i < l->table->ncol; i++) {
        buf_puts(&sql, i ? ", " : " SET ");
        buf_name(&sql, l->table->col[i]);
        buf_puts(&sql, " = NULL");
    }
    rc = l ? db_touches(v->db, buf_text(&sql), on_touch, v) : -1;
    layout_free(l);
    buf_free(&sql);
    return rc;
}

/* Whether the trigger may fire: it is the server's own, or it writes, and nothing that travels, or it only checks. 1, 0,
 * -1. */
static int may_fire(struct range_scan *v, const struct trigger *t)
{
    if (!t->ours && v->act && v->act(v->ctx, t->table))
        return 1;
    int synced = t->ours || (t->nwrites == 0 && !v->checking);
    for (size_t i = 0; i < t->nwrites && synced == 0; i++)
        synced = is_synced(v, t->writes[i]);
    return synced < 0 ? -1 : !synced;
}

/* Where the body of a trigger begins: the token behind BEGIN; n when there is none. */
static size_t body_of(const char *sql, const struct token *token, size_t n)
{
    static const char *const first[] = {"SELECT",  "WITH",   "VALUES", "INSERT",
                                        "REPLACE", "UPDATE", "DELETE", NULL};
    for (size_t i = 0; i + 1 < n; i++)
        if (token_is(sql, &token[i], "begin") && token_in(sql, &token[i + 1], first))
            return i + 1;
    return n;
}

/* Splits the body of a trigger that must not write into its statements: those that read stay, with what they may refuse,
 * those that write go. */
static void keep_checks(struct trigger *t)
{
    static const char *const writing[] = {"INSERT", "REPLACE", "UPDATE", "DELETE", NULL};
    size_t n, checks = 0;
    struct token *token = tokens_of(t->sql, &n);
    size_t begin = body_of(t->sql, token, n);
    struct buf b = {0};
    if (begin < n)
        buf_add(&b, t->sql, token[begin].at);
    for (size_t i = begin, end; i < n; i = end + 1) {
        bool raises = false;
        for (end = i; end < n && !token_is(t->sql, &token[end], ";"); end++)
            raises |= token_is(t->sql, &token[end], "raise");
        if (end == n || !raises)
            continue;
        if (token_in(t->sql, &token[i], writing))
            t->tangled = true;
        else {
            buf_add(&b, t->sql + token[i].at, token[end].end - token[i].at);
            buf_puts(&b, " ");
            checks++;
        }
    }
    buf_puts(&b, "END");
    if (checks)
        t->checks = buf_take(&b);
    buf_free(&b);
    free(token);
}

/* Captured tables count as travelling in a log, and where no package and no copy says what travels. */
static int look_around(struct range_scan *v, bool log)
{
    int64_t captured, objects, copy;
    if (db_get_int(v->db, &captured, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_table'") ||
        db_get_int(v->db, &objects, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_object'") ||
        db_get_int(v->db, &copy, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_copy'"))
        return -1;
    v->packaged = objects > 0;
    v->capturing = captured > 0 && (log || (objects == 0 && copy == 0));
    return 0;
}

/* Finds for each trigger whether it fires, or what checks in it do, and whether any does. 1, 0, -1. */
static int judge(struct range_scan *v)
{
    int any = 0;
    for (size_t i = 0; i < v->ntable; i++)
        if (probe(v, v->table[i]))
            return -1;
    for (size_t i = 0; i < v->n; i++) {
        int may = may_fire(v, &v->trigger[i]);
        if (may < 0)
            return -1;
        struct trigger *t = &v->trigger[i];
        t->fires = may;
        if (v->checking && !may && t->here && !t->ours)
            keep_checks(t);
        any |= t->here && (may || t->checks);
    }
    return any;
}

/* A trigger that would take the whole transaction back, or leave half a statement done, stops its own row only: its SQL
 * with RAISE(ABORT, ...) for ROLLBACK and FAIL, to free; NULL where nothing is to be changed. */
static char *tame(const char *sql)
{
    size_t n, at = 0, done = 0;
    struct token *token = tokens_of(sql, &n);
    struct buf b = {0};
    for (size_t i = 0; i + 2 < n; i++)
        if (token_is(sql, &token[i], "raise") && token_is(sql, &token[i + 1], "(") &&
            (token_is(sql, &token[i + 2], "rollback") || token_is(sql, &token[i + 2], "fail"))) {
            buf_add(&b, sql + at, token[i + 2].at - at);
            buf_puts(&b, "ABORT");
            at = token[i + 2].end;
            done++;
        }
    buf_puts(&b, sql + at);
    free(token);
    char *tamed = done ? buf_take(&b) : NULL;
    buf_free(&b);
    return tamed;
}

static int drop(struct app_triggers *f, struct trigger *t)
{
    t->dropped = true;
    return db_execf(f->db, "DROP TRIGGER main.\"%w\"", t->name);
}

/* Drops what must not fire: capture's; of the tables at hand all but those that may, whose checks stay; of others those
 * that would write what travels. */
static int drop_others(struct app_triggers *f, const struct range_scan *v)
{
    bool behind = false; /* one that was dropped: triggers fire in the order in which they were made */
    for (size_t i = 0; i < v->n; i++) {
        struct trigger *t = &v->trigger[i];
        const char *sql = t->fires ? t->sql : t->checks; /* what shall fire */
        char *tamed = sql && (v->act || v->checking) ? tame(sql) : NULL;
        int rc = 0;
        if ((!t->fires && (t->ours || t->here || t->nwrites)) || tamed)
            rc = drop(f, t);
        if (rc == 0 && (tamed || (!t->fires && t->checks)))
            rc = db_exec(f->db, tamed ? tamed : t->checks);
        free(tamed);
        if (rc)
            return -1;
        behind |= t->dropped;
        if (!behind)
            continue;
        f->name = mem_grow(f->name, f->n + 1, sizeof *f->name);
        f->again = mem_grow(f->again, f->n + 1, sizeof *f->again);
        f->name[f->n] = mem_text(t->name);
        f->again[f->n++] = mem_text(t->sql);
    }
    return 0;
}

static void note_tangled(struct app_triggers *f, const struct trigger *t)
{
    f->tangled = mem_grow(f->tangled, f->ntangled + 1, sizeof *f->tangled);
    f->tangled[f->ntangled++] = (struct app_triggers_tangled){mem_text(t->table), mem_text(t->name)};
}

const char *app_triggers_tangled(const struct app_triggers *f, const char *table)
{
    for (size_t i = 0; i < f->ntangled; i++)
        if (strcasecmp(f->tangled[i].table, table) == 0)
            return f->tangled[i].name;
    return NULL;
}

static int begin(struct app_triggers *f, struct range_scan v, struct db *db, bool log)
{
    *f = (struct app_triggers){.db = db};
    int rc = load(&v) || look_around(&v, log) ? -1 : 0;
    bool any = false;
    for (size_t i = 0; i < v.n; i++)
        any |= v.trigger[i].here && !v.trigger[i].ours;
    int firing = rc == 0 && any ? judge(&v) : 0;
    if (rc || firing < 0)
        rc = -1;
    else if (firing)
        rc = drop_others(f, &v);
    else {
        f->off = true;
        rc = db_triggers(db, false);
    }
    for (size_t i = 0; rc == 0 && i < v.n; i++)
        if (v.trigger[i].tangled)
            note_tangled(f, &v.trigger[i]);
    free_survey(&v);
    return rc;
}

int app_triggers_begin(struct app_triggers *f, struct db *db, struct table *const *table, size_t n,
                       app_triggers_act *act, void *ctx, bool log)
{
    return begin(f, (struct range_scan){.db = db, .table = table, .ntable = n, .act = act, .ctx = ctx}, db,
                 log);
}

int app_triggers_begin_checking(struct app_triggers *f, struct db *db, struct table *const *table, size_t n)
{
    return begin(f, (struct range_scan){.db = db, .table = table, .ntable = n, .checking = true}, db, false);
}

int app_triggers_end(struct app_triggers *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (db_execf(f->db, "DROP TRIGGER IF EXISTS main.\"%w\"", f->name[i]))
            return -1;
    for (int ours = 0; ours < 2; ours++) /* capture's last: SQLite fires the trigger made last first */
        for (size_t i = 0; i < f->n; i++)
            if (is_ours(f->name[i]) == (ours == 1) && db_exec(f->db, f->again[i]))
                return -1;
    return 0;
}

void app_triggers_free(struct app_triggers *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->name[i]);
        free(f->again[i]);
    }
    free(f->name);
    free(f->again);
    for (size_t i = 0; i < f->ntangled; i++) {
        free(f->tangled[i].table);
        free(f->tangled[i].name);
    }
    free(f->tangled);
    if (f->off)
        db_triggers(f->db, true);
    *f = (struct app_triggers){0};
}
