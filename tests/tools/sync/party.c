/* party: see party.h. */
#include "party.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct party *party_of(struct run *r, int node)
{
    return node == SERVER ? &r->server : &r->client[node];
}

char *party_database(int node)
{
    return node == SERVER ? mem_text("hq.db") : mem_printf("n%d.db", node);
}

int64_t party_number(struct db *db, const char *sql, int node)
{
    int64_t n = 0;
    return db_get_int(db, &n, sql, node) ? -1 : n;
}

int64_t party_version(struct party *p)
{
    return party_number(p->db, "PRAGMA data_version", 0);
}

static struct buf bytes_of(const struct val *v)
{
    struct buf b = {0};
    val_put(&b, v);
    return b;
}

static void add_entry(struct entries *all, const struct change *c, const struct buf *key, int at)
{
    all->e = mem_grow(all->e, all->n + 1, sizeof *all->e);
    struct entry *e = &all->e[all->n++];
    *e = (struct entry){.column = -1, .seq = c->seq};
    snprintf(e->table, sizeof e->table, "%.3s", c->table->name);
    buf_add(&e->key, key->p, key->n);
    if (at < 0)
        return;
    for (int i = 0; i < COLUMNS; i++)
        if (strcmp(history_column[i], c->table->col[at]) == 0)
            e->column = i;
    e->old = bytes_of(&c->old[at]);
    e->new = bytes_of(&c->new[at]);
}

static void add_change(struct entries *all, const struct change *c)
{
    struct val id;
    change_key(c, &id);
    struct buf key = bytes_of(&id);
    if (c->op == CHANGE_DELETE)
        add_entry(all, c, &key, -1);
    for (size_t i = 0; c->op != CHANGE_DELETE && i < c->table->ncol; i++)
        if (c->new[i].type != VAL_NONE)
            add_entry(all, c, &key, (int)i);
    buf_free(&key);
}

int party_gather(struct party *p)
{
    int64_t end;
    struct change c;
    int got = 0;
    if (p->db == NULL)
        return 0;
    if (journal_end(p->db, &end))
        return stage_broke("%s", err_message());
    struct journal_reader *r = journal_read(p->db, p->did.upto, end);
    size_t from = p->did.n;
    while (r && (got = journal_next(r, &c)) > 0)
        if (strcmp(c.origin, "^") != 0)
            add_change(&p->did, &c);
    int64_t applied = party_number(p->db, "SELECT max(value) FROM dx_meta WHERE name = 'applied'", 0);
    while (from < p->did.n)
        p->did.e[from++].applied = applied;
    journal_reader_close(r);
    p->did.upto = end;
    return r && got == 0 ? 0 : stage_broke("%s", err_message());
}

void party_forget(struct entries *all)
{
    for (size_t i = 0; i < all->n; i++) {
        buf_free(&all->e[i].key);
        buf_free(&all->e[i].old);
        buf_free(&all->e[i].new);
    }
    free(all->e);
}

void party_note_cuts(struct party *p)
{
    int64_t last = party_number(p->db, "SELECT coalesce(max(upto), 0) FROM dx_upload", 0);
    int64_t settled =
        party_number(p->db, "SELECT coalesce(max(value), 0) FROM dx_meta WHERE name = 'settled'", 0);
    while (p->ncut && p->cut[p->ncut - 1] > last && p->cut[p->ncut - 1] > settled)
        p->ncut--;
    if (last && (p->ncut == 0 || p->cut[p->ncut - 1] < last)) {
        p->cut = mem_grow(p->cut, p->ncut + 1, sizeof *p->cut);
        p->cut[p->ncut++] = last;
    }
}
