/* account: see account.h. */
#include "account.h"

#include "../sim/same.h"
#include "base/mem.h"
#include "data/val.h"
#include "stage.h"

#include <stdlib.h>
#include <string.h>

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static bool same_place(const struct entry *a, const struct entry *b)
{
    return strcmp(a->table, b->table) == 0 && same_bytes(&a->key, &b->key);
}

/* Whether two changes of the client go up together, so that only their sum does. */
static bool together(const struct party *p, const struct entry *a, const struct entry *b)
{
    for (size_t i = 0; i < p->ncut; i++)
        if ((a->seq <= p->cut[i]) != (b->seq <= p->cut[i]))
            return false;
    return true;
}

/* Whether the client itself changed it again before it went up. */
static bool overwritten(const struct party *p, size_t at)
{
    const struct entry *e = &p->did.e[at];
    for (size_t i = at + 1; i < p->did.n; i++) {
        const struct entry *later = &p->did.e[i];
        if (same_place(e, later) && (later->column == e->column || later->column < 0 || e->column < 0) &&
            together(p, e, later))
            return true;
    }
    return false;
}

/* Whether it went up as nothing: the value came back, or the row was made and deleted in between. */
static bool undone(const struct party *p, size_t at)
{
    const struct entry *e = &p->did.e[at];
    for (size_t i = 0; i < at; i++) {
        const struct entry *o = &p->did.e[i];
        bool made = o->column >= 0 && o->old.n == 1 && o->old.p[0] == VAL_NONE;
        if (same_place(e, o) && together(p, e, o) &&
            (e->column < 0 ? made : o->column == e->column && same_bytes(&o->old, &e->new)))
            return true;
    }
    return false;
}

/* Whether somebody's journal says that the row was so, or (a delete) went. */
static bool told(const struct entries *did, const struct entry *e)
{
    for (size_t i = 0; i < did->n; i++) {
        const struct entry *o = &did->e[i];
        if (same_place(e, o) && o->column == e->column &&
            (e->column < 0 || same_bytes(&o->new, &e->new) || same_bytes(&o->old, &e->new)))
            return true;
    }
    return false;
}

/* Counts what a statement with the key, and perhaps the value, as parameters finds on the server. */
static int64_t count(struct run *r, const struct entry *e, const char *fmt, const char *a, const char *b)
{
    struct wire key = wire_over(e->key.p, e->key.n), new = wire_over(e->new.p, e->new.n);
    struct val id = val_get(&key), v = e->new.n ? val_get(&new) : (struct val){.type = VAL_NULL};
    struct stmt *s = db_preparef(r->server.db, fmt, a, b);
    int64_t n = 0;
    if (s) {
        stmt_bind(s, 1, &id);
        if (strstr(fmt, "?2"))
            stmt_bind(s, 2, &v);
        n = stmt_step(s) == STEP_ROW ? stmt_int(s, 0) : 0;
    }
    stmt_free(s);
    return n;
}

static bool recorded(struct run *r, int node, const struct entry *e)
{
    char *origin = mem_printf("n%d", node);
    bool there = false;
    if (party_number(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'", 0))
        there = count(r, e, "SELECT count(*) FROM dx_conflict WHERE key IS ?1 AND tbl = %Q AND origin = %Q",
                      e->table, origin) > 0;
    if (!there &&
        party_number(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_quarantine'", 0))
        there = count(r, e, "SELECT count(*) FROM dx_quarantine WHERE key IS ?1 AND tbl = %Q AND origin = %Q",
                      e->table, origin) > 0;
    free(origin);
    return there;
}

static bool on_server(struct run *r, const struct entry *e)
{
    if (e->column < 0)
        return count(r, e, "SELECT count(*) FROM %s WHERE id = ?1", e->table, "") == 0;
    return count(r, e, "SELECT count(*) FROM %s WHERE id = ?1 AND %s IS ?2", e->table,
                 history_column[e->column]) > 0;
}

/* Whether the client made a row of that key just once, before, and had not deleted it: then the key meant that row. */
static bool its_own(const struct party *p, const struct entry *e)
{
    int64_t made = 0;
    for (size_t i = 0; i < p->did.n; i++) {
        const struct entry *o = &p->did.e[i];
        bool inserted = o->column >= 0 && o->old.n == 1 && o->old.p[0] == VAL_NONE;
        if (!same_place(e, o))
            continue;
        if ((o->column < 0 && o->seq <= e->seq) || (inserted && made && made != o->seq))
            return false;
        if (inserted)
            made = o->seq;
    }
    return made > 0 && made <= e->seq;
}

/* The keys under which the server may have what the client called by one: itself, and what it was rekeyed to by an
 * archive that the client had not applied yet. */
static int keys_of(struct run *r, int node, int64_t applied, const char *table, const struct buf *key,
                   struct buf *out, int room)
{
    struct wire w = wire_over(key->p, key->n);
    struct val old = val_get(&w);
    int n = 0;
    buf_add(&out[n++], key->p, key->n);
    if (old.type != VAL_INT ||
        !party_number(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_rekey'", 0))
        return n;
    struct stmt *s =
        db_preparef(r->server.db,
                    "SELECT new FROM dx_rekey WHERE tbl = %Q AND old = %lld AND node = "
                    "(SELECT id FROM dx_nodes WHERE name = 'n%d') AND (archive IS NULL OR archive > %lld)",
                    table, (long long)old.i, node, (long long)applied);
    while (s && n < room && stmt_step(s) == STEP_ROW) {
        struct val new = stmt_val(s, 0);
        val_put(&out[n++], &new);
    }
    stmt_free(s);
    return n;
}

/* Whether the entry sets the column by which `conflict = newest COLUMN` decides: what it decides against is no conflict of
 * its own. */
static bool is_timestamp(struct run *r, const struct entry *e)
{
    int64_t n = 0;
    return e->column == AT &&
           db_get_int(r->server.db, &n,
                      "SELECT count(*) FROM dx_object WHERE tbl = %Q AND conflict = 'newest at'",
                      e->table) == 0 &&
           n > 0;
}

/* Whether the server has, or had, what the entry says, or a record of why not. */
static bool known(struct run *r, int node, const struct entry *e)
{
    enum { SYNONYMS = 8 };
    struct buf key[SYNONYMS] = {0}, value[SYNONYMS] = {0};
    const struct sim_table *t = &r->h->table[e->table[1] - '0'];
    bool refers = e->column == P && t->parent >= 0;
    int nkey = keys_of(r, node, e->applied, e->table, &e->key, key, SYNONYMS), nvalue = 1;
    bool meant = nkey == 2 && e->column != ID && its_own(&r->client[node], e);
    if (refers)
        nvalue = keys_of(r, node, e->applied, r->h->table[t->parent].name, &e->new, value, SYNONYMS);
    else
        buf_add(&value[0], e->new.p, e->new.n);
    bool found = false;
    for (int k = meant; k < nkey; k++)
        for (int v = 0; v < nvalue && !found; v++) {
            struct entry as = *e;
            as.key = key[k];
            as.new = value[v];
            found = on_server(r, &as) || told(&r->server.did, &as) || recorded(r, node, &as);
        }
    for (int i = 0; i < SYNONYMS; i++) {
        buf_free(&key[i]);
        buf_free(&value[i]);
    }
    return found;
}

int account_check(struct run *r, int node)
{
    const struct party *p = &r->client[node];
    for (size_t i = 0; i < p->did.n; i++) {
        const struct entry *e = &p->did.e[i];
        if (overwritten(p, i) || undone(p, i) || is_timestamp(r, e) || known(r, node, e))
            continue;
        struct buf key = {0}, value = {0};
        same_show(&key, &e->key);
        same_show(&value, &e->new);
        stage_broke("n%d changed %s %s %s = %s; the server never had it, and no record says why", node,
                    e->table, buf_text(&key), e->column < 0 ? "(deleted)" : history_column[e->column],
                    buf_text(&value));
        buf_free(&key);
        buf_free(&value);
        return -1;
    }
    return 0;
}
