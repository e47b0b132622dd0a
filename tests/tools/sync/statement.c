/* statement: see statement.h. */
#include "statement.h"

#include "../sim/random.h"
#include "base/buf.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static char *any_value(struct history *h, const struct sim_table *t, int c, int who)
{
    const char *parent = t->parent >= 0 ? h->table[t->parent].name : t->name;
    switch (c) {
    case OWN:
        return mem_text(ANY("'u0'", "'u1'", "'u2'", "'u0'", "'u1'", "NULL"));
    case P:
        return chance(85) ? mem_printf("(SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)", parent, below(4))
                          : mem_text("NULL");
    case AT:
        return mem_printf("%d", h->token++);
    case U:
        if ((t->unique || t->duplicates) && chance(30))
            return mem_printf("'w%d'", below(5));
        break;
    case X:
        if (chance(80)) /* two, so that values go away and come back */
            return mem_text(ANY("0", "1"));
        break;
    default:
        if (chance(30))
            return mem_text(ANY("NULL", "0", "1", "2", "1.5", "x'00ff'", "''", "-0.0", "'\xc3\xa4'"));
    }
    return mem_printf("'v%d.%d'", who, h->token++);
}

static char *new_key(struct history *h, const struct sim_table *t, int who)
{
    if (t->subtype && chance(90)) /* the key of a parent */
        return mem_printf("(SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)", h->table[t->parent].name,
                          below(6));
    if (t->ranges && chance(60))
        return mem_text("NULL");                  /* SQLite's next in the range */
    if (t->integer && h->colliding && chance(85)) /* as the database hands them out, or one that was in use */
        return chance(75) ? mem_printf("(SELECT coalesce(max(id), 0) + 1 FROM %s WHERE id < 1000)", t->name)
                          : mem_printf("%d", 1 + below(9));
    if (t->integer)
        return mem_printf("%d", 1000 * (who + 2) + h->token++);
    return chance(30) ? mem_printf("'k%d'", below(8)) : mem_printf("'n%d.%d'", who, h->token++);
}

static char *some_row(const struct sim_table *t)
{
    return mem_printf("id = (SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)", t->name, below(5));
}

static void put_insert(struct history *h, struct buf *b, const struct sim_table *t, int who, const char *verb)
{
    int n = history_columns(t, who);
    buf_addf(b, "%s INTO %s (id", verb, t->name);
    for (int c = 1; c < n; c++)
        buf_addf(b, ", %s", history_column[c]);
    char *key = new_key(h, t, who);
    buf_addf(b, ") VALUES (%s", key);
    free(key);
    for (int c = 1; c < n; c++) {
        char *v = any_value(h, t, c, who);
        buf_addf(b, ", %s", v);
        free(v);
    }
    buf_puts(b, ")");
}

static void put_update(struct history *h, struct buf *b, const struct sim_table *t, int who)
{
    char *row = some_row(t);
    buf_addf(b, "UPDATE OR IGNORE %s SET ", t->name);
    for (int i = 0, n = 1 + below(2), c = chance(30) ? X : 1 + below(history_columns(t, who) - 1); i < n;
         i++) {
        char *v = any_value(h, t, c, who);
        buf_addf(b, "%s%s = %s", i ? ", " : "", history_column[c], v);
        free(v);
        c = c + 1 < history_columns(t, who) ? c + 1 : 1;
        if (n > 1 && history_columns(t, who) == 2)
            break;
    }
    if (strcmp(t->conflict, "newest at") == 0 && chance(60) && strstr(buf_text(b), " at = ") == NULL)
        buf_addf(b, ", at = %d", h->token++);
    buf_addf(b, " WHERE %s", row);
    free(row);
}

char *statement_make(struct history *h, int who)
{
    const struct sim_table *t = &h->table[below(h->ntable)];
    struct buf b = {0};
    char *row = some_row(t), *key = NULL;
    int q = below(100);
    if (q < 32)
        put_insert(h, &b, t, who, "INSERT OR IGNORE");
    else if (q < 37)
        put_insert(h, &b, t, who, "INSERT OR REPLACE");
    else if (q < 42) {
        put_insert(h, &b, t, who, "INSERT");
        buf_puts(&b, " ON CONFLICT (id) DO UPDATE SET x = excluded.x, own = excluded.own");
    } else if (q < 80)
        put_update(h, &b, t, who);
    else if (q < 85) {
        key = new_key(h, t, who);
        buf_addf(&b, "UPDATE OR IGNORE %s SET id = %s WHERE %s", t->name, key, row);
    } else if (q < 88 && t->unique) /* two unique values change places */
        buf_addf(&b,
                 "CREATE TEMP TABLE s AS SELECT id, u FROM %s ORDER BY id LIMIT 2 OFFSET %d; UPDATE %s SET "
                 "u = 's' || id || u WHERE id IN (SELECT id FROM s); UPDATE %s SET u = (SELECT s.u FROM s "
                 "WHERE s.id <> %s.id) WHERE id IN (SELECT id FROM s) AND (SELECT count(*) FROM s) = 2; "
                 "DROP TABLE s",
                 t->name, below(4), t->name, t->name, t->name);
    else if (q < 92) { /* a row that comes and goes, perhaps one that another has made, too */
        key = h->colliding && t->integer ? mem_printf("%d", 1 + below(9))
              : t->integer               ? new_key(h, t, who)
                                         : mem_printf("'k%d'", below(8));
        buf_addf(&b, "INSERT OR IGNORE INTO %s (id) VALUES (%s); DELETE FROM %s WHERE id = %s", t->name, key,
                 t->name, key);
    } else
        buf_addf(&b, "DELETE FROM %s WHERE %s", t->name, row);
    free(row);
    free(key);
    return buf_take(&b);
}
