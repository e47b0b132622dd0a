/* app_triggers: which triggers fire while an archive is applied: those of the application that write only to tables of which
 * nothing travels (a full-text index, a cache, an audit log). The effects of the others arrive as changes themselves,
 * unless they are those of the server's own triggers, which the node does not have: in a merge these fire, too. */
#ifndef APP_TRIGGERS_H
#define APP_TRIGGERS_H

#include "data/table.h"
#include "sql/db.h"

/* A trigger that refuses rows in a statement that writes what travels: it can be neither fired nor left out. */
struct app_triggers_tangled {
    char *table, *name;
};

struct app_triggers {
    struct db *db;
    size_t n;
    char **name,
        **again; /* the triggers, and their SQL, that were dropped, or stand behind one that was, in their order */
    bool off; /* no trigger fires at all */
    size_t ntangled;
    struct app_triggers_tangled *tangled;
};

/* Whether the triggers of a table are the server's own for what is being applied. */
typedef bool app_triggers_act(void *ctx, const char *table);

/* Inside the transaction, for the tables whose rows may change. act: NULL where no trigger is the server's own. log: what
 * is applied is a log, in which every captured table travels. */
int app_triggers_begin(struct app_triggers *f, struct db *db, struct table *const *table, size_t n,
                       app_triggers_act *act, void *ctx, bool log);

/* The same for rows that come from no database where they fired: those that write nothing, and can only refuse, fire,
 * too; of those that write what travels, the statements that only read and can refuse a row. */
int app_triggers_begin_checking(struct app_triggers *f, struct db *db, struct table *const *table, size_t n);

/* The trigger of the table that refuses rows in a statement that writes what travels, which does not run: no row of the
 * table may be written past it. NULL when there is none. */
const char *app_triggers_tangled(const struct app_triggers *f, const char *table);

/* Makes the triggers again as they were, in their order, before the commit. */
int app_triggers_end(struct app_triggers *f);
void app_triggers_free(
    struct app_triggers *f); /* triggers fire again; after the transaction, however it ended */

#endif
