/* plot: see plot.h. */
#include "plot.h"

#include "../sim/random.h"
#include "../sync/statement.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static struct sim_step *add_step(struct history *h, int kind, int node, bool hurts)
{
    if (h->nstep == STEPS)
        h->nstep--;
    struct sim_step *s = &h->step[h->nstep++];
    *s = (struct sim_step){.kind = kind, .node = node, .which = below(100)};
    s->place = below(1 << 30);
    if (hurts && chance(15)) {
        s->hurt = chance(60) ? HURT_STOP : HURT_KILL;
        s->at = s->hurt == HURT_STOP ? 1 + below(12) : below(150000);
    }
    return s;
}

/* A column that was added, perhaps, or the new type of one. */
static char *write_added(struct history *h, int who)
{
    const struct sim_table *t = &h->table[below(h->ntable)];
    return mem_printf(
        "UPDATE OR IGNORE %s SET z%d = 'v%d.%d' WHERE id = (SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)",
        t->name, below(3), who, h->token++, t->name, below(5));
}

/* A category of a row of the first table comes, changes, or goes. */
static char *write_category(const struct history *h)
{
    int q = below(100), c = 'A' + below(4);
    char *row = mem_printf("(SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d)", h->table[0].name, below(5));
    char *sql = q < 50   ? mem_printf("INSERT OR IGNORE INTO cat (r, c) VALUES (%s, '%c')", row, c)
                : q < 80 ? mem_printf("UPDATE OR IGNORE cat SET c = '%c' WHERE r = %s", c, row)
                : q < 90 ? mem_printf("DELETE FROM cat WHERE r = %s AND c = '%c'", row, c)
                         : mem_printf("DELETE FROM cat WHERE r = %s", row);
    free(row);
    return sql;
}

/* A row of a table that was added, perhaps. */
static char *write_added_table(struct history *h, int who)
{
    int q = below(100), e = below(2);
    char *key = e == 0 ? mem_text("NULL") : mem_printf("'k%d'", below(8));
    char *row = mem_printf("id = (SELECT id FROM e%d ORDER BY id LIMIT 1 OFFSET %d)", e, below(4));
    char *sql = q < 50 ? mem_printf("INSERT OR IGNORE INTO e%d (id, own, x) VALUES (%s, 'u%d', 'v%d.%d')", e,
                                    key, below(USERS), who, h->token++)
                : q < 85
                    ? mem_printf("UPDATE OR IGNORE e%d SET x = 'v%d.%d' WHERE %s", e, who, h->token++, row)
                    : mem_printf("DELETE FROM e%d WHERE %s", e, row);
    free(key);
    free(row);
    return sql;
}

static void add_sql(struct history *h, int who, int with)
{
    struct sim_step *s = add_step(h, STEP_SQL, who, false);
    s->device = who != SERVER && with & WITH_DEVICES && chance(50);
    for (int i = 0, n = 1 + below(STATEMENTS); i < n; i++)
        s->sql[i] = with & WITH_SCHEMA && chance(20)  ? write_added(h, who)
                    : with & WITH_SCHEMA && chance(8) ? write_added_table(h, who)
                    : h->categories && chance(25)     ? write_category(h)
                                                      : statement_make(h, who);
}

static void add_restore_or_loss(struct history *h, int n, int with)
{
    int q = below(100);
    if (q < 68) {
        bool device = with & WITH_DEVICES && chance(40);
        add_step(h, q < 40 ? ACT_BACK_UP : ACT_RESTORE, !device && chance(50) ? SERVER : n, false)->device =
            device;
    } else if (q < 84)
        add_step(h, ACT_LOSE, n, false);
    else if (q < 92)
        add_step(h, ACT_PUT_BACK, n, false);
    else if (with & WITH_TWINS)
        add_step(h, ACT_TWIN, n, false)->device = with & WITH_DEVICES && chance(50);
}

static void add_schema_change(struct history *h, int n, bool hurts)
{
    int q = below(100);
    int act = q < 30   ? ACT_ADD
              : q < 50 ? ACT_REMAKE
              : q < 62 ? ACT_DROP
              : q < 74 ? ACT_RETYPE
              : q < 86 ? ACT_TABLE
                       : ACT_PACKAGE;
    int who = act == ACT_PACKAGE || chance(50) ? SERVER : n;
    add_step(h, act, who, false);
    if (chance(60)) { /* something is written at once, captured or not */
        add_sql(h, who, WITH_SCHEMA);
        add_step(h, ACT_SESSION, n, hurts);
    }
}

struct history *plot_site(uint64_t seed, int most_nodes, int with)
{
    struct history *h = mem_zero(1, sizeof *h);
    bool hurts = with & WITH_HURTS;
    h->seed = seed;
    random_seed(seed);
    h->colliding = chance(30);
    h->token = 10;
    h->enforced = chance(40);
    h->nnode = 2 + below(most_nodes - 1);
    history_tables(h);
    h->categories = (with & (WITH_DEVICES | WITH_SCHEMA)) == WITH_DEVICES && chance(60);
    for (int i = 4 + below(6); i > 0; i--)
        add_sql(h, SERVER, 0);
    for (int n = 0; n < h->nnode; n++)
        add_step(h, ACT_INITSYNC, n, false);
    for (int n = 0; with & WITH_DEVICES && n < h->nnode; n++)
        add_step(h, ACT_PAIR, n, false);
    for (int i = 10 + below(30); i > 0; i--) {
        int n = below(h->nnode), q = below(100);
        if (with & WITH_RESTORES && chance(22))
            add_restore_or_loss(h, n, with);
        else if (with & WITH_DEVICES && chance(25))
            add_step(h, chance(10) ? ACT_PATCH : ACT_DEVICE, n, hurts)->device = true;
        else if (with & WITH_LIES && chance(20))
            add_step(h, ACT_LIE, 0, false);
        else if (with & WITH_SCHEMA && chance(12))
            add_schema_change(h, n, hurts);
        else if (q < 15)
            add_sql(h, SERVER, with);
        else if (q < 50)
            add_sql(h, n, with);
        else if (q < 90)
            add_step(h, ACT_SESSION, n, hurts);
        else
            add_step(h,
                     q < 94   ? ACT_CRON
                     : q < 96 ? ACT_USER
                     : q < 98 ? ACT_RESOLVE
                              : ACT_INITSYNC,
                     n, hurts && q < 96);
    }
    return h;
}

void plot_tell(const struct history *h)
{
    static const char *const words[] = {"a session of",
                                        "dxcron for",
                                        "initsync of",
                                        "a backup of",
                                        "put back from a backup:",
                                        "docking loses something of",
                                        "a second copy beside",
                                        "saved archives are put back: those of",
                                        "another user for",
                                        "a conflict is resolved",
                                        "a column is added in",
                                        "a table is made again in",
                                        "a column is dropped in",
                                        "a column gets another type in",
                                        "a table is added in",
                                        "another package",
                                        "a handheld for",
                                        "the handheld is synchronized of",
                                        "a patch is staged, beside",
                                        "lies of"};
    for (int i = 0; i < h->nstep; i++) {
        const struct sim_step *s = &h->step[i];
        if (s->off)
            continue;
        printf("%3d  ", i);
        if (s->kind == STEP_SQL)
            for (int k = 0; k < STATEMENTS && s->sql[k]; k++)
                printf("%s%s%d: %s;\n", k ? "     " : "", s->device ? "device " : "", s->node, s->sql[k]);
        else
            printf("%s %s%d", words[s->kind - ACT_SESSION], s->device ? "device " : "", s->node);
        if (s->hurt)
            printf(", %s %d", s->hurt == HURT_STOP ? "stopped at durable step" : "killed after microseconds",
                   s->at);
        printf("%s", s->kind == STEP_SQL ? "" : "\n");
    }
}
