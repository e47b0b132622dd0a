/* pending: see apply/pending.h. */
#include "apply/pending.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>

/* *out stays NULL for a table that has been dropped since: what the journal holds of it is nobody's concern here. */
static int find(struct db *db, struct targets *ts, const struct table *from, struct target **out)
{
    int64_t n;
    *out = NULL;
    if (db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = %Q",
                   from->name))
        return -1;
    if (n && (*out = targets_for(ts, from)) == NULL)
        return -1;
    return 0;
}

typedef bool wanted_fn(const struct change *c, const char *node);

static bool own(const struct change *c, const char *node)
{
    (void)node;
    return strcmp(c->origin, STORE_UPSTREAM) != 0;
}

static bool inserted_by(const struct change *c, const char *node)
{
    return c->op == CHANGE_INSERT && strcmp(c->origin, node) == 0;
}

static int load(struct db *db, struct targets *ts, int64_t after, wanted_fn *wanted, const char *node,
                struct rowset *out)
{
    int64_t end;
    if (journal_end(db, &end))
        return -1;
    if (end <= after)
        return 0;
    struct journal_reader *r = journal_read(db, after, end);
    const struct table **from = NULL; /* those met, to be forgotten when the reader goes */
    struct change c, mapped;
    size_t n = 0;
    int got = -1;
    while (r && (got = journal_next(r, &c)) > 0) {
        struct target *t;
        if (!wanted(&c, node))
            continue;
        if (find(db, ts, c.table, &t)) {
            got = -1;
            break;
        }
        if (t == NULL)
            continue;
        if (n == 0 || from[n - 1] != c.table) {
            from = mem_grow(from, n + 1, sizeof *from);
            from[n++] = c.table;
        }
        target_map(t, c.table, &c, &mapped);
        rowset_mark(out, t, &mapped);
    }
    while (n)
        targets_forget(ts, from[--n]);
    free(from);
    journal_reader_close(r);
    return got;
}

int pending_load(struct db *db, struct targets *ts, int64_t settled, struct rowset *out)
{
    return load(db, ts, settled, own, "", out);
}

int pending_inserts(struct db *db, struct targets *ts, const char *node, int64_t after, struct rowset *out)
{
    return load(db, ts, after, inserted_by, node, out);
}

int pending_settled(struct db *db, int64_t *seq)
{
    return meta_get_int(db, "settled", seq);
}

int pending_acknowledge(struct db *db, int64_t number)
{
    int64_t acked, upto;
    if (meta_get_int(db, "acked", &acked))
        return -1;
    if (number <= acked)
        return 0;
    if (db_get_int(db, &upto, "SELECT max(upto) FROM dx_upload WHERE number <= %lld", (long long)number))
        return -1;
    if (upto && meta_set_int(db, "settled", upto))
        return -1;
    return meta_set_int(db, "acked", number);
}
