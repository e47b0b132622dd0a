/* scene: see scene.h. */
#include "scene.h"

#include "../sim/random.h"
#include "base/mem.h"
#include "statement.h"

#include <stdlib.h>

struct sim_step *scene_step(struct history *h, enum kind kind, int node)
{
    if (h->nstep == STEPS)
        h->nstep--;
    struct sim_step *s = &h->step[h->nstep++];
    *s = (struct sim_step){.kind = kind, .node = node, .which = below(100), .damage = below(100)};
    s->place = below(1 << 30);
    if (kind != STEP_SQL && kind != STEP_USER && !h->smooth && chance(25)) {
        s->hurt = chance(50) ? HURT_STOP : chance(60) ? HURT_KILL : HURT_DISK;
        s->at = s->hurt == HURT_STOP ? 1 + below(12) : s->hurt == HURT_KILL ? below(15000) : below(60000);
    }
    return s;
}

void scene_sql(struct history *h, int who)
{
    struct sim_step *s = scene_step(h, STEP_SQL, who);
    for (int i = 0, n = 1 + below(STATEMENTS); i < n; i++)
        s->sql[i] = statement_make(h, who);
}

/* A stage that goes well, with the archive whose turn it is. */
static void add_sound(struct history *h, enum kind kind, int node)
{
    struct sim_step *s = scene_step(h, kind, node);
    s->which = s->damage = 0;
    s->hurt = HURT_NOT;
}

static void add_text(struct history *h, int who, char *sql)
{
    scene_step(h, STEP_SQL, who)->sql[0] = sql;
}

static char *touch(struct history *h, const struct sim_table *t, int key, int who)
{
    return mem_printf("UPDATE OR IGNORE %s SET y = 'v%d.%d' WHERE id = %d", t->name, who, h->token++, key);
}

void scene_collision(struct history *h)
{
    int n = below(h->nnode), key = 500 + h->token++;
    const struct sim_table *t = &h->table[below(h->ntable)];
    if (!t->integer || key >= 1000)
        return;
    for (int who = SERVER; who <= n; who += n + 1)
        add_text(h, who,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, x) VALUES (%d, 'u%d', 'v%d.%d')", t->name,
                            key, n % USERS, who, h->token++));
    add_sound(h, STEP_UPLOAD, n);
    for (int i = 0; i < 3; i++)
        add_sound(h, STEP_MERGE, n);
    add_sound(h, STEP_ROUTE, SERVER);
    if (chance(70)) {
        add_text(h, n, touch(h, t, key, n));
        add_sound(h, STEP_UPLOAD, n);
        add_sound(h, STEP_MERGE, n);
    }
    for (int i = 0; i < 3; i++)
        add_sound(h, STEP_APPLY, n);
    add_text(h, n, touch(h, t, key, n));
    add_sound(h, STEP_UPLOAD, n);
}

/* n uploads all, and the server merges and routes it; the others, and n, follow. */
static void add_exchange(struct history *h, int n)
{
    add_sound(h, STEP_UPLOAD, n);
    for (int i = 0; i < 2; i++)
        add_sound(h, STEP_MERGE, n);
    if (chance(30))
        return;
    add_sound(h, STEP_ROUTE, SERVER);
    for (int i = 0; i < h->nnode; i++)
        add_sound(h, STEP_APPLY, i);
}

/* A key of the table that nobody has, whatever its type. */
static char *free_key(struct history *h, const struct sim_table *t)
{
    int key = 600 + h->token++;
    return t->integer ? mem_printf("%d", key) : mem_printf("'f%d'", key);
}

/* A table that declares what its rows refer to, if there is one. */
static const struct sim_table *declared(const struct history *h)
{
    const struct sim_table *t = &h->table[below(h->ntable)];
    for (int i = 0; i < h->ntable && (t->parent < 0 || t->action == NULL); i++)
        t = &h->table[i];
    return t->parent < 0 || t->action == NULL ? NULL : t;
}

void scene_family(struct history *h)
{
    const struct sim_table *t = declared(h);
    int n = below(h->nnode), user = n % USERS;
    if (t == NULL)
        return;
    const struct sim_table *above = &h->table[t->parent];
    char *first = free_key(h, above);
    add_text(
        h, SERVER,
        mem_printf("INSERT OR IGNORE INTO %s (id, own, x) VALUES (%s, 'u%d', 0)", above->name, first, user));
    add_exchange(h, n);
    add_text(h, n, mem_printf("DELETE FROM %s WHERE id = %s", above->name, first));
    for (int i = 0; i < 2; i++) {
        char *key = free_key(h, t);
        add_text(h, SERVER,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, p, y) VALUES (%s, 'u%d', %s, 'v%d.%d')",
                            t->name, key, i, first, SERVER, h->token++));
        if (chance(50))
            add_text(h, n,
                     mem_printf("INSERT OR IGNORE INTO %s (id, own, p) VALUES (%s, 'u%d', %s)", t->name, key,
                                user, chance(50) ? first : "NULL"));
        free(key);
    }
    add_exchange(h, n);
    free(first);
}

void scene_waiting(struct history *h)
{
    const struct sim_table *t = declared(h);
    int n = below(h->nnode), other = chance(40) ? n : below(h->nnode), user = n % USERS;
    if (t == NULL || h->enforced)
        return;
    const struct sim_table *above = &h->table[t->parent];
    char *key = free_key(h, t), *first = free_key(h, above), *missing = free_key(h, above);
    bool moves = chance(50);
    if (moves) {
        add_text(h, SERVER,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, x) VALUES (%s, 'u%d', 0)", above->name, first,
                            user));
        add_text(h, SERVER,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, p) VALUES (%s, 'u%d', %s)", t->name, key,
                            user, first));
        add_exchange(h, n);
        add_text(h, n,
                 mem_printf("UPDATE OR IGNORE %s SET p = %s, y = 'v%d.%d' WHERE id = %s", t->name,
                            chance(80) ? missing : "NULL", n, h->token++, key));
    } else
        add_text(h, n,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, p, y) VALUES (%s, 'u%d', %s, 'v%d.%d')",
                            t->name, key, user, missing, n, h->token++));
    add_exchange(h, n);
    if (moves)
        add_text(h, other, mem_printf("DELETE FROM %s WHERE id = %s", above->name, first));
    else
        add_text(h, SERVER,
                 mem_printf("INSERT OR IGNORE INTO %s (id, own, x) VALUES (%s, 'u%d', 'v%d.%d')", t->name,
                            key, user, SERVER, h->token++));
    if (chance(40))
        scene_step(h, STEP_ALLOW, SERVER);
    add_exchange(h, other);
    if (chance(50)) {
        add_text(
            h, n,
            mem_printf("UPDATE OR IGNORE %s SET y = 'v%d.%d' WHERE id = %s", t->name, n, h->token++, key));
        add_exchange(h, n);
    }
    if (chance(70))
        add_text(
            h, chance(50) ? SERVER : other,
            mem_printf("INSERT OR IGNORE INTO %s (id, own) VALUES (%s, 'u%d')", above->name, missing, user));
    add_exchange(h, other);
    free(key);
    free(first);
    free(missing);
}
