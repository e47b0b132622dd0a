/* app_triggers: which triggers fire while an archive is applied: those of the application that write to tables which are not
 * synchronized (a full-text index, a cache, an audit log), and no others. The effects of the others arrive as changes
 * themselves. */
#ifndef APP_TRIGGERS_H
#define APP_TRIGGERS_H

#include "data/table.h"
#include "sql/db.h"

struct app_triggers {
    struct db *db;
    size_t n;
    char **again; /* SQL of the triggers that were dropped and are made again, in their order */
    bool off;     /* no trigger fires at all */
};

/* Inside the transaction, for the tables whose rows may change. */
int app_triggers_begin(struct app_triggers *f, struct db *db, struct table *const *table, size_t n);

/* Makes the dropped triggers again, before the commit. */
int app_triggers_end(struct app_triggers *f);
void app_triggers_free(
    struct app_triggers *f); /* triggers fire again; after the transaction, however it ended */

#endif
