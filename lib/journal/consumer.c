/* consumer: see journal/consumer.h. */
#include "journal/consumer.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"

#include <stdlib.h>

/* Those that named themselves, and those that the state of the database implies. */
#define SQL_ALL                                                                                              \
    "SELECT name, mark FROM dx_peer UNION ALL "                                                              \
    "SELECT 'the router', coalesce((SELECT min(value) FROM dx_meta WHERE name IN ('routed', 'suspended')), " \
    "0) "                                                                                                    \
    "WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'dx_package') UNION ALL "                        \
    "SELECT 'the server', coalesce((SELECT value FROM dx_meta WHERE name = 'settled'), 0) "                  \
    "WHERE EXISTS (SELECT 1 FROM dx_meta WHERE name = 'server')"

static const char sql_list[] = "SELECT name, mark FROM (" SQL_ALL ") ORDER BY name";
static const char sql_slowest[] = "SELECT name, mark FROM (" SQL_ALL ") ORDER BY mark, name LIMIT 1";
static const char sql_trim[] =
    "DELETE FROM dx_journal WHERE seq <= %lld AND seq < (SELECT max(seq) FROM dx_journal)";

int consumer_list(struct db *db, struct consumer **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    struct stmt *s = db_prepare(db, sql_list);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *out = mem_grow(*out, *n + 1, sizeof **out);
        (*out)[(*n)++] = (struct consumer){.name = mem_text(stmt_text(s, 0)), .mark = stmt_int(s, 1)};
    }
    stmt_free(s);
    if (step == STEP_DONE)
        return 0;
    consumer_list_free(*out, *n);
    *out = NULL;
    *n = 0;
    return -1;
}

void consumer_list_free(struct consumer *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(p[i].name);
    free(p);
}

int consumer_mark(struct db *db, const char *name, int64_t *mark)
{
    return db_get_int(db, mark, "SELECT mark FROM dx_peer WHERE name = %Q", name);
}

int consumer_set(struct db *db, const char *name, int64_t mark)
{
    return db_execf(db,
                    "INSERT OR REPLACE INTO dx_peer (name, mark, epoch) SELECT %Q, %lld, value FROM dx_meta "
                    "WHERE name = 'epoch'",
                    name, (long long)mark);
}

int consumer_stale(struct db *db, const char *name)
{
    int64_t stale;
    if (db_get_int(db, &stale,
                   "SELECT count(*) FROM dx_peer WHERE name = %Q AND epoch <> (SELECT value FROM dx_meta "
                   "WHERE name = 'epoch')",
                   name))
        return -1;
    return stale > 0;
}

int consumer_check(struct db *db, const char *who, int64_t mark)
{
    int64_t end, first;
    if (journal_end(db, &end) || db_get_int(db, &first, "SELECT min(seq) FROM dx_journal"))
        return -1;
    if (mark > end)
        return fail(
            ERR_REFUSED,
            "%s: %s stands at %lld, but the journal ends at %lld: the database was restored from a backup; "
            "extract the copies again",
            db_path(db), who, (long long)mark, (long long)end);
    if (first > 0 && mark < first - 1)
        return fail(ERR_REFUSED,
                    "%s: %s stands at %lld, but the journal begins at %lld: the entries between were "
                    "trimmed; extract its copy again, or read only what is left: --after %lld",
                    db_path(db), who, (long long)mark, (long long)first, (long long)first - 1);
    return 0;
}

static int is_copy(struct db *db, bool *copy)
{
    int64_t n;
    int rc = db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_copy'");
    *copy = rc == 0 && n > 0;
    return rc;
}

/* The newest entry stays for its number alone: nobody reads it again. */
static int empty_newest(struct db *db, int64_t mark)
{
    char *set;
    if (db_get_text(db, &set,
                    "SELECT group_concat('\"' || name || '\" = NULL', ', ') FROM "
                    "pragma_table_info('dx_journal') WHERE name NOT IN ('seq', 'what', 'origin')"))
        return -1;
    int rc =
        *set ? db_execf(
                   db,
                   "UPDATE dx_journal SET %s WHERE seq <= %lld AND seq = (SELECT max(seq) FROM dx_journal)",
                   set, (long long)mark)
             : 0;
    free(set);
    return rc;
}

/* In a copy, values of rows that it may hold no more stay neither in the journal nor in free pages. */
static int trim(struct db *db, int64_t mark, int64_t *removed)
{
    bool copy;
    if (is_copy(db, &copy) || (copy && db_exec(db, "PRAGMA secure_delete = ON")) ||
        db_execf(db, sql_trim, (long long)mark))
        return -1;
    *removed = db_changes(db);
    return copy ? empty_newest(db, mark) : 0;
}

int consumer_trim(struct db *db, int64_t *removed, struct consumer *holder)
{
    *removed = 0;
    *holder = (struct consumer){0};
    struct stmt *s = db_prepare(db, sql_slowest);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW)
        *holder = (struct consumer){.name = mem_text(stmt_text(s, 0)), .mark = stmt_int(s, 1)};
    stmt_free(s);
    if (step == STEP_ROW && trim(db, holder->mark, removed))
        return -1;
    return step == STEP_ERROR ? -1 : 0;
}
