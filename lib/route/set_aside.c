/* set_aside: see route/set_aside.h. */
#include "route/set_aside.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

static const char sql_make[] =
    /* obj, node: 0 where it is none; key: of a row, packed, and shown to people; "" where it is none. */
    "CREATE TABLE IF NOT EXISTS dx_set_aside ("
    " kind TEXT NOT NULL, obj INTEGER NOT NULL, node INTEGER NOT NULL, key NOT NULL, shown TEXT NOT NULL,"
    " position INTEGER NOT NULL, run INTEGER NOT NULL, since TEXT NOT NULL, reason TEXT NOT NULL,"
    " remedy TEXT NOT NULL, PRIMARY KEY (kind, obj, node, key)) WITHOUT ROWID;"
    /* Nodes that came while an object was set aside. bare: it has no snapshot yet, and so none of the rows. */
    "CREATE TABLE IF NOT EXISTS dx_set_aside_node ("
    " obj INTEGER NOT NULL, node INTEGER NOT NULL, bare INTEGER NOT NULL, PRIMARY KEY (obj, node)) WITHOUT "
    "ROWID;";

static const char *const kinds[] = {"object", "row", "keys", "node"};

int set_aside_init(struct db *db)
{
    return db_exec(db, sql_make);
}

int set_aside_present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "SELECT count(*) FROM main.sqlite_schema WHERE name = 'dx_set_aside'") ? -1
                                                                                                     : n > 0;
}

bool set_aside_can(void)
{
    return err_code() == ERR_REFUSED;
}

struct set_aside_entry *set_aside_note(struct set_aside *s, enum set_aside_kind kind, const char *remedy)
{
    s->entry = mem_grow(s->entry, s->n + 1, sizeof *s->entry);
    struct set_aside_entry *e = &s->entry[s->n++];
    *e =
        (struct set_aside_entry){.kind = kind, .reason = mem_text(err_message()), .remedy = mem_text(remedy)};
    return e;
}

void set_aside_cut(struct set_aside *s, size_t n)
{
    while (s->n > n) {
        struct set_aside_entry *e = &s->entry[--s->n];
        free(e->key);
        free(e->packed);
        free(e->reason);
        free(e->remedy);
    }
}

void set_aside_free(struct set_aside *s)
{
    set_aside_cut(s, 0);
    free(s->entry);
    s->entry = NULL;
}

int set_aside_since(struct db *db, int64_t object, int64_t *position, int64_t *run)
{
    struct stmt *s = db_preparef(
        db, "SELECT position, run FROM dx_set_aside WHERE kind = 'object' AND obj = %lld", (long long)object);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    *position = step == STEP_ROW ? stmt_int(s, 0) : 0;
    *run = step == STEP_ROW ? stmt_int(s, 1) : 0;
    stmt_free(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

/* ---- storing ---- */

/* What is there already keeps the time since which it is. */
static const char sql_put[] =
    "INSERT INTO dx_set_aside (kind, obj, node, shown, key, position, run, since, reason, remedy) VALUES "
    "(?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce((SELECT since FROM temp.dx_was_aside AS w WHERE w.kind = ?1 AND "
    "w.obj = ?2 AND w.node = ?3 AND w.key = ?5), ?8), ?9, ?10) ON CONFLICT DO NOTHING";

/* Rows of an object that is set aside itself stay so: nothing was tried of them. */
static const char sql_keep[] = "INSERT OR IGNORE INTO dx_set_aside SELECT kind, obj, node, key, shown, "
                               "position, run, since, reason, remedy FROM "
                               "temp.dx_was_aside WHERE kind IN ('row', 'keys') AND obj IN (SELECT obj FROM "
                               "dx_set_aside WHERE kind = 'object')";

static int put(struct stmt *s, const struct set_aside_entry *e, const char *now)
{
    const struct val none = val_text("");
    stmt_bind_text(s, 1, kinds[e->kind]);
    stmt_bind_int(s, 2, e->object);
    stmt_bind_int(s, 3, e->node);
    stmt_bind_text(s, 4, e->key ? e->key : "");
    stmt_bind(s, 5, e->packed ? e->packed : &none);
    stmt_bind_int(s, 6, e->position);
    stmt_bind_int(s, 7, e->run);
    stmt_bind_text(s, 8, now);
    stmt_bind_text(s, 9, e->reason);
    stmt_bind_text(s, 10, e->remedy);
    return stmt_run(s);
}

static int put_all(struct db *db, const struct set_aside *s, const char *now)
{
    struct stmt *put_one = db_prepare(db, sql_put);
    int rc = put_one ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < s->n; i++)
        rc = put(put_one, &s->entry[i], now);
    stmt_free(put_one);
    return rc ? -1 : 0;
}

static int tell_new(struct db *db, void (*tell)(const char *fmt, ...))
{
    struct set_aside_line *line;
    size_t n;
    if (set_aside_lines(db, &line, &n))
        return -1;
    for (size_t i = 0; i < n; i++) {
        int64_t known = 0;
        if (db_get_int(db, &known, "SELECT count(*) FROM temp.dx_was_aside WHERE what = %Q", line[i].what)) {
            set_aside_lines_free(line, n);
            return -1;
        }
        if (!known)
            tell("%s is set aside: %s; %s", line[i].what, line[i].reason, line[i].remedy);
    }
    set_aside_lines_free(line, n);
    return 0;
}

/* As set_aside_lines shows what it is. */
#define WHAT                                                                                               \
    "CASE WHEN a.kind = 'node' THEN 'node ' || coalesce(n.name, a.node) ELSE CASE a.kind WHEN 'row' THEN " \
    "'row ' || a.shown || ' of object ' WHEN 'keys' THEN 'rows without a key of object ' ELSE 'object ' "  \
    "END || coalesce(o.package || '/' || o.name, a.obj) END"
#define NAMED \
    "dx_set_aside AS a LEFT JOIN dx_object AS o ON o.id = a.obj LEFT JOIN dx_nodes AS n ON n.id = a.node"

int set_aside_store(struct db *db, const struct set_aside *s, const char *now,
                    void (*tell)(const char *fmt, ...))
{
    if (db_exec(db,
                "DROP TABLE IF EXISTS temp.dx_was_aside; CREATE TEMP TABLE dx_was_aside AS SELECT a.*, " WHAT
                " AS what FROM " NAMED "; DELETE FROM dx_set_aside") ||
        put_all(db, s, now) || db_exec(db, sql_keep))
        return -1;
    return tell ? tell_new(db, tell) : 0;
}

static const char sql_force_mended[] =
    "INSERT OR IGNORE INTO main.dx_force (node, tbl, key) SELECT n.id, o.tbl, w.key FROM temp.dx_was_aside "
    "AS w "
    "JOIN main.dx_object AS o ON o.id = w.obj "
    "JOIN main.dx_nodes AS n ON n.package = o.package AND n.active AND n.suspended_at IS NOT NULL "
    "WHERE w.kind = 'row' AND NOT EXISTS (SELECT 1 FROM main.dx_set_aside AS a WHERE a.kind = 'row' AND "
    "a.obj = w.obj "
    "AND a.key = w.key)";

int set_aside_force_mended(struct db *db)
{
    return db_exec(db, sql_force_mended);
}

/* ---- showing ---- */

int set_aside_lines(struct db *db, struct set_aside_line **line, size_t *n)
{
    int there = set_aside_present(db);
    *line = NULL;
    *n = 0;
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(
        db, "SELECT " WHAT
            ", a.kind, coalesce(o.package, n.package, ''), coalesce(o.name, ''), coalesce(n.name, ''), "
            "a.shown, a.since, a.reason, a.remedy FROM " NAMED
            " ORDER BY a.kind, o.place, a.obj, a.node, a.shown");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *line = mem_grow(*line, *n + 1, sizeof **line);
        (*line)[(*n)++] = (struct set_aside_line){
            mem_text(stmt_text(s, 0)), mem_text(stmt_text(s, 1)), mem_text(stmt_text(s, 2)),
            mem_text(stmt_text(s, 3)), mem_text(stmt_text(s, 4)), mem_text(stmt_text(s, 5)),
            mem_text(stmt_text(s, 6)), mem_text(stmt_text(s, 7)), mem_text(stmt_text(s, 8))};
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

void set_aside_lines_free(struct set_aside_line *line, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *const text[] = {line[i].what, line[i].kind,  line[i].package, line[i].object, line[i].node,
                              line[i].key,  line[i].since, line[i].reason,  line[i].remedy};
        for (size_t k = 0; k < sizeof text / sizeof *text; k++)
            free(text[k]);
    }
    free(line);
}
