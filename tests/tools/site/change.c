/* change: see change.h. */
#include "change.h"

#include "../sync/files.h"
#include "../sync/stage.h"
#include "../sync/step.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "plot.h"
#include "way.h"

#include <stdlib.h>
#include <string.h>

static bool has_column(struct db *db, const char *table, const char *column)
{
    int64_t n = 0;
    return db_get_int(db, &n, "SELECT count(*) FROM pragma_table_info(%Q) WHERE name = %Q", table, column) ==
               0 &&
           n > 0;
}

/* The table under another name, with the columns that it has, y as another type where that is asked for; copied; dropped;
 * renamed. */
static int remake(struct db *db, const char *table, bool retype)
{
    char *made = NULL, *at;
    struct buf sql = {0};
    if (db_get_text(db, &made, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = %Q", table) ||
        made == NULL)
        return -1;
    at = strchr(made, '(');
    buf_puts(&sql, "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE; CREATE TABLE made_again ");
    char *y = retype ? strstr(at, ", x, y") : NULL;
    if (y) {
        buf_add(&sql, (uint8_t *)at, (size_t)(y - at));
        buf_addf(&sql, ", x, y NUMERIC%s",
                 y + strlen(", x, y") + (strncmp(y + 6, " NUMERIC", 8) == 0 ? 8 : 0));
    } else
        buf_puts(&sql, at);
    buf_addf(&sql,
             "; INSERT INTO made_again SELECT * FROM %s; DROP TABLE %s; ALTER TABLE made_again RENAME TO %s; "
             "COMMIT",
             table, table, table);
    int rc = db_exec(db, buf_text(&sql));
    if (rc)
        db_rollback(db);
    buf_free(&sql);
    free(made);
    return rc;
}

static int alter(struct db *db, const struct sim_step *s, const char *table)
{
    char *column = mem_printf("z%d", s->place / 8 % 3);
    int rc = 0;
    if (s->kind == ACT_ADD && !has_column(db, table, column))
        rc = db_execf(db, "ALTER TABLE %s ADD COLUMN %s%s", table, column,
                      s->place / 64 % 3    ? ""
                      : s->place / 256 % 2 ? " TEXT DEFAULT 'none'"
                                           : " NOT NULL DEFAULT 0");
    else if (s->kind == ACT_REMAKE || s->kind == ACT_RETYPE)
        rc = remake(db, table, s->kind == ACT_RETYPE);
    else if (s->kind == ACT_DROP && has_column(db, table, column))
        rc = db_execf(db, "ALTER TABLE %s DROP COLUMN %s", table, column);
    free(column);
    return rc;
}

int change_schema(struct place *p, const struct sim_step *s, int file)
{
    const char *table = p->h->table[s->which % p->h->ntable].name;
    struct buf package = {0};
    int rc = 0;
    if (!place_has(p, file))
        return 0;
    /* SQLite drops no column that a trigger names. */
    if (s->kind == ACT_DROP)
        rc = place_follow(p) || WAY(p, NULL, NULL, NULL, 0, "txnlog", "detach", "site/hq.db");
    struct db *db = rc || s->kind == ACT_PACKAGE ? NULL : place_open(file);
    if (db && alter(db, s, table))
        rc = stage_broke("%s: %s", table, err_message());
    db_close(db);
    if (rc || file != SERVER)
        return rc;
    files_package(p->h, s->kind == ACT_PACKAGE ? s->place : 0, &package);
    rc = step_write_file("p/package.conf", &package) ||
         WAY(p, NULL, NULL, NULL, 1, "txnlog", "attach", "site/hq.db") || place_follow(p) ||
         WAY(p, NULL, NULL, NULL, 1, "txnroute", "try", "site/hq.db", "p") ||
         WAY(p, NULL, NULL, NULL, 1, "txnroute", "load", "site/hq.db", "p") || way_cron(p, NULL);
    buf_free(&package);
    return rc ? -1 : 0;
}
