/* departure: see nodes/departure.h. */
#include "nodes/departure.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SITE_MAX = 255 };

static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_departure ("
                               " node INTEGER PRIMARY KEY, time INTEGER NOT NULL, site TEXT NOT NULL)";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_departure'";

int departure_present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

/* Letters, digits, and of these: none that a shell, ssh or a terminal could take for something else. */
static bool is_plain(const char *text, size_t n, const char *besides)
{
    static const char alnum[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < n; i++)
        if (text[i] == 0 || (strchr(alnum, text[i]) == NULL && strchr(besides, text[i]) == NULL))
            return false;
    return n > 0 && *text != '-';
}

bool departure_is_site(const char *text)
{
    if (strlen(text) > SITE_MAX)
        return false;
    if (*text == '/')
        return text[1] && is_plain(text, strlen(text), "._/-@");
    const char *at = strchr(text, '@'), *colon = strchr(text, ':');
    if (colon == NULL || strncmp(colon, "://", 3) == 0) /* a URL: its host would be taken for a directory */
        return false;
    if (at && at > colon)
        at = NULL;
    const char *host = at ? at + 1 : text;
    return (at == NULL || is_plain(text, (size_t)(at - text), "._-")) &&
           is_plain(host, (size_t)(colon - host), ".-_") && is_plain(colon + 1, strlen(colon + 1), "._/-@");
}

int departure_set(struct db *db, int64_t node, int64_t time, const char *site)
{
    if (*site && !departure_is_site(site))
        return fail(
            ERR_REFUSED,
            "'%s' is not where a node can be moved to: [user@]host:directory, or a directory from the "
            "root, at most %d plain characters",
            site, SITE_MAX);
    return db_exec(db, sql_make) ||
                   db_execf(db, "INSERT OR REPLACE INTO dx_departure VALUES (%lld, %lld, %Q)",
                            (long long)node, (long long)time, site)
               ? -1
               : 0;
}

int departure_cancel(struct db *db, int64_t node)
{
    int there = departure_present(db);
    return there <= 0 ? there : db_execf(db, "DELETE FROM dx_departure WHERE node = %lld", (long long)node);
}

int departure_find(struct db *db, int64_t node, struct departure *out)
{
    int there = departure_present(db);
    *out = (struct departure){0};
    if (there <= 0)
        return there;
    struct stmt *s =
        db_preparef(db, "SELECT time, site FROM dx_departure WHERE node = %lld", (long long)node);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW)
        *out = (struct departure){stmt_int(s, 0), mem_text(stmt_text(s, 1))};
    stmt_free(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

void departure_free(struct departure *d)
{
    free(d->site);
    *d = (struct departure){0};
}

bool departure_due(const struct departure *d)
{
    return d->time <= (int64_t)time(NULL);
}
