/* verb: see verbs/verb.h. */
#include "verbs/verb.h"

#include "cli/cli.h"
#include "journal/meta.h"
#include "route/route.h"

#include <stdio.h>
#include <string.h>

int verb_close(struct db *db, int rc, int code)
{
    db_close(db);
    return rc ? -1 : code;
}

struct db *verb_open_router(const char *path)
{
    struct db *db = db_open(path, DB_WRITE);
    if (db && (meta_require(db) || db_begin_write(db) || route_init(db))) {
        db_close(db);
        return NULL;
    }
    return db;
}

int verb_commit(struct db *db, int rc)
{
    if (rc == 0)
        rc = db_commit(db);
    db_close(db);
    return rc ? -1 : 0;
}

int verb_load_conf(const char *path, struct conf **conf)
{
    *conf = path ? conf_read_sparse(path) : NULL;
    return path && *conf == NULL ? -1 : 0;
}

void verb_warn_line(const char *line)
{
    cli_warn("%s", line);
}

void verb_print_wrapped(const char *text)
{
    enum { WIDTH = 80, INDENT = 6 };
    size_t left = strlen(text), room = WIDTH;
    while (left > room + 1) {
        size_t n = room;
        while (n && text[n] != ' ')
            n--;
        if (n == 0)
            break;
        printf("%.*s\n%*s", (int)n, text, INDENT, "");
        text += n + 1;
        left -= n + 1;
        room = WIDTH - INDENT;
    }
    fputs(text, stdout);
}

int verb_tell_steps(int rc)
{
    cli_say("%lld thousand steps of SQL", (long long)db_steps(NULL));
    return rc;
}
