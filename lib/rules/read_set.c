/* read_set: see rules/read_set.h. */
#include "rules/read_set.h"

#include "base/mem.h"

#include <stdlib.h>
#include <strings.h>

static void note_touch(void *ctx, int action, const char *a, const char *b, const char *database,
                       const char *through)
{
    struct read_set *s = ctx;
    (void)database;
    if (action != DB_ACTION_READ)
        return;
    s->t = mem_grow(s->t, s->n + 1, sizeof *s->t);
    s->t[s->n++] = (struct read_set_table){mem_text(a), mem_text(b), mem_text(through)};
}

int read_set_of(struct db *db, const char *sql, struct read_set *out)
{
    return db_touches(db, sql, note_touch, out);
}

void read_set_free(struct read_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->t[i].table);
        free(s->t[i].column);
        free(s->t[i].through);
    }
    free(s->t);
    *s = (struct read_set){0};
}

bool read_set_table(const struct read_set *s, const char *table)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcasecmp(s->t[i].table, table) == 0)
            return true;
    return false;
}
