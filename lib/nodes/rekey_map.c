/* rekey_map: see nodes/rekey_map.h. */
#include "nodes/rekey_map.h"

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/sha.h"
#include "nodes/node.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* archive: the one that carried it to the node, or took the row away there; NULL: none yet. refs: table, column, ...
 * separated by unit separators; NULL: it is not sent to the node. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_rekey (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, tbl TEXT NOT NULL,"
    " old NOT NULL, new NOT NULL, archive INTEGER, refs TEXT, adopt INTEGER NOT NULL DEFAULT 0)";
static const char sql_present[] =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'dx_rekey'";
static const char sql_open[] =
    "SELECT tbl, old, new, adopt FROM dx_rekey WHERE node = ?1 AND (archive IS NULL OR archive > ?2)"
    " ORDER BY id";
static const char sql_unsent[] =
    "SELECT id, tbl, old, new, refs, adopt FROM dx_rekey WHERE node = ?1 AND archive IS NULL"
    " AND refs IS NOT NULL ORDER BY id";
static const char sql_newest_first[] =
    "SELECT id, tbl, old, new, refs, adopt, ifnull(archive <= ?2, 0) FROM dx_rekey WHERE node = ?1"
    " AND refs IS NOT NULL ORDER BY id DESC";
/* As head_write.c words them; a byte of a text takes six at most. */
static const char sql_bytes[] =
    "SELECT CAST(total(43 + 13 * adopt + length(id) + length(CAST(tbl AS BLOB)) + 3 +"
    " 2 * length(CAST(refs AS BLOB)) +"
    " iif(typeof(old) = 'text', 6 * length(CAST(old AS BLOB)), length(old)) +"
    " iif(typeof(new) = 'text', 6 * length(CAST(new AS BLOB)), length(new))) AS INTEGER)"
    " FROM dx_rekey WHERE node = %lld AND archive IS NULL AND refs IS NOT NULL";
static const char sql_keys[] =
    "SELECT m.name, f.\"from\", f.\"table\" FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f"
    " WHERE m.type = 'table' AND m.name NOT LIKE 'dx\\_%' ESCAPE '\\' AND"
    " (SELECT count(*) FROM pragma_foreign_key_list(m.name) AS g WHERE g.id = f.id) = 1"
    " AND (f.\"to\" IS NULL OR EXISTS (SELECT 1 FROM pragma_table_info(f.\"table\") AS c"
    "  WHERE c.pk = 1 AND c.name = f.\"to\" COLLATE NOCASE)) ORDER BY m.name, f.\"from\"";
static const char separator[] = "\x1f";

static int present(struct db *db)
{
    int64_t n;
    return db_get_int(db, &n, "%s", sql_present) ? -1 : n > 0;
}

static void add_ref(struct rekey_map *r, const char *table, const char *column, const char *parent)
{
    for (size_t i = 0; i < r->nref; i++)
        if (strcasecmp(r->ref[i].table, table) == 0 && strcasecmp(r->ref[i].column, column) == 0)
            return;
    r->ref = mem_grow(r->ref, r->nref + 1, sizeof *r->ref);
    r->ref[r->nref++] = (struct rekey_ref){mem_text(table), mem_text(column), mem_text(parent)};
}

/* What the package says that columns refer to. */
static void add_declared_refs(struct rekey_map *r, const struct package *p, const struct object *o)
{
    struct object_reference *ref;
    bool closed;
    size_t n = object_references(o, &ref, &closed);
    for (size_t i = 0; i < n; i++) {
        const struct object *to = ref[i].to ? package_named(p, ref[i].to) : NULL;
        if (to && table_column(o->sent, ref[i].column) >= 0)
            add_ref(r, o->table, ref[i].column, to->table);
    }
    object_references_free(ref, n);
}

static int load_refs(struct rekey_map *r, struct db *db, const struct package *p)
{
    struct stmt *s = db_prepare(db, sql_keys);
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW)
        add_ref(r, stmt_text(s, 0), stmt_text(s, 1), stmt_text(s, 2));
    stmt_free(s);
    for (size_t i = 0; p && i < p->nobject; i++) {
        const struct object *o = &p->object[i],
                            *parent = o->via_object ? package_named(p, o->via_object) : NULL;
        if (parent && table_column(o->sent, o->via_column) >= 0)
            add_ref(r, o->table, o->via_column, parent->table);
        add_declared_refs(r, p, o);
    }
    return step == STEP_DONE ? 0 : -1;
}

static size_t hash_of(const char *table, const struct val *key)
{
    struct hash h = hash_begin();
    for (const char *p = table; *p; p++)
        hash_word(&h, (uint64_t)tolower((unsigned char)*p));
    hash_word(&h, key->type);
    if (key->type == VAL_TEXT || key->type == VAL_BLOB)
        hash_bytes(&h, key->p, key->n);
    else
        hash_word(&h, (uint64_t)key->i);
    return (size_t)hash_end(&h);
}

/* The slot of the key, or the free one where it goes. */
static size_t *seek(const struct rekey_map *r, const char *table, const struct val *key)
{
    size_t i = hash_of(table, key) & (r->nslot - 1);
    while (r->slot[i] && !(val_same(&r->rekey[r->slot[i] - 1].old, key) &&
                           strcasecmp(r->rekey[r->slot[i] - 1].table, table) == 0))
        i = (i + 1) & (r->nslot - 1);
    return &r->slot[i];
}

/* The first n of them, in so many slots. */
static void number(struct rekey_map *r, size_t n, size_t nslot)
{
    free(r->slot);
    r->nslot = nslot;
    r->slot = mem_zero(nslot, sizeof *r->slot);
    for (size_t i = 0; i < n; i++)
        *seek(r, r->rekey[i].table, &r->rekey[i].old) = i + 1;
}

static void note(struct rekey_map *r, const char *table, const struct val *old, const struct val *new,
                 bool adopt)
{
    r->rekey = mem_append(r->rekey, r->n, sizeof *r->rekey);
    dx_rekey_init(&r->rekey[r->n], table, old, new);
    r->rekey[r->n++].adopt = adopt;
    if (r->n * 2 > r->nslot)
        number(r, r->n, r->nslot ? r->nslot * 2 : 64);
    else
        *seek(r, table, old) = r->n;
}

int rekey_map_load(struct rekey_map *r, struct db *db, int64_t node, int64_t applied, const struct package *p)
{
    int there = present(db);
    if (there < 0 || load_refs(r, db, p))
        return -1;
    r->applied = applied;
    if (there == 0)
        return 0;
    struct stmt *s = db_prepare(db, sql_open);
    enum step step = STEP_ERROR;
    if (s) {
        stmt_bind_int(s, 1, node);
        stmt_bind_int(s, 2, applied);
    }
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        struct val old = stmt_val(s, 1), new = stmt_val(s, 2);
        note(r, stmt_text(s, 0), &old, &new, stmt_int(s, 3) != 0);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

void rekey_map_cut(struct rekey_map *r, size_t n)
{
    if (r->n > n)
        number(r, n, r->nslot);
    while (r->n > n)
        dx_rekey_free(&r->rekey[--r->n]);
}

void rekey_map_free(struct rekey_map *r)
{
    rekey_map_cut(r, 0);
    for (size_t i = 0; i < r->nref; i++) {
        free(r->ref[i].table);
        free(r->ref[i].column);
        free(r->ref[i].parent);
    }
    free(r->rekey);
    free(r->slot);
    free(r->ref);
    *r = (struct rekey_map){0};
}

const struct dx_rekey *rekey_map_lookup(const struct rekey_map *r, const char *table, const struct val *key)
{
    size_t found = r->n ? *seek(r, table, key) : 0;
    return found ? &r->rekey[found - 1] : NULL;
}

const char *rekey_map_parent(const struct rekey_map *r, const char *table, const char *column)
{
    for (size_t i = 0; i < r->nref; i++)
        if (strcasecmp(r->ref[i].table, table) == 0 && strcasecmp(r->ref[i].column, column) == 0)
            return r->ref[i].parent;
    return NULL;
}

int rekey_taken(struct db *db, const char *table, const char *column, int64_t key)
{
    int64_t n;
    if (db_get_int(db, &n, "SELECT count(*) FROM main.\"%w\" WHERE \"%w\" = %lld", table, column,
                   (long long)key))
        return -1;
    return n > 0;
}

int rekey_fresh(struct db *db, const char *node_epoch, const char *table, const char *column, int64_t old,
                int *attempt, int64_t *out)
{
    int taken = 1;
    for (; taken; (*attempt)++) {
        char hex[SHA_HEX], *text = mem_printf("%s %s %lld %d", node_epoch, table, (long long)old, *attempt);
        sha_hex(text, strlen(text), hex);
        free(text);
        hex[12] = 0; /* 48 bits: exact as a REAL too, and far from what is counted up to */
        *out = (int64_t)(strtoull(hex, NULL, 16) | (uint64_t)1 << 48);
        if ((taken = rekey_taken(db, table, column, *out)) < 0)
            return -1;
    }
    return 0;
}

static char *refs_text(const struct rekey_map *r, const char *table)
{
    struct buf b = {0};
    for (size_t i = 0; i < r->nref; i++)
        if (strcasecmp(r->ref[i].parent, table) == 0)
            buf_addf(&b, "%s%s%s%s", b.n ? separator : "", r->ref[i].table, separator, r->ref[i].column);
    return buf_take(&b);
}

static int insert(struct db *db, int64_t node, const char *table, const struct val *old,
                  const struct val *new, bool adopt, const char *refs)
{
    struct stmt *s = db_prepare(
        db, "INSERT INTO dx_rekey (node, tbl, old, new, refs, adopt) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    if (s == NULL)
        return -1;
    stmt_bind_int(s, 1, node);
    stmt_bind_text(s, 2, table);
    stmt_bind(s, 3, old);
    stmt_bind(s, 4, new);
    stmt_bind_text(s, 5, refs);
    stmt_bind_int(s, 6, adopt);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int rekey_add(struct rekey_map *r, struct db *db, int64_t node, const char *table, const struct val *old,
              const struct val *new, bool adopt, int64_t gone)
{
    char *refs = gone ? NULL : refs_text(r, table);
    int rc = db_exec(db, sql_make) || insert(db, node, table, old, new, adopt, refs) ? -1 : 0;
    if (rc == 0 && gone)
        rc = db_execf(db, "UPDATE dx_rekey SET archive = %lld WHERE id = last_insert_rowid()",
                      (long long)gone);
    free(refs);
    if (gone == 0 || r->applied < gone)
        note(r, table, old, new, adopt);
    return rc;
}

/* ---- the router ---- */

/* The table of that name among those that travel, or NULL. */
static const struct table *sent_table(const struct dx_head *h, const char *name)
{
    for (size_t i = 0; i < h->ntable; i++)
        if (strcasecmp(h->table[i]->name, name) == 0)
            return h->table[i];
    return NULL;
}

/* Of what refers to the key, the node hears of those columns that travel to it. */
static void add_refs(const struct dx_head *h, struct dx_rekey *r, const char *text)
{
    char *copy = mem_text(text ? text : ""), *at = NULL;
    for (char *table = strtok_r(copy, separator, &at); table; table = strtok_r(NULL, separator, &at)) {
        const char *column = strtok_r(NULL, separator, &at);
        const struct table *t = column ? sent_table(h, table) : NULL;
        if (t && table_column(t, column) >= 0)
            dx_rekey_refer(r, table, column);
    }
    free(copy);
}

/* That of the statement's row, or NULL where the head has not its table. */
static const struct dx_rekey *add(struct dx_head *h, struct stmt *s)
{
    if (sent_table(h, stmt_text(s, 1)) == NULL)
        return NULL;
    struct val old = stmt_val(s, 2), new = stmt_val(s, 3);
    struct dx_rekey *r = dx_head_add_rekey(h, stmt_text(s, 1), &old, &new);
    r->id = stmt_int(s, 0);
    r->adopt = stmt_int(s, 5) != 0;
    add_refs(h, r, stmt_text(s, 4));
    return r;
}

int rekey_fill(struct db *db, int64_t node, struct dx_head *h, int64_t *last)
{
    int there = present(db);
    *last = 0;
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, sql_unsent);
    enum step step = STEP_ERROR;
    if (s)
        stmt_bind_int(s, 1, node);
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *last = stmt_int(s, 0);
        add(h, s);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

/* They were added from the newest on, and stand in the head from the oldest on. */
static void turn_round(struct dx_rekey *r, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct dx_rekey other = r[i];
        r[i] = r[n - 1 - i];
        r[n - 1 - i] = other;
    }
}

/* The last one that is added is one too many: by it a receiver sees whether it knows those that are left out. */
int rekey_fill_snapshot(struct db *db, int64_t node, int64_t applied, struct dx_head *h, int64_t *last)
{
    enum { SLACK = 64 << 10 };
    size_t bytes = dx_head_bytes(h) + SLACK, most = DX_JSON_MAX, first = h->nrekey;
    int there = present(db);
    *last = 0;
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, sql_newest_first);
    enum step step = STEP_ERROR;
    if (s) {
        stmt_bind_int(s, 1, node);
        stmt_bind_int(s, 2, applied);
    }
    while (s && (step = stmt_step(s)) == STEP_ROW && bytes <= most) {
        *last = *last ? *last : stmt_int(s, 0);
        const struct dx_rekey *r = add(h, s);
        bytes += r ? dx_rekey_bytes(r) : 0;
        most = stmt_int(s, 6) && bytes > DX_JSON_MAX / 4 ? 0 : most;
    }
    stmt_free(s);
    h->earlier_rekeys = step == STEP_ROW;
    if (h->nrekey > first)
        turn_round(h->rekey + first, h->nrekey - first);
    return step == STEP_ERROR ? -1 : 0;
}

int rekey_unsent_bytes(struct db *db, int64_t node, int64_t *bytes)
{
    int there = present(db);
    *bytes = 0;
    return there > 0 ? db_get_int(db, bytes, sql_bytes, (long long)node) : there;
}

int rekey_nodes(struct db *db, int64_t **node, size_t *n)
{
    int there = present(db);
    *node = NULL;
    *n = 0;
    if (there <= 0)
        return there;
    struct stmt *s = db_prepare(db, "SELECT DISTINCT node FROM dx_rekey WHERE archive IS NULL ORDER BY node");
    enum step step = STEP_ERROR;
    while (s && (step = stmt_step(s)) == STEP_ROW) {
        *node = mem_grow(*node, *n + 1, sizeof **node);
        (*node)[(*n)++] = stmt_int(s, 0);
    }
    stmt_free(s);
    return step == STEP_DONE ? 0 : -1;
}

int rekey_carried(struct db *db, int64_t node, int64_t last, int64_t number)
{
    if (last == 0)
        return 0;
    return db_execf(db,
                    "UPDATE dx_rekey SET archive = %lld WHERE node = %lld AND archive IS NULL AND id <= %lld",
                    (long long)number, (long long)node, (long long)last);
}

int rekey_known(struct db *db, int64_t node, int64_t last, int64_t number)
{
    if (last == 0)
        return 0;
    return db_execf(
        db,
        "UPDATE dx_rekey SET archive = %lld WHERE node = %lld AND id <= %lld AND (archive IS NULL "
        "OR archive > %lld)",
        (long long)number, (long long)node, (long long)last, (long long)number);
}

/* ---- the companion ---- */

/* What the node still calls by a key of before goes straight to the newest. */
static int redirect(struct db *db, const struct dx_rekey *r, int64_t node)
{
    struct stmt *s = db_prepare(
        db, "UPDATE dx_rekey SET new = ?1, adopt = adopt OR ?5 WHERE node = ?2 AND tbl = ?3 AND new IS ?4");
    if (s == NULL)
        return -1;
    stmt_bind(s, 1, &r->new);
    stmt_bind_int(s, 2, node);
    stmt_bind_text(s, 3, r->table);
    stmt_bind(s, 4, &r->old);
    stmt_bind_int(s, 5, r->adopt); /* the row that had it went over to another */
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

static int pass_to(struct db *db, const struct dx_rekey *r, const struct node *n)
{
    struct buf refs = {0};
    for (size_t i = 0; i < 2 * r->nref; i++)
        buf_addf(&refs, "%s%s", i ? separator : "", r->ref[i]);
    int rc = redirect(db, r, n->id) ||
             insert(db, n->id, r->table, &r->old, &r->new, r->adopt, buf_text(&refs)) ||
             node_force(db, n->id, r->table, &r->new) || node_force(db, n->id, r->table, &r->old);
    buf_free(&refs);
    return rc ? -1 : 0;
}

int rekey_pass(struct db *db, const struct dx_rekey *r)
{
    struct node *nodes;
    size_t n;
    if (db_exec(db, sql_make) || node_list(db, &nodes, &n))
        return -1;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (rc == 0 && nodes[i].active)
            rc = pass_to(db, r, &nodes[i]);
        node_free(&nodes[i]);
    }
    free(nodes);
    return rc;
}
