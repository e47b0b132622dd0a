/* audience: see nodes/audience.h. */
#include "nodes/audience.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static const char sql_make[] =
    /* nodes: the ids in ascending order, each as the varint of its distance from the one before. */
    "CREATE TABLE IF NOT EXISTS dx_audience ("
    " id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, nodes BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS dx_audience_hash ON dx_audience (hash);";

struct deferred_entry {
    int64_t id;
    uint64_t hash;
    struct audience set;
    bool stored;
};

struct audiences {
    struct db *db;
    struct deferred_entry **entry;
    size_t n, size; /* entries; slots of the two tables, a power of two */
    size_t *by_id;  /* number of the entry + 1, open addressing */
    size_t *by_hash;
    struct audience all;
    int64_t next;
    struct stmt *get, *find, *put;
};

int audience_init(struct db *db)
{
    return db_exec(db, sql_make);
}

struct audiences *audiences_open(struct db *db)
{
    struct audiences *a = mem_zero(1, sizeof *a);
    a->db = db;
    a->size = 64;
    a->by_id = mem_zero(a->size, sizeof *a->by_id);
    a->by_hash = mem_zero(a->size, sizeof *a->by_hash);
    if (db_get_int(db, &a->next, "SELECT max(id) FROM dx_audience") == 0) {
        a->next++;
        a->get = db_prepare(db, "SELECT nodes FROM dx_audience WHERE id = ?1");
        a->find = db_prepare(db, "SELECT id, nodes FROM dx_audience WHERE hash = ?1 ORDER BY id");
        a->put = db_prepare(db, "INSERT INTO dx_audience (id, hash, nodes) VALUES (?1, ?2, ?3)");
    }
    if (a->get && a->find && a->put)
        return a;
    audiences_close(a);
    return NULL;
}

void audiences_close(struct audiences *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->n; i++) {
        free((void *)a->entry[i]->set.node);
        free(a->entry[i]);
    }
    free(a->entry);
    free(a->by_id);
    free(a->by_hash);
    free((void *)a->all.node);
    stmt_free(a->get);
    stmt_free(a->find);
    stmt_free(a->put);
    free(a);
}

void audience_all(struct audiences *a, const int64_t *node, size_t n)
{
    free((void *)a->all.node);
    a->all = (struct audience){n, mem_copy(node, n * sizeof *node)};
}

/* ---- the tables in memory ---- */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    return h;
}

static uint64_t hash_set(const int64_t *node, size_t n)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < n; i++)
        h = mix(h * 31 + (uint64_t)node[i] + 1);
    return h >> 1; /* not negative as an SQL integer */
}

static void place(struct audiences *a, size_t number)
{
    const struct deferred_entry *e = a->entry[number];
    size_t i = mix((uint64_t)e->id) & (a->size - 1), k = mix(e->hash) & (a->size - 1);
    while (a->by_id[i])
        i = (i + 1) & (a->size - 1);
    a->by_id[i] = number + 1;
    while (a->by_hash[k])
        k = (k + 1) & (a->size - 1);
    a->by_hash[k] = number + 1;
}

static void widen(struct audiences *a)
{
    a->size *= 2;
    free(a->by_id);
    free(a->by_hash);
    a->by_id = mem_zero(a->size, sizeof *a->by_id);
    a->by_hash = mem_zero(a->size, sizeof *a->by_hash);
    for (size_t i = 0; i < a->n; i++)
        place(a, i);
}

static struct deferred_entry *add(struct audiences *a, int64_t id, uint64_t hash, const int64_t *node,
                                  size_t n, bool stored)
{
    struct deferred_entry *e = mem_zero(1, sizeof *e);
    *e = (struct deferred_entry){id, hash, {n, mem_copy(node, n * sizeof *node)}, stored};
    a->entry = mem_grow(a->entry, a->n + 1, sizeof *a->entry);
    a->entry[a->n++] = e;
    if (a->n * 2 > a->size)
        widen(a);
    else
        place(a, a->n - 1);
    return e;
}

static struct deferred_entry *known(const struct audiences *a, int64_t id)
{
    for (size_t i = mix((uint64_t)id) & (a->size - 1); a->by_id[i]; i = (i + 1) & (a->size - 1))
        if (a->entry[a->by_id[i] - 1]->id == id)
            return a->entry[a->by_id[i] - 1];
    return NULL;
}

static struct deferred_entry *known_set(const struct audiences *a, uint64_t hash, const int64_t *node,
                                        size_t n)
{
    for (size_t i = mix(hash) & (a->size - 1); a->by_hash[i]; i = (i + 1) & (a->size - 1)) {
        struct deferred_entry *e = a->entry[a->by_hash[i] - 1];
        if (e->hash == hash && e->set.n == n && memcmp(e->set.node, node, n * sizeof *node) == 0)
            return e;
    }
    return NULL;
}

/* ---- as stored ---- */

static void encode(struct buf *b, const int64_t *node, size_t n)
{
    int64_t before = 0;
    for (size_t i = 0; i < n; before = node[i++])
        wire_put_varint(b, (uint64_t)(node[i] - before));
}

/* The ids of a stored set in an array that the caller frees; NULL when the bytes are not such a set. */
static int64_t *decode(const struct val *blob, size_t *n)
{
    struct wire w = wire_over(blob->type == VAL_BLOB ? blob->p : NULL, blob->type == VAL_BLOB ? blob->n : 0);
    int64_t *node = mem_alloc((blob->type == VAL_BLOB ? blob->n : 0) * sizeof *node), before = 0;
    for (*n = 0; w.p < w.end && w.state == WIRE_OK; (*n)++)
        node[*n] = before += (int64_t)wire_varint(&w);
    if (w.state == WIRE_OK && *n)
        return node;
    free(node);
    fail(ERR_REFUSED, "dx_audience is damaged");
    return NULL;
}

/* Reads the set under a statement's cursor into memory. */
static struct deferred_entry *take(struct audiences *a, int64_t id, const struct val *blob)
{
    size_t n;
    int64_t *node = decode(blob, &n);
    if (node == NULL)
        return NULL;
    struct deferred_entry *e = add(a, id, hash_set(node, n), node, n, true);
    free(node);
    return e;
}

static struct deferred_entry *load(struct audiences *a, int64_t id)
{
    stmt_bind_int(a->get, 1, id);
    enum step step = stmt_step(a->get);
    struct deferred_entry *e = NULL;
    if (step == STEP_ROW) {
        struct val blob = stmt_val(a->get, 0);
        e = take(a, id, &blob);
    } else if (step == STEP_DONE)
        fail(ERR_REFUSED, "%s: rows are held by audience %lld, which dx_audience lacks", db_path(a->db),
             (long long)id);
    stmt_reset(a->get);
    return e;
}

const struct audience *audience_get(struct audiences *a, int64_t id)
{
    static const struct audience nobody = {0};
    if (id == AUDIENCE_NOBODY)
        return &nobody;
    if (id == AUDIENCE_ALL)
        return &a->all;
    struct deferred_entry *e = known(a, id);
    if (e == NULL)
        e = load(a, id);
    return e ? &e->set : NULL;
}

/* Brings in what is stored under the hash. */
static int load_hash(struct audiences *a, uint64_t hash)
{
    stmt_bind_int(a->find, 1, (int64_t)hash);
    enum step step;
    while ((step = stmt_step(a->find)) == STEP_ROW) {
        struct val blob = stmt_val(a->find, 1);
        if (known(a, stmt_int(a->find, 0)) == NULL && take(a, stmt_int(a->find, 0), &blob) == NULL) {
            stmt_reset(a->find);
            return -1;
        }
    }
    return step == STEP_DONE ? 0 : -1;
}

int64_t audience_intern(struct audiences *a, const int64_t *node, size_t n)
{
    if (n == 0)
        return AUDIENCE_NOBODY;
    uint64_t hash = hash_set(node, n);
    struct deferred_entry *e = known_set(a, hash, node, n);
    if (e == NULL) {
        if (load_hash(a, hash))
            return AUDIENCE_ERROR;
        e = known_set(a, hash, node, n);
    }
    if (e == NULL)
        e = add(a, a->next++, hash, node, n, false);
    return e->id;
}

int audience_save(struct audiences *a, int64_t id)
{
    struct deferred_entry *e = id > 0 ? known(a, id) : NULL;
    if (e == NULL || e->stored)
        return 0;
    struct buf b = {0};
    encode(&b, e->set.node, e->set.n);
    struct val blob = {.type = VAL_BLOB, .p = b.p, .n = b.n};
    stmt_bind_int(a->put, 1, id);
    stmt_bind_int(a->put, 2, (int64_t)e->hash);
    stmt_bind(a->put, 3, &blob);
    int rc = stmt_run(a->put);
    buf_free(&b);
    e->stored = rc == 0;
    return rc;
}

/* ---- sets ---- */

static bool holds(const struct audience *s, int64_t node)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->node[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && s->node[low] == node;
}

int audience_has(struct audiences *a, int64_t id, int64_t node)
{
    const struct audience *s = audience_get(a, id);
    return s ? holds(s, node) : -1;
}

/* The nodes of one that are in other (or are not). */
static int64_t filter(struct audiences *a, int64_t one, int64_t other, bool in)
{
    const struct audience *x = audience_get(a, one), *y = x ? audience_get(a, other) : NULL;
    if (y == NULL)
        return AUDIENCE_ERROR;
    int64_t *node = mem_alloc(x->n * sizeof *node);
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        if (holds(y, x->node[i]) == in)
            node[n++] = x->node[i];
    int64_t id = audience_intern(a, node, n);
    free(node);
    return id;
}

int64_t audience_minus(struct audiences *a, int64_t one, int64_t other)
{
    return other == AUDIENCE_NOBODY ? one : filter(a, one, other, false);
}

int64_t audience_both(struct audiences *a, int64_t one, int64_t other)
{
    return one == other ? one : filter(a, one, other, true);
}

int audience_of_node(struct db *db, int64_t node, struct buf *ids)
{
    struct stmt *s = db_prepare(db, "SELECT id, nodes FROM dx_audience ORDER BY id");
    enum step step = STEP_ERROR;
    int rc = s ? 0 : -1;
    buf_addf(ids, "%d", AUDIENCE_ALL);
    while (rc == 0 && (step = stmt_step(s)) == STEP_ROW) {
        struct audience set;
        struct val blob = stmt_val(s, 1);
        int64_t *nodes = decode(&blob, &set.n);
        set.node = nodes;
        if (nodes == NULL)
            rc = -1;
        else if (holds(&set, node))
            buf_addf(ids, ", %lld", (long long)stmt_int(s, 0));
        free(nodes);
    }
    stmt_free(s);
    return rc || step == STEP_ERROR ? -1 : 0;
}
