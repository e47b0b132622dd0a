/* key_range: see nodes/key_range.h. */
#include "nodes/key_range.h"

#include "base/mem.h"
#include "sql/layout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_key_range (node INTEGER NOT NULL, epoch TEXT NOT NULL, tbl TEXT NOT NULL, "
    "first "
    "INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (node, tbl)) WITHOUT ROWID";
static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_key_range'";

/* Keys end at 2^63-1; so far up nobody gets a range any more. */
#define KEY_MOST (INT64_MAX / 4)

struct key_range {
    int64_t node, first, last;
    char *table;
};

void key_ranges_free(struct key_ranges *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->range[i].table);
    free(k->range);
    *k = (struct key_ranges){0};
}

int64_t key_range_size(const struct object *o)
{
    return object_policy(o).keys == KEYS_RANGES ? strtoll(o->keys + 7, NULL, 10) : 0;
}

int key_range_beyond(struct db *db, const struct object *o, int64_t key)
{
    const int64_t fresh = INT64_C(1) << 49; /* keys that are given instead lie below */
    int64_t size = key_range_size(o), top;
    if (size == 0 || key <= fresh)
        return 0;
    if (db_get_int(db, &top, "SELECT max(seq) FROM sqlite_sequence WHERE name = %Q COLLATE NOCASE", o->table))
        return -1;
    if (top < fresh)
        top = fresh;
    return key > top && (key - top) / 10 > size;
}

/* The range that the node has: 1, 0, -1. */
static int find(struct db *db, const struct node *n, const char *epoch, const char *table, int64_t *first,
                int64_t *last)
{
    int64_t there;
    if (db_get_int(db, &there, "%s", sql_present))
        return -1;
    struct stmt *s = there
                         ? db_preparef(db,
                                       "SELECT first, last FROM dx_key_range WHERE node = %lld AND epoch = %Q"
                                       " AND tbl = %Q",
                                       (long long)n->id, epoch, table)
                         : NULL;
    enum step step = s ? stmt_step(s) : there ? STEP_ERROR : STEP_DONE;
    if (step == STEP_ROW) {
        *first = stmt_int(s, 0);
        *last = stmt_int(s, 1);
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : step == STEP_ROW;
}

/* Whether the range can serve the node on: no row stands above it, and half of it is free: 1, 0, -1. */
static int serves(struct db *db, const struct layout *l, int64_t first, int64_t last)
{
    const char *key = l->table->col[l->table->key[0]], *t = l->table->name;
    int64_t top, used;
    if (db_get_int(db, &top, "SELECT coalesce(max(\"%w\"), 0) FROM main.\"%w\"", key, t) ||
        db_get_int(db, &used,
                   "SELECT coalesce(max(\"%w\"), 0) FROM main.\"%w\" WHERE \"%w\" BETWEEN %lld AND %lld", key,
                   t, key, (long long)first, (long long)last))
        return -1;
    return top <= last && used < first + (last - first) / 2;
}

/* The highest key that was ever handed out here, or in this run to others. */
static int highest(const struct key_ranges *k, struct db *db, const struct layout *l, int64_t *out)
{
    const char *table = l->table->name;
    if (db_get_int(
            db, out,
            "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = %Q COLLATE NOCASE), 0),"
            " coalesce((SELECT max(\"%w\") FROM main.\"%w\"), 0))",
            table, l->table->col[l->table->key[0]], table))
        return -1;
    for (size_t i = 0; i < k->n; i++)
        if (strcasecmp(k->range[i].table, table) == 0 && k->range[i].last > *out)
            *out = k->range[i].last;
    return 0;
}

static int fill_table(struct key_ranges *k, struct db *db, const struct node *n, const char *epoch,
                      const struct layout *l, int64_t size, struct dx_head *h)
{
    int64_t first = 0, last = 0, top;
    int rc = find(db, n, epoch, l->table->name, &first, &last);
    if (rc > 0)
        rc = serves(db, l, first, last);
    if (rc)
        return rc < 0 ? -1 : 0;
    if (highest(k, db, l, &top))
        return -1;
    if (top > KEY_MOST)
        return 0;
    k->range = mem_grow(k->range, k->n + 1, sizeof *k->range);
    k->range[k->n++] = (struct key_range){n->id, top + 1, top + size, mem_text(l->table->name)};
    dx_head_add_range(h, l->table->name, top + 1, top + size);
    return 0;
}

int key_ranges_fill(struct key_ranges *k, struct db *db, const struct node *n, const char *epoch,
                    const struct package *p, struct dx_head *h)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++) {
        const struct object *o = &p->object[i];
        int64_t size = key_range_size(o);
        if (size == 0 || o->visible == VISIBLE_NONE || !(o->write & WRITE_INSERT))
            continue;
        struct layout *l = layout_of(db, o->table);
        rc = l == NULL ? -1 : l->autoincrement ? fill_table(k, db, n, epoch, l, size, h) : 0;
        layout_free(l);
    }
    return rc;
}

static int store(struct db *db, const struct key_range *r, const char *epoch)
{
    return db_exec(db, sql_make) ||
                   db_execf(db, "INSERT OR REPLACE INTO dx_key_range VALUES (%lld, %Q, %Q, %lld, %lld)",
                            (long long)r->node, epoch, r->table, (long long)r->first, (long long)r->last) ||
                   key_range_begin(db, r->table, r->last)
               ? -1
               : 0;
}

int key_range_begin(struct db *db, const char *table, int64_t behind)
{
    return db_execf(db, "UPDATE sqlite_sequence SET seq = max(seq, %lld) WHERE name = %Q", (long long)behind,
                    table) ||
                   db_execf(
                       db,
                       "INSERT INTO sqlite_sequence (name, seq) SELECT %Q, %lld WHERE NOT EXISTS (SELECT "
                       "1 FROM sqlite_sequence WHERE name = %Q)",
                       table, (long long)behind, table)
               ? -1
               : 0;
}

int key_ranges_store(const struct key_ranges *k, struct db *db, int64_t node, const char *epoch)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < k->n; i++)
        if (k->range[i].node == node)
            rc = store(db, &k->range[i], epoch);
    return rc;
}
