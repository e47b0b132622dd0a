/* history: see history.h. */
#include "history.h"

#include "../sim/random.h"
#include "base/mem.h"
#include "scene.h"
#include "statement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const history_column[COLUMNS] = {"id", "own", "p", "x", "y", "u", "at", "h"};

void history_tables(struct history *h)
{
    h->ntable = 3 + below(3);
    int integer = below(h->ntable);
    for (int t = 0; t < h->ntable; t++) {
        struct sim_table *x = &h->table[t];
        snprintf(x->name, sizeof x->name, "t%d", t);
        x->integer = t == integer || (h->colliding && chance(60));
        x->without_rowid = chance(30);
        x->unique = chance(25);
        x->hides = chance(20);
        x->parent = chance(15) ? t : t && chance(80) ? below(t) : -1;
        x->action = chance(45) ? NULL
                               : ANY("", " ON DELETE CASCADE", " ON DELETE CASCADE", " ON DELETE SET NULL",
                                     " ON UPDATE CASCADE");
        x->visible = t == 0 ? RULE : below(3);
        if (x->parent < 0 && x->visible == FAR)
            x->visible = RULE;
        if (x->parent >= 0 && x->parent != t && chance(50))
            x->visible = VIA;
        if (x->parent >= 0 && x->visible != VIA &&
            chance(10)) /* tables that refer to each other in a circle */
            x->parent = below(h->ntable);
        x->write = chance(85) ? "yes" : ANY("no", "insert, update", "insert", "update, delete");
        x->conflict = chance(50) ? "server" : ANY("client", "newest at", "ask");
        x->deletes = ANY("win", "lose");
        x->keys = chance(80) ? "rekey" : "issue";
        x->duplicates = chance(30) ? ANY("issue", "keep", "adopt") : NULL;
        x->ranges = x->integer && chance(30);
        if (x->ranges)
            x->keys = "ranges 10";
        x->subtype = x->integer && !x->ranges && x->parent >= 0 && x->parent != t &&
                     h->table[x->parent].integer && t > x->parent && chance(40);
        if (x->subtype) {
            x->action = ANY("", " ON DELETE CASCADE");
            x->visible = VIA;
            x->duplicates = NULL;
        }
        if (x->parent >= 0 && x->parent < t && chance(20))
            x->triggers = chance(50) ? TRIGGER_SERVER : TRIGGER_BOTH;
        x->told = x->parent >= 0 && x->action == NULL && x->visible != VIA && chance(60);
    }
}

int history_columns(const struct sim_table *t, int who)
{
    return who == SERVER || !t->hides ? COLUMNS : COLUMNS - 1;
}

struct history *history_make(uint64_t seed, int most_nodes, bool colliding, bool smooth)
{
    struct history *h = mem_zero(1, sizeof *h);
    h->colliding = colliding;
    h->smooth = smooth;
    h->seed = seed;
    random_seed(seed);
    h->token = 10;
    h->enforced = chance(40);
    h->nnode = 3 + below(most_nodes - 2);
    history_tables(h);
    for (int i = 4 + below(8); i > 0; i--)
        scene_sql(h, SERVER);
    for (int n = 0; n < h->nnode; n++)
        scene_step(h, STEP_EXTRACT, n)->hurt = HURT_NOT;
    for (int i = 10 + below(60); i > 0; i--) {
        int n = below(h->nnode), q = below(100);
        if (colliding && chance(4))
            scene_collision(h);
        else if (chance(7))
            scene_waiting(h);
        else if (chance(4))
            scene_family(h);
        else if (chance(2))
            scene_step(h, chance(60) ? STEP_RESOLVE : STEP_ALLOW, SERVER);
        else if (q < 12)
            scene_sql(h, SERVER);
        else if (q < 42)
            scene_sql(h, n);
        else
            scene_step(h,
                       q < 54   ? STEP_UPLOAD
                       : q < 67 ? STEP_MERGE
                       : q < 77 ? STEP_ROUTE
                       : q < 92 ? STEP_APPLY
                       : q < 96 ? STEP_TRIM
                       : q < 98 ? STEP_USER
                                : STEP_EXTRACT,
                       q < 77 && q >= 67                 ? SERVER
                       : q >= 92 && chance(30) && q < 96 ? SERVER
                                                         : n);
    }
    return h;
}

void history_free(struct history *h)
{
    for (int s = 0; s < h->nstep; s++)
        for (int i = 0; i < STATEMENTS; i++)
            free(h->step[s].sql[i]);
    free(h);
}
