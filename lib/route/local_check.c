/* local_check: see route/local_check.h. */
#include "route/local_check.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "nodes/package_files.h"
#include "route/declare.h"
#include "sql/layout.h"
#include "sql/local_sql.h"
#include "sql/schema.h"

#include <stdlib.h>
#include <string.h>

static bool travels(void *ctx, const char *table)
{
    const struct object *o = package_object(ctx, table);
    return o && o->visible != VISIBLE_NONE;
}

/* The tables as a copy has them. */
static int make_copy(struct db *db, struct db *copy, const struct package *p)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++) {
        struct declaration d = {0};
        if (p->object[i].visible == VISIBLE_NONE)
            continue;
        rc = declare_object(db, &p->object[i], &d) || schema_make(copy, d.sql, d.n, false) ||
                     schema_make(copy, d.sql, d.n, true)
                 ? -1
                 : 0;
        declare_free(&d);
    }
    return rc;
}

/* ---- triggers ---- */

struct seen {
    const struct package *p;
    const char *trigger;
    bool writes; /* what travels */
};

static void on_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                     const char *through)
{
    struct seen *s = ctx;
    (void)b;
    (void)database;
    if (through && strcmp(through, s->trigger) == 0 &&
        (action == DB_ACTION_INSERT || action == DB_ACTION_UPDATE || action == DB_ACTION_DELETE))
        s->writes |= travels((void *)s->p, a);
}

/* Whether the trigger writes what travels, as preparing a change of its table tells: 1, 0, -1. */
static int writes(struct db *copy, const struct package *p, const struct object *o, const char *trigger)
{
    struct seen s = {p, trigger, false};
    struct buf sql[3] = {{0}};
    buf_puts(&sql[0], "INSERT INTO ");
    buf_name(&sql[0], o->table);
    buf_puts(&sql[0], " DEFAULT VALUES");
    buf_puts(&sql[1], "DELETE FROM ");
    buf_name(&sql[1], o->table);
    buf_puts(&sql[2], "UPDATE ");
    buf_name(&sql[2], o->table);
    for (size_t i = 0; i < o->sent->ncol; i++) {
        buf_puts(&sql[2], i ? ", " : " SET ");
        buf_name(&sql[2], o->sent->col[i]);
        buf_puts(&sql[2], " = NULL");
    }
    int rc = 0;
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++) {
        rc = rc || db_touches(copy, buf_text(&sql[i]), on_touch, &s) ? -1 : 0;
        buf_free(&sql[i]);
    }
    return rc ? -1 : s.writes;
}

static int check_trigger(struct db *db, struct db *copy, const struct package *p, const struct object *o,
                         const char *trigger, void (*tell)(const char *fmt, ...))
{
    int64_t here;
    int acts = writes(copy, p, o, trigger);
    if (acts <= 0)
        return acts;
    if (db_get_int(
            db, &here,
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = %Q COLLATE NOCASE AND "
            "tbl_name = %Q COLLATE NOCASE",
            trigger, o->table))
        return -1;
    if (here && !object_policy(o).triggers_of_copy)
        return fail(ERR_REFUSED,
                    PACKAGE_FILES_SQL
                    ": the trigger %s of table %s writes what travels, and the server has one of "
                    "that name: it would act on the copy and once more at the merge; say `triggers = "
                    "copy` for object %s, or leave it out of " PACKAGE_FILES_SQL,
                    trigger, o->table, o->name);
    if (!here)
        tell("object %s: what the trigger %s of " PACKAGE_FILES_SQL
             " writes on a copy arrives as a change of its node",
             o->name, trigger);
    return 0;
}

/* The triggers that local.sql has made on the object's table. */
static int check_triggers(struct db *db, struct db *copy, const struct package *p, const struct object *o,
                          void (*tell)(const char *fmt, ...))
{
    struct stmt *s = db_preparef(copy,
                                 "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = %Q "
                                 "COLLATE NOCASE ORDER BY rowid",
                                 o->table);
    enum step step = STEP_ERROR;
    int rc = 0;
    while (rc == 0 && s && (step = stmt_step(s)) == STEP_ROW)
        rc = check_trigger(db, copy, p, o, stmt_text(s, 0), tell);
    stmt_free(s);
    return rc || step != STEP_DONE ? -1 : 0;
}

/* ---- all ---- */

static int check(struct db *db, const struct package *p, const char *text, void (*tell)(const char *fmt, ...))
{
    struct db *copy = db_open(":memory:", DB_CREATE);
    int rc = copy && db_begin_write(copy) == 0 && make_copy(db, copy, p) == 0
                 ? local_sql_run(copy, text, PACKAGE_FILES_SQL, travels, (void *)p)
                 : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++)
        if (p->object[i].visible != VISIBLE_NONE)
            rc = check_triggers(db, copy, p, &p->object[i], tell);
    db_close(copy);
    return rc;
}

int local_check(struct db *db, const struct package *p, const char *directory,
                void (*tell)(const char *fmt, ...))
{
    struct buf text = {0};
    char *path = file_join(directory, PACKAGE_FILES_SQL);
    int rc = !file_exists(path)                      ? 0
             : file_load(path, LOCAL_SQL_MAX, &text) ? -1
                                                     : check(db, p, buf_text(&text), tell);
    if (rc)
        fail_in("%s", directory);
    buf_free(&text);
    free(path);
    return rc;
}
