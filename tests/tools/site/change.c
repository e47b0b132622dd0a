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

/* Takes a column that was added ("": none) out of the text of CREATE TABLE; to be freed. */
static char *without(const char *made, const char *column)
{
    char *name = mem_printf(", %s", column);
    const char *from = *column ? strstr(made, name) : NULL, *to = from ? from + strlen(name) : NULL;
    char *rest =
        from ? mem_printf("%.*s%s", (int)(from - made), made, to + strcspn(to, ",)")) : mem_text(made);
    free(name);
    return rest;
}

/* The table under another name, with the columns that it has, `drop` left out, y as another type where that is asked for;
 * copied; dropped; renamed. */
static int remake(struct db *db, const char *table, const char *drop, bool retype)
{
    char *made = NULL, *kept = NULL, *columns = NULL, *at;
    struct buf sql = {0};
    if (db_get_text(db, &made, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = %Q", table) ||
        db_get_text(db, &columns,
                    "SELECT group_concat(name, ', ') FROM pragma_table_info(%Q) WHERE name <> %Q", table,
                    drop) ||
        made == NULL)
        return -1;
    kept = without(made, drop);
    at = strchr(kept, '(');
    buf_puts(&sql, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; BEGIN IMMEDIATE; CREATE TABLE "
                   "made_again ");
    char *y = retype ? strstr(at, ", x, y") : NULL;
    if (y) {
        buf_add(&sql, (uint8_t *)at, (size_t)(y - at));
        buf_addf(&sql, ", x, y NUMERIC%s",
                 y + strlen(", x, y") + (strncmp(y + 6, " NUMERIC", 8) == 0 ? 8 : 0));
    } else
        buf_puts(&sql, at);
    buf_addf(&sql,
             "; INSERT INTO made_again (%s) SELECT %s FROM %s; DROP TABLE %s; ALTER TABLE made_again RENAME "
             "TO %s; COMMIT",
             columns, columns, table, table, table);
    int rc = db_exec(db, buf_text(&sql));
    if (rc)
        db_rollback(db);
    buf_free(&sql);
    free(columns);
    free(kept);
    free(made);
    return rc;
}

/* The column and the table that a step is about; whether it drops the column by making the table again. */
static void column_of(const struct sim_step *s, char column[3])
{
    memcpy(column, "z0", 3);
    column[1] = (char)('0' + s->place / 8 % ADDED_COLUMNS);
}

static bool drops_by_remaking(const struct sim_step *s)
{
    return s->place / 64 % 2;
}

static int alter(struct db *db, const struct sim_step *s, const char *table)
{
    char column[3];
    int added = s->place / 8 % ADDED_TABLES;
    column_of(s, column);
    bool has = place_has_column(db, table, column);
    switch (s->kind) {
    case ACT_ADD:
        return has ? 0
                   : db_execf(db, "ALTER TABLE %s ADD COLUMN %s%s", table, column,
                              s->place / 64 % 3    ? ""
                              : s->place / 256 % 2 ? " TEXT DEFAULT 'none'"
                                                   : " NOT NULL DEFAULT 0");
    case ACT_TABLE:
        return db_execf(
            db,
            "CREATE TABLE IF NOT EXISTS e%d (id %s PRIMARY KEY, own TEXT, x); CREATE INDEX IF NOT "
            "EXISTS e%d_x ON e%d (x)",
            added, added ? "TEXT NOT NULL" : "INTEGER", added, added);
    case ACT_REMAKE:
    case ACT_RETYPE:
        return remake(db, table, "", s->kind == ACT_RETYPE);
    case ACT_DROP:
        return !has                   ? 0
               : drops_by_remaking(s) ? remake(db, table, column, false)
                                      : db_execf(db, "ALTER TABLE %s DROP COLUMN %s", table, column);
    default:
        return 0;
    }
}

/* A client's user sees what he takes away with a column. */
static int alter_file(struct place *p, const struct sim_step *s, int file, const char *table)
{
    struct token_set before = {0};
    struct db *db = place_open(file);
    int rc = db == NULL || token_in_tables(&before, db) || alter(db, s, table) ||
             (file != SERVER && place_note_gone(p, db, &before));
    if (rc)
        rc = stage_broke("%s: %s", table, err_message());
    token_free(&before);
    db_close(db);
    return rc;
}

/* The package as the server's tables are, those that were added with it. */
static int write_package(struct place *p, int place)
{
    struct buf package = {0};
    char *except[TABLES] = {NULL};
    struct db *db = place_open(SERVER);
    int rc = db ? 0 : -1;
    for (int t = 0; rc == 0 && t < p->h->ntable; t++)
        rc =
            db_get_text(db, &except[t],
                        "SELECT group_concat(name, ', ') FROM pragma_table_info(%Q) WHERE name GLOB 'z?' AND "
                        "%d >> CAST(substr(name, 2) AS INTEGER) & 1",
                        p->h->table[t].name, p->hidden);
    if (rc == 0)
        files_package(p->h, place, (const char *const *)except, &package);
    if (rc == 0 && place_has_column(db, "e0", "id"))
        buf_puts(&package, "\n[object e0]\nvisible = all\n");
    if (rc == 0 && place_has_column(db, "e1", "id"))
        buf_puts(&package,
                 "\n[object e1]\nvisible = SELECT n.name, r.id FROM e1 r JOIN dx_node n ON n.user = "
                 "r.own\n");
    rc = rc ? stage_broke("%s", err_message()) : step_write_file("p/package.conf", &package);
    for (int t = 0; t < TABLES; t++)
        free(except[t]);
    db_close(db);
    buf_free(&package);
    return rc;
}

int change_schema(struct place *p, const struct sim_step *s, int file)
{
    const char *table = p->h->table[s->which % p->h->ntable].name;
    char *path = place_path(file);
    int rc = 0, place = 0;
    if (!place_has(p, file)) {
        free(path);
        return 0;
    }
    if (s->kind == ACT_PACKAGE && s->place % 2)
        p->hidden ^= 1 << s->place / 8 % ADDED_COLUMNS; /* a column is sent, or no more */
    else if (s->kind == ACT_PACKAGE)
        place = s->place;
    /* SQLite drops no column that a trigger names. */
    if (s->kind == ACT_DROP && !drops_by_remaking(s))
        rc = place_follow(p) || WAY(p, NULL, NULL, NULL, 0, "txnlog", "detach", path);
    free(path);
    rc = rc || alter_file(p, s, file, table);
    if (rc || file != SERVER)
        return rc;
    return write_package(p, place) || WAY(p, NULL, NULL, NULL, 1, "txnlog", "attach", "site/hq.db") ||
                   place_follow(p) || WAY(p, NULL, NULL, NULL, 1, "txnroute", "try", "site/hq.db", "p") ||
                   WAY(p, NULL, NULL, NULL, 1, "txnroute", "load", "site/hq.db", "p") || way_cron(p, NULL)
               ? -1
               : 0;
}
