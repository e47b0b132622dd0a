/* files: see files.h. */
#include "files.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void files_triggers(const struct history *h, int who, struct buf *b)
{
    for (int t = 0; t < h->ntable; t++)
        if (h->table[t].triggers >= (who == SERVER ? TRIGGER_SERVER : TRIGGER_BOTH))
            buf_addf(b,
                     "CREATE TRIGGER note_%s AFTER INSERT ON %s WHEN new.%s IS NOT NULL BEGIN UPDATE %s SET "
                     "y = 'by ' || new.id "
                     "WHERE id = new.%s; END;\n",
                     h->table[t].name, h->table[t].name, files_reference(&h->table[t]),
                     h->table[h->table[t].parent].name, files_reference(&h->table[t]));
}

const char *files_reference(const struct sim_table *t)
{
    return t->subtype ? "id" : "p";
}

void files_schema(const struct history *h, struct buf *b)
{
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        struct buf refers = {0};
        if (x->parent >= 0 && x->action)
            buf_addf(&refers, " REFERENCES %s%s", h->table[x->parent].name, x->action);
        buf_addf(b,
                 "CREATE TABLE %s (id %s PRIMARY KEY%s%s, own TEXT, p %s%s, x, y, u%s, at INTEGER, h)%s;\n",
                 x->name, x->integer ? "INTEGER" : "TEXT NOT NULL", x->ranges ? " AUTOINCREMENT" : "",
                 x->subtype ? buf_text(&refers) : "",
                 x->parent >= 0 && h->table[x->parent].integer ? "INTEGER" : "TEXT",
                 x->subtype ? "" : buf_text(&refers), x->unique ? " UNIQUE" : "",
                 x->without_rowid && !x->integer ? " WITHOUT ROWID" : "");
        buf_free(&refers);
    }
    if (h->categories)
        buf_addf(b,
                 "CREATE TABLE cat (r %s NOT NULL REFERENCES t0 ON DELETE CASCADE, c TEXT NOT NULL, PRIMARY "
                 "KEY (r, c));\n",
                 h->table[0].integer ? "INTEGER" : "TEXT");
    files_triggers(h, SERVER, b);
}

static void put_rule(const struct history *h, const struct sim_table *t, struct buf *b)
{
    if (t->visible == RULE)
        buf_addf(b, "SELECT n.name, r.id FROM %s r JOIN dx_node n ON n.user = r.own", t->name);
    else
        buf_addf(b, "SELECT n.name, r.id FROM %s r JOIN %s q ON q.id = r.p JOIN dx_node n ON n.user = q.own",
                 t->name, h->table[t->parent].name);
}

void files_package(const struct history *h, int place, const char *const *except, struct buf *b)
{
    static const char *const permissions[] = {"yes", "no", "insert", "update, delete"};
    buf_puts(b, "[package]\nname = p\nversion = 1\n");
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        bool other = place && place % h->ntable == t;
        buf_addf(b, "\n[object %s]\nwrite = %s\nconflict = %s\ndeletes = %s\nkeys = %s\n", x->name,
                 other ? permissions[place / 64 % 4] : x->write, x->conflict, x->deletes, x->keys);
        if (x->duplicates)
            buf_addf(b, "user_key = u\nduplicates = %s\n", x->duplicates);
        if (x->told)
            buf_addf(b, "references = p -> %s\n", h->table[x->parent].name);
        const char *more = except ? except[t] : NULL;
        if (x->hides || more)
            buf_addf(b, "columns = * except %s%s%s\n", x->hides ? "h" : "", x->hides && more ? ", " : "",
                     more ? more : "");
        if (x->triggers == TRIGGER_BOTH)
            buf_puts(b, "triggers = copy\n");
        if (x->visible == VIA)
            buf_addf(b, "via = %s -> %s\n", files_reference(x), h->table[x->parent].name);
        else {
            buf_puts(b, "visible = ");
            if (x->visible == ALL)
                buf_puts(b, "all");
            else
                put_rule(h, x, b);
            buf_puts(b, "\n");
        }
    }
    if (h->categories)
        buf_puts(b, "\n[object cat]\nvia = r -> t0\n");
}

void files_handheld(const struct history *h, struct buf *b)
{
    buf_puts(b, "[handheld]\nname = palm\n");
    for (int t = 0; t < h->ntable; t++) {
        const struct sim_table *x = &h->table[t];
        buf_addf(b, "[object %s]\nfilter = all\n", x->name);
        if (x->told)
            buf_addf(b, "references = p -> %s\n", h->table[x->parent].name);
    }
    buf_puts(b, "[object cat]\nfollows = r -> t0\ncategory = c\norder = A, B, C, D\n");
}

void files_columns(const struct sim_table *t, struct buf *b)
{
    for (int c = 0; c < history_columns(t, 0); c++)
        buf_addf(b, "%sr.%s", c ? ", " : "", history_column[c]);
}

void files_seen(const struct history *h, int t, const char *row, int node, int depth, struct buf *b)
{
    const struct sim_table *x = &h->table[t];
    if (x->visible == ALL)
        buf_puts(b, "1");
    else if (x->visible == VIA) {
        char *above = mem_printf("a%d", depth);
        buf_addf(b, "EXISTS (SELECT 1 FROM %s %s WHERE %s.id = %s.%s AND ", h->table[x->parent].name, above,
                 above, row, files_reference(x));
        files_seen(h, x->parent, above, node, depth + 1, b);
        buf_puts(b, ")");
        free(above);
    } else {
        buf_addf(b, "%s.id IN (SELECT z.id FROM (", row);
        put_rule(h, x, b);
        buf_addf(b, ") z WHERE z.name = 'n%d')", node);
    }
}
