/* trigger: see journal/trigger.h.
 *
 * How the triggers see everything, and cheaply:
 *
 * - One INSERT into dx_journal a change. No constraint in it can fail, and no function but SQLite's own is called: a
 *   trigger that could abort makes SQLite open a statement journal, a fifth of the cost, for every UPDATE and DELETE.
 * - INSERT OR REPLACE, UPDATE OR REPLACE and ON CONFLICT REPLACE delete rows without firing delete triggers (unless
 *   recursive_triggers is on). So a BEFORE trigger keeps the rows that collide with NEW in dx_replaced_ID, and the
 *   AFTER trigger of the same statement journals those of them as deleted that are provably gone: the row now there
 *   under that key is NEW, or none is there, and the journal does not say so already. What was kept in vain (INSERT OR
 *   IGNORE, upsert) fails that proof, and goes when the next collision is kept.
 * - A column has changed when its value, type or bits have: IS NOT finds most. BINARY is said because a column's own
 *   collation may take different texts for equal. Only columns without affinity tell 2 from 2.0, or 0.0 from -0.0, which
 *   SQL cannot see at all: there a REAL zero counts as perhaps changed, and the reader of the journal compares the bits.
 *   Integer affinity tells -2^63 from its REAL alone.
 * - A statement is prepared with the whole program of each trigger that may fire. So UPDATE has a trigger for every few
 *   columns, which names them (UPDATE OF): a statement that sets one column compiles what journals that one, however
 *   wide the table. One row updated may leave several entries next to each other, of different columns; readers put
 *   them together. dx_q_ID is made after them and fires before: what was replaced is deleted before its value is taken.
 * - A BEFORE INSERT trigger sees a rowid of -1 where SQLite will choose it; a row of that number is then kept in vain.
 */
#include "journal/trigger.h"

#include "base/mem.h"
#include "journal/journal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Columns of one TRIGGER_UPDATE. */
enum { PART = 2 };

/* Words in braces are replaced by the pieces below. */
static const char *const templates[] = {
    [TRIGGER_INSERT] = "CREATE TRIGGER dx_i_{id} AFTER INSERT ON {table} BEGIN\n"
                       "{refuse null key}"
                       " DELETE FROM dx_replaced_{id} WHERE ({kept is new}) OR ({kept is gone});\n"
                       " INSERT INTO dx_journal (what, {c}) VALUES ({insert}, {new});\n"
                       "END",

    [TRIGGER_DELETE] = "CREATE TRIGGER dx_d_{id} AFTER DELETE ON {table} BEGIN\n"
                       "{settle cascade}"
                       " INSERT INTO dx_journal (what, {c}) VALUES ({delete}, {old});\n"
                       "END",

    [TRIGGER_UPDATE] =
        "CREATE TRIGGER {name} AFTER UPDATE OF {part} ON {table}\n"
        "WHEN NOT ({key changed}) AND ({part changed}) BEGIN\n"
        " INSERT INTO dx_journal (what, {update columns}) VALUES ({update}, {update values});\n"
        "END",

    [TRIGGER_UNIQUE] = "CREATE TRIGGER dx_q_{id} AFTER UPDATE OF {unique columns} ON {table}\n"
                       "WHEN NOT ({key changed}) AND ({unique changed}) BEGIN\n"
                       " DELETE FROM dx_replaced_{id} WHERE {kept is gone};\n"
                       "END",

    [TRIGGER_KEY] =
        "CREATE TRIGGER dx_k_{id} AFTER UPDATE OF {key columns} ON {table}\n"
        "WHEN {key changed} BEGIN\n"
        "{refuse null key}{refuse cascade}"
        " DELETE FROM dx_replaced_{id} WHERE (({kept is new}) OR ({kept is gone})) AND NOT ({kept is old});\n"
        " INSERT INTO dx_journal (what, {c}, {d}) VALUES ({rekey}, {old}, {new});\n"
        "END",

    [TRIGGER_COLLIDE] =
        "CREATE TRIGGER dx_b_{id} BEFORE INSERT ON {table}\n"
        "WHEN {insert collides} BEGIN\n"
        " UPDATE dx_replaced_{id} SET seq = NULL;\n"
        " DELETE FROM dx_replaced_{id};\n"
        " INSERT INTO dx_replaced_{id} (seq, {c})\n"
        "  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), {columns} FROM {table} WHERE {colliding};\n"
        "END",

    [TRIGGER_MEET] = "CREATE TRIGGER dx_c_{id} BEFORE UPDATE OF {deciding columns} ON {table}\n"
                     "WHEN {update collides} BEGIN\n"
                     " UPDATE dx_replaced_{id} SET seq = NULL;\n"
                     " DELETE FROM dx_replaced_{id};\n"
                     " INSERT INTO dx_replaced_{id} (seq, {c})\n"
                     "  SELECT (SELECT coalesce(max(seq), 0) FROM dx_journal), {columns} FROM {table}\n"
                     "  WHERE ({colliding}) AND NOT ({row is old});\n"
                     "END",

    [TRIGGER_DOOM] = "CREATE TRIGGER dx_e_{id} BEFORE DELETE ON {table} BEGIN\n"
                     " UPDATE dx_replaced_{id} SET seq = NULL WHERE {kept is old};\n"
                     "END",

    /* A row whose seq is NULL is cleared away, not settled. */
    [TRIGGER_SETTLE] = "CREATE TRIGGER dx_s_{id} AFTER DELETE ON dx_replaced_{id}\n"
                       "WHEN OLD.seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dx_journal\n"
                       "  WHERE seq > OLD.seq AND what IN ({delete}, {rekey}) AND {same kept key}) BEGIN\n"
                       " INSERT INTO dx_journal (what, {c}) VALUES ({delete}, {old c});\n"
                       "END",
};

static const char letters[] = "idqkbcesu";

/* ---- the pieces ---- */

/* What a piece is made of. */
struct subject {
    const struct layout *l;
    const struct table *t;
    const struct unique *u;
    int64_t id;
    size_t part; /* of TRIGGER_UPDATE */
};

static void put_id(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    buf_addf(b, "%lld", (long long)s->id);
}

/* Whether the column belongs to the part at hand. */
static bool in_part(const struct subject *s, size_t column)
{
    size_t before = 0;
    for (size_t i = 0; i < column; i++)
        before += !s->t->pk[i];
    return !s->t->pk[column] && before / PART == s->part;
}

static void put_name(struct buf *b, const struct subject *s, int kind)
{
    char *name = trigger_name(kind + (int)s->part, s->id);
    buf_puts(b, name);
    free(name);
}

/* dx_journal.what of an operation. */
static void put_what(struct buf *b, const struct subject *s, int op)
{
    buf_addf(b, "%lld", (long long)(s->id * JOURNAL_WHAT + op));
}

static void put_table(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    buf_name(b, s->t->name);
}

/* The journal's or the kept row's names of all columns, and the table's own. */
static void put_letters(struct buf *b, const struct subject *s, int which)
{
    static const char *const prefix[] = {"c", "d", "OLD.c"};
    for (size_t i = 0; i < s->t->ncol; i++)
        buf_addf(b, "%s%s%zu", i ? ", " : "", prefix[which], i);
}

static void put_columns(struct buf *b, const struct subject *s, int which)
{
    static const char *const prefix[] = {"", "NEW.", "OLD."};
    layout_columns(b, s->t, prefix[which]);
}

/* `side."column"` */
static void put_side(struct buf *b, const struct subject *s, const char *side, size_t i)
{
    buf_puts(b, side);
    buf_name(b, s->t->col[i]);
}

/* Whether column i changed; the zero of a column without affinity only where `perhaps`. Never NULL. */
static void put_changed(struct buf *b, const struct subject *s, size_t i, bool perhaps)
{
    struct buf old = {0}, new = {0};
    put_side(&old, s, "OLD.", i);
    put_side(&new, s, "NEW.", i);
    const char *o = buf_text(&old), *n = buf_text(&new);
    bool binary = strcasecmp(s->l->column[i].collation, "BINARY") == 0;
    buf_addf(b, "%s%s IS NOT %s", o, binary ? "" : " COLLATE BINARY", n);
    enum affinity affinity = s->l->column[i].affinity;
    if (affinity == AFFINITY_BLOB)
        buf_addf(b, " OR %s < '' AND (typeof(%s) <> typeof(%s)%s%s%s%s%s)", n, o, n, perhaps ? " OR " : "",
                 perhaps ? n : "", perhaps ? " = 0 AND typeof(" : "", perhaps ? n : "",
                 perhaps ? ") = 'real'" : "");
    else if (affinity != AFFINITY_TEXT && affinity != AFFINITY_REAL && !(s->l->rowid_key && s->t->pk[i]))
        buf_addf(b, " OR %s = -9223372036854775808 AND typeof(%s) <> typeof(%s)", n, o, n);
    buf_free(&old);
    buf_free(&new);
}

static void put_key_changed(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    for (size_t k = 0; k < s->t->nkey; k++) {
        buf_puts(b, k ? " OR " : "");
        put_changed(b, s, s->t->key[k], false);
    }
}

static void put_unique_changed(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    const char * or = "";
    if (s->u->rowid) {
        buf_addf(b, "OLD.%s <> NEW.%s", s->u->rowid, s->u->rowid);
        or = " OR ";
    }
    for (size_t i = 0; i < s->t->ncol; i++)
        if (s->u->decides[i]) {
            buf_puts(b, or);
            put_changed(b, s, i, false);
            or = " OR ";
        }
    buf_puts(b, * or ? "" : "0");
}

static void put_part(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    const char *comma = "";
    for (size_t i = 0; i < s->t->ncol; i++)
        if (in_part(s, i)) {
            put_side(b, s, comma, i);
            comma = ", ";
        }
}

static void put_part_changed(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    const char * or = "";
    for (size_t i = 0; i < s->t->ncol; i++)
        if (in_part(s, i)) {
            buf_puts(b, or);
            put_changed(b, s, i, true);
            or = " OR ";
        }
}

static void put_update_columns(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    const char *comma = "";
    for (size_t i = 0; i < s->t->ncol; i++)
        if (s->t->pk[i] || in_part(s, i)) {
            buf_addf(b, s->t->pk[i] ? "%sc%zu" : "%sc%zu, d%zu", comma, i, i);
            comma = ", ";
        }
}

static void put_update_values(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    const char *comma = "";
    for (size_t i = 0; i < s->t->ncol; i++) {
        if (s->t->pk[i]) {
            buf_puts(b, comma);
            put_side(b, s, "NEW.", i);
            comma = ", ";
        }
        for (int d = 0; d < 2 && in_part(s, i); d++) {
            buf_addf(b, "%sCASE WHEN ", comma);
            put_changed(b, s, i, true);
            buf_puts(b, " THEN ");
            put_side(b, s, d ? "NEW." : "OLD.", i);
            buf_puts(b, " END");
            comma = ", ";
        }
    }
}

/* Column names for UPDATE OF, and the names by which an update may set the rowid. */
enum { OF_KEY = 1, OF_UNIQUE = 2 };

static void put_of(struct buf *b, const struct subject *s, int which)
{
    const char *comma = "";
    for (size_t i = 0; i < s->t->ncol; i++)
        if (((which & OF_KEY) && s->t->pk[i]) || ((which & OF_UNIQUE) && s->u->decides[i])) {
            buf_puts(b, comma);
            buf_name(b, s->t->col[i]);
            comma = ", ";
        }
    if (!s->l->without_rowid)
        buf_addf(b, "%srowid, _rowid_, oid", comma);
}

/* Compares the key, by its own collation, of `left` with the kept row's, or with that of `right`. */
static void put_key_equal(struct buf *b, const struct subject *s, const char *left, const char *right)
{
    for (size_t k = 0; k < s->t->nkey; k++) {
        size_t i = s->t->key[k];
        buf_puts(b, k ? " AND " : "");
        put_side(b, s, left, i);
        buf_puts(b, " = ");
        if (right)
            put_side(b, s, right, i);
        else
            buf_addf(b, "dx_replaced_%lld.c%zu", (long long)s->id, i);
    }
}

static void put_kept_is_new(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    put_key_equal(b, s, "NEW.", NULL);
}

static void put_kept_is_old(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    put_key_equal(b, s, "OLD.", NULL);
}

static void put_row_is_old(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    put_key_equal(b, s, "", "OLD.");
}

static void put_kept_is_gone(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    struct buf row = {0};
    buf_name(&row, s->t->name);
    buf_puts(&row, ".");
    buf_puts(b, "NOT EXISTS (SELECT 1 FROM ");
    buf_name(b, s->t->name);
    buf_puts(b, " WHERE ");
    put_key_equal(b, s, buf_text(&row), NULL);
    buf_puts(b, ")");
    buf_free(&row);
}

static void put_same_kept_key(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    for (size_t k = 0; k < s->t->nkey; k++)
        buf_addf(b, "%sc%zu IS OLD.c%zu", k ? " AND " : "", s->t->key[k], s->t->key[k]);
}

static void put_colliding(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    for (size_t i = 0; i < s->u->n; i++)
        buf_addf(b, "%s(%s)", i ? " OR " : "", s->u->collides[i]);
}

static void put_collides(struct buf *b, const struct subject *s, int update)
{
    for (size_t i = 0; i < s->u->n; i++) {
        buf_puts(b, i ? "\n OR EXISTS (SELECT 1 FROM " : "EXISTS (SELECT 1 FROM ");
        buf_name(b, s->t->name);
        buf_addf(b, " WHERE %s", s->u->collides[i]);
        if (update) {
            buf_puts(b, " AND NOT (");
            put_row_is_old(b, s, 0);
            buf_puts(b, ")");
        }
        buf_puts(b, ")");
    }
}

/* Only rowid tables with a key that is not the rowid let NULL into their key. */
static void put_refuse_null_key(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    for (size_t k = 0; k < s->t->nkey; k++) {
        size_t i = s->t->key[k];
        if (s->l->without_rowid || s->l->rowid_key || s->l->column[i].notnull)
            continue;
        struct buf why = {0};
        buf_addf(&why, "dx: table %s: NULL in key column %s cannot be synchronized", s->t->name,
                 s->t->col[i]);
        buf_puts(b, " SELECT RAISE(ABORT, ");
        buf_quote(b, buf_text(&why));
        buf_puts(b, ") WHERE NEW.");
        buf_name(b, s->t->col[i]);
        buf_puts(b, " IS NULL;\n");
        buf_free(&why);
    }
}

/* SQLite carries out foreign key actions before AFTER triggers. A row that refers to itself, and whose new key cascades
 * into that reference, would be journalled under its new key before it had it. */
static void put_refuse_cascade(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    if (!s->l->cascades_to_itself)
        return;
    struct buf why = {0};
    buf_addf(&why,
             "dx: table %s: a row that refers to itself cannot get another key; clear its reference first",
             s->t->name);
    buf_puts(b, " SELECT RAISE(ABORT, ");
    buf_quote(b, buf_text(&why));
    buf_puts(b, ") WHERE NOT EXISTS (SELECT 1 FROM ");
    put_table(b, s, 0);
    for (size_t i = 0; i < s->t->ncol; i++) {
        buf_puts(b, i ? " AND " : " WHERE ");
        buf_name(b, s->t->col[i]);
        buf_puts(b, s->t->pk[i] ? " = " : " IS ");
        put_side(b, s, "NEW.", i);
    }
    buf_puts(b, ");\n");
    buf_free(&why);
}

/* A row that is replaced may, over a cascade, take the very row with it whose update replaced it: there is no AFTER UPDATE
 * then. The cascade comes after the delete that caused it, and is the last to see of it. */
static void put_settle_cascade(struct buf *b, const struct subject *s, int unused)
{
    (void)unused;
    if (!s->l->deletes_itself)
        return;
    buf_addf(b, " DELETE FROM dx_replaced_%lld WHERE (", (long long)s->id);
    put_kept_is_gone(b, s, 0);
    buf_puts(b, ") AND NOT (");
    put_kept_is_old(b, s, 0);
    buf_puts(b, ");\n");
}

static const struct pooled_block {
    const char *name;
    void (*put)(struct buf *b, const struct subject *s, int which);
    int which;
} pieces[] = {
    {"c", put_letters, 0},
    {"colliding", put_colliding, 0},
    {"columns", put_columns, 0},
    {"d", put_letters, 1},
    {"deciding columns", put_of, OF_KEY | OF_UNIQUE},
    {"delete", put_what, JOURNAL_DELETE},
    {"id", put_id, 0},
    {"insert collides", put_collides, false},
    {"insert", put_what, JOURNAL_INSERT},
    {"kept is gone", put_kept_is_gone, 0},
    {"kept is new", put_kept_is_new, 0},
    {"kept is old", put_kept_is_old, 0},
    {"key changed", put_key_changed, 0},
    {"key columns", put_of, OF_KEY},
    {"name", put_name, TRIGGER_UPDATE},
    {"new", put_columns, 1},
    {"old c", put_letters, 2},
    {"old", put_columns, 2},
    {"part", put_part, 0},
    {"part changed", put_part_changed, 0},
    {"refuse cascade", put_refuse_cascade, 0},
    {"refuse null key", put_refuse_null_key, 0},
    {"rekey", put_what, JOURNAL_REKEY},
    {"row is old", put_row_is_old, 0},
    {"same kept key", put_same_kept_key, 0},
    {"settle cascade", put_settle_cascade, 0},
    {"table", put_table, 0},
    {"unique changed", put_unique_changed, 0},
    {"unique columns", put_of, OF_UNIQUE},
    {"update collides", put_collides, true},
    {"update columns", put_update_columns, 0},
    {"update values", put_update_values, 0},
    {"update", put_what, JOURNAL_UPDATE},
};

static void put_piece(struct buf *b, const struct subject *s, const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (strlen(pieces[i].name) == n && memcmp(pieces[i].name, name, n) == 0) {
            pieces[i].put(b, s, pieces[i].which);
            return;
        }
    abort(); /* a template names no such piece */
}

static char *fill(const char *template, const struct subject *s)
{
    struct buf b = {0};
    for (const char *open; (open = strchr(template, '{')) != NULL;) {
        const char *close = strchr(open, '}');
        buf_add(&b, template, (size_t)(open - template));
        put_piece(&b, s, open + 1, (size_t)(close - open - 1));
        template = close + 1;
    }
    buf_puts(&b, template);
    return buf_take(&b);
}

/* ---- statements ---- */

static bool needed(int kind, const struct subject *s)
{
    bool decides = s->u->rowid != NULL;
    for (size_t i = 0; i < s->t->ncol; i++)
        decides |= s->u->decides[i];
    if (kind == TRIGGER_UNIQUE)
        return decides;
    if (kind == TRIGGER_DOOM)
        return s->l->deletes_itself;
    return kind != TRIGGER_UPDATE || s->t->nkey < s->t->ncol;
}

int trigger_count(const struct table *t)
{
    return TRIGGER_UPDATE + (int)((t->ncol - t->nkey + PART - 1) / PART);
}

char *trigger_name(int number, int64_t id)
{
    if (number > TRIGGER_UPDATE)
        return mem_printf("dx_u%d_%lld", number - TRIGGER_UPDATE, (long long)id);
    return mem_printf("dx_%c_%lld", letters[number], (long long)id);
}

char *trigger_sql(int number, const struct layout *l, const struct unique *u, int64_t id)
{
    int kind = number < TRIGGER_UPDATE ? number : TRIGGER_UPDATE;
    struct subject s = {.l = l, .t = l->table, .u = u, .id = id, .part = (size_t)(number - kind)};
    return needed(kind, &s) ? fill(templates[kind], &s) : NULL;
}

char *trigger_table_sql(const struct layout *l, int64_t id)
{
    struct subject s = {.l = l, .t = l->table, .id = id};
    return fill("CREATE TABLE dx_replaced_{id} (seq, {c})", &s);
}
