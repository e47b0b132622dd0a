/* judge: see judge.h. */
#include "judge.h"

#include "../sync/files.h"
#include "../sync/stage.h"
#include "base/err.h"
#include "base/mem.h"
#include "lie.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who has seen what ---- */

static char *seen_name(int node, const char *table, const struct val *id)
{
    return id->type == VAL_INT ? mem_printf(" n%d %s %lld;", node, table, (long long)id->i)
                               : mem_printf(" n%d %s '%.*s';", node, table, (int)id->n, (const char *)id->p);
}

static bool has_seen(struct place *p, int node, const char *table, const struct val *id)
{
    char *name = seen_name(node, table, id);
    bool has = strstr(buf_text(&p->seen), name) != NULL;
    free(name);
    return has;
}

int lie_follow(struct place *p)
{
    struct db *db = place_open(SERVER);
    int rc = db ? 0 : -1;
    for (int n = 0; rc == 0 && n < p->h->nnode; n++)
        for (int t = 0; rc == 0 && t < p->h->ntable; t++) {
            struct buf sql = {0};
            buf_addf(&sql, "SELECT r.id FROM %s r WHERE ", p->h->table[t].name);
            files_seen(p->h, t, "r", n, 0, &sql);
            struct stmt *s = db_prepare(db, buf_text(&sql));
            rc = s ? 0 : stage_broke("%s", err_message());
            while (rc == 0 && stmt_step(s) == STEP_ROW) {
                struct val id = stmt_val(s, 0);
                if (!has_seen(p, n, p->h->table[t].name, &id)) {
                    char *name = seen_name(n, p->h->table[t].name, &id);
                    buf_puts(&p->seen, name);
                    free(name);
                }
            }
            stmt_free(s);
            buf_free(&sql);
        }
    db_close(db);
    return rc;
}

/* ---- one row ---- */

struct court {
    struct place *p;
    const struct sim_table *t;
    int node;
    struct db *before, *after;
};

static bool allows(const struct sim_table *t, const char *what)
{
    return strcmp(t->write, "yes") == 0 || strstr(t->write, what) != NULL;
}

/* Whether a foreign key's action may reach the row: its parent is the node's to delete or to rename. */
static bool acted_upon(const struct court *c, const struct val *p)
{
    const struct sim_table *t = c->t;
    if (t->parent < 0 || t->action == NULL || t->action[0] == 0 || p->type == VAL_NULL)
        return false;
    return true;
}

static int guilty(const struct court *c, const struct val *id, const char *what)
{
    char *name = seen_name(c->node, c->t->name, id);
    int rc = stage_broke("a lie of n%d has %s a row that it may not: %s", c->node, what, name);
    free(name);
    return rc;
}

/* A row as it was before, in columns as history_column has them. */
static int judge_row(const struct court *c, struct stmt *was)
{
    struct val id = stmt_val(was, ID), parent = stmt_val(was, P);
    bool seen = has_seen(c->p, c->node, c->t->name, &id), acted = acted_upon(c, &parent);
    struct stmt *is =
        db_preparef(c->after, "SELECT id, own, p, x, y, u, at, h FROM %s WHERE id = ?", c->t->name);
    int rc = is ? 0 : stage_broke("%s", err_message());
    if (rc == 0)
        stmt_bind(is, 1, &id);
    bool there = rc == 0 && stmt_step(is) == STEP_ROW;
    if (rc == 0 && !there && !acted && !(seen && allows(c->t, "delete")))
        rc = guilty(c, &id, "deleted");
    for (int i = OWN; rc == 0 && there && i < COLUMNS; i++) {
        struct val a = stmt_val(was, i), b = stmt_val(is, i);
        if (val_same(&a, &b) || (i == P && acted))
            continue;
        bool made_again = seen && allows(c->t, "delete") && allows(c->t, "insert");
        if (i == H && c->t->hides)
            rc = made_again && b.type == VAL_NULL ? 0 : guilty(c, &id, "changed a hidden column of");
        else if (!seen || !(allows(c->t, "update") || made_again))
            rc = guilty(c, &id, "changed");
    }
    stmt_free(is);
    return rc;
}

static int judge_table(const struct court *c)
{
    struct stmt *was = db_preparef(c->before, "SELECT id, own, p, x, y, u, at, h FROM %s", c->t->name);
    int rc = was ? 0 : stage_broke("%s", err_message());
    while (rc == 0 && stmt_step(was) == STEP_ROW)
        rc = judge_row(c, was);
    stmt_free(was);
    if (rc || allows(c->t, "insert"))
        return rc;
    struct stmt *is = db_preparef(c->after, "SELECT id FROM %s", c->t->name);
    while (rc == 0 && stmt_step(is) == STEP_ROW) {
        struct val id = stmt_val(is, 0);
        struct stmt *old = db_preparef(c->before, "SELECT 1 FROM %s WHERE id = ?", c->t->name);
        stmt_bind(old, 1, &id);
        if (stmt_step(old) != STEP_ROW)
            rc = guilty(c, &id, "made");
        stmt_free(old);
    }
    stmt_free(is);
    return rc;
}

int judge(struct place *p, int node, const char *before)
{
    struct court c = {.p = p, .node = node, .before = db_open(before, DB_WRITE), .after = place_open(SERVER)};
    struct token_set was = {0}, is = {0};
    int rc = c.before && c.after ? 0 : stage_broke("%s", err_message());
    for (int t = 0; rc == 0 && t < p->h->ntable; t++) {
        c.t = &p->h->table[t];
        rc = judge_table(&c);
    }
    rc = rc || token_in_tables(&was, c.before) || token_in_tables(&is, c.after);
    for (int i = 0; rc == 0 && i < p->ntoken; i++)
        if (token_has(&was, i) && !token_has(&is, i)) {
            p->token[i].gone = true;
            p->token[i].gone_in = SERVER;
        }
    token_free(&was);
    token_free(&is);
    db_close(c.before);
    db_close(c.after);
    return rc ? -1 : 0;
}
