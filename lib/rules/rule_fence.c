/* rule_fence: see rules/rule_fence.h. */
#include "rules/rule_fence.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct fence {
    char refused[200]; /* what was refused first; "" */
};

/* What the library has, or could have, that reaches files or the library itself. */
static const char *const functions[] = {"load_extension", "fts3_tokenizer", "readfile",
                                        "writefile",      "edit",           NULL};

static bool begins(const char *name, const char *with)
{
    return strncasecmp(name, with, strlen(with)) == 0;
}

static bool may_call(const char *function)
{
    for (size_t i = 0; functions[i]; i++)
        if (strcasecmp(function, functions[i]) == 0)
            return false;
    return true;
}

/* Of the toolkit's own tables only what tells who holds what, and the nodes. */
static bool may_read(const char *table)
{
    if (begins(table, "dx_"))
        return begins(table, "dx_member_") || strcasecmp(table, "dx_node") == 0 ||
               strcasecmp(table, "dx_nodes") == 0;
    return !begins(table, "sqlite_") && !begins(table, "pragma_") && strcasecmp(table, "dbstat") != 0;
}

/* As SQLite does where it makes a table-valued function known, such as json_each: the schema is not changed. */
static bool is_declaration(int action, const char *table, const char *column)
{
    bool schema = strcasecmp(table, "sqlite_master") == 0;
    return schema &&
           (action == DB_ACTION_UPDATE || (action == DB_ACTION_READ && strcmp(column, "ROWID") == 0));
}

static bool may(void *ctx, int action, const char *a, const char *b, const char *database,
                const char *through)
{
    struct fence *f = ctx;
    (void)through;
    bool allowed = (database && strcmp(database, "temp") == 0) || action == DB_ACTION_SELECT ||
                   action == DB_ACTION_RECURSIVE || (action == DB_ACTION_FUNCTION && may_call(b)) ||
                   (action == DB_ACTION_READ && may_read(a)) || is_declaration(action, a, b);
    if (!allowed && *f->refused == 0)
        snprintf(f->refused, sizeof f->refused, "%s %.100s",
                 action == DB_ACTION_FUNCTION ? "function"
                 : action == DB_ACTION_READ   ? "table"
                                              : "a change of",
                 action == DB_ACTION_FUNCTION ? b : a);
    return allowed;
}

static void end(struct db *db, const struct fence *f, bool failed)
{
    db_authorize(db, NULL, NULL);
    if (failed && *f->refused)
        fail(ERR_REFUSED,
             "%s: %s is not for a package's SQL: it reads tables of the application, and dx_node",
             db_path(db), f->refused);
}

int rule_fence_exec(struct db *db, const char *sql)
{
    struct fence f = {0};
    db_authorize(db, may, &f);
    int rc = db_exec(db, sql);
    end(db, &f, rc != 0);
    return rc;
}

struct stmt *rule_fence_prepare(struct db *db, const char *sql)
{
    struct fence f = {0};
    db_authorize(db, may, &f);
    struct stmt *s = db_prepare(db, sql);
    end(db, &f, s == NULL);
    return s;
}
