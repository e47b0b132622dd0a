/* lie: see lie.h. */
#include "lie.h"

#include "../sim/random.h"
#include "../sync/stage.h"
#include "archive/dx.h"
#include "base/err.h"
#include "base/mem.h"
#include "judge.h"
#include "way.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANGES = 12 };

/* A value of some row of the table, or one that no honest node would send. Text lives in `room`. */
static struct val any_lie(struct db *db, const char *table, const char *column, struct buf *room)
{
    static const char *const texts[] = {"1", "0", "u0", "u1", "u2", "k3", " 7", "", "w1", "1.0"};
    static const int64_t integers[] = {0, 1, 2, 3, 7, 500, -1, INT64_MAX, INT64_MIN};
    static const double reals[] = {1.0, 2.5, NAN, INFINITY, -0.0, 9.3e18};
    struct val v = {.type = VAL_NULL};
    if (chance(60)) {
        struct stmt *s = db_preparef(db, "SELECT \"%w\" FROM %s LIMIT 1 OFFSET %d", column, table, below(6));
        if (s && stmt_step(s) == STEP_ROW) {
            v = stmt_val(s, 0);
            if (v.type == VAL_TEXT || v.type == VAL_BLOB) {
                buf_clear(room);
                buf_add(room, v.p, v.n);
                v.p = room->p;
            }
        }
        stmt_free(s);
        return v;
    }
    switch (below(5)) {
    case 0:
        return v;
    case 1:
        return (struct val){.type = VAL_REAL, .r = reals[below(6)]};
    case 2:
        return (struct val){.type = VAL_BLOB, .p = "1\0x", .n = (size_t)below(4)};
    case 3:
        return val_text(any(texts, 10));
    default:
        return val_int(integers[below(9)]);
    }
}

static int put_change(struct dx_writer *w, struct db *db, const struct table *t)
{
    struct val old[COLUMNS], new[COLUMNS];
    struct buf room[2 * COLUMNS] = {0};
    struct change c = {.origin = "", .old = old, .new = new, .table = t};
    c.op = (enum change_op[]){CHANGE_INSERT, CHANGE_UPDATE, CHANGE_DELETE}[below(3)];
    bool any_new = false;
    for (size_t i = 0; i < t->ncol; i++) {
        old[i] = new[i] = (struct val){.type = VAL_NONE};
        struct val v = any_lie(db, t->name, t->col[i], &room[i]);
        if (t->pk[i])
            *(c.op == CHANGE_INSERT ? &new[i] : &old[i]) = v;
        else if (c.op == CHANGE_DELETE)
            old[i] = v;
        else if (c.op == CHANGE_INSERT || chance(50) || (i + 1 == t->ncol && !any_new)) {
            new[i] = v;
            any_new = true;
            if (c.op == CHANGE_UPDATE)
                old[i] = any_lie(db, t->name, t->col[i], &room[COLUMNS + i]);
        }
    }
    int rc = dx_write(w, &c);
    for (int i = 0; i < 2 * COLUMNS; i++)
        buf_free(&room[i]);
    return rc;
}

static void add_tables(const struct place *p, struct dx_head *h)
{
    for (int t = 0; t < p->h->ntable; t++) {
        uint8_t pk[COLUMNS] = {1};
        struct table *x = table_new(p->h->table[t].name, COLUMNS, history_column, pk);
        dx_head_add_table(h, x);
        table_free(x);
    }
}

static int write_upload(const struct place *p, struct db *db, int node, int64_t number, int64_t applied,
                        const char *path)
{
    struct dx_head h;
    char *epoch = NULL, *from = mem_printf("n%d", node);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dx_head_init(&h, DX_UPLOAD);
    int rc = fd < 0 || db_get_text(db, &epoch, "SELECT epoch FROM dx_nodes WHERE name = %Q", from);
    dx_head_set(&h.from, from);
    dx_head_set(&h.epoch, epoch ? epoch : "");
    h.number = number;
    h.applied = applied;
    add_tables(p, &h);
    struct dx_writer *w = rc ? NULL : dx_writer_open(fd, "upload", &h, 1);
    rc = rc || w == NULL;
    for (int i = 1 + below(CHANGES); rc == 0 && i > 0; i--)
        rc = put_change(w, db, h.table[below((int)h.ntable)]);
    if (w && rc)
        dx_writer_abort(w);
    else if (w)
        rc = dx_writer_close(w);
    if (fd >= 0)
        close(fd);
    dx_head_free(&h);
    free(epoch);
    free(from);
    return rc ? -1 : 0;
}

int lie(struct place *p, const struct sim_step *s)
{
    int64_t merged = 0, archive = 0;
    random_seed((uint64_t)s->place);
    if (way_cron(p, NULL) || place_follow(p) || lie_follow(p))
        return -1;
    struct db *db = place_open(SERVER);
    int rc = db == NULL ||
             db_get_int(db, &merged, "SELECT merged FROM dx_nodes WHERE name = 'n%d'", s->node) ||
             db_get_int(db, &archive, "SELECT archive FROM dx_nodes WHERE name = 'n%d'", s->node);
    int64_t number = chance(75) ? merged + 1 : chance(50) ? merged : merged + 2 + below(9);
    int64_t applied = chance(60) ? archive : below(9);
    char *path = mem_printf("site/docking/n%d/inbox/%08lld.dx", s->node, (long long)(number ? number : 1));
    char *make = mem_printf("mkdir -p site/docking/n%d/inbox; rm -f kept/before.db", s->node);
    rc = rc || system(make) || write_upload(p, db, s->node, number ? number : 1, applied, path);
    db_close(db);
    rc = rc ? stage_broke("no upload of a liar: %s", err_message()) : 0;
    rc = rc || place_copy(SERVER, "kept/before.db") || way_cron(p, NULL) ||
         judge(p, s->node, "kept/before.db");
    free(make);
    free(path);
    p->lied[s->node] = true;
    return rc ? -1 : 0;
}

int lie_amends(struct place *p)
{
    int rc = 0;
    for (int n = 0; rc == 0 && n < p->h->nnode; n++) {
        if (!p->lied[n])
            continue;
        char *command = mem_printf("rm -f site/docking/n%d/inbox/*", n), *node = mem_printf("n%d", n);
        rc = system(command) ||
             WAY(p, NULL, NULL, NULL, 3, "txnroute", "node", "release", "site/hq.db", node) ||
             way_initsync(p, NULL, n);
        free(command);
        free(node);
    }
    return rc ? -1 : 0;
}
