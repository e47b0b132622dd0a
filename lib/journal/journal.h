/* journal: the transaction log in a database: its layouts, reading it in order or net, and adding to it. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "data/change.h"
#include "sql/db.h"

enum journal_op { JOURNAL_INSERT = 1, JOURNAL_UPDATE = 2, JOURNAL_DELETE = 3, JOURNAL_REKEY = 4 };

/* dx_journal.what of an operation on a layout. */
enum { JOURNAL_WHAT = 8 };

/* A captured layout (dx_table). */
struct journal_table {
    int64_t id;
    struct table *table;
    bool current; /* the one that the triggers use now */
};

/* All layouts, by id. The caller frees with journal_tables_free. */
int journal_tables(struct db *db, struct journal_table **out, size_t *n);
void journal_tables_free(struct journal_table *t, size_t n);

/* Records a layout as the current one of its table, and widens dx_journal for it. *id is its number. The same layout
 * as the current one keeps its number. */
int journal_add_table(struct db *db, const struct table *t, int64_t *id);

/* The newest sequence number (0: none yet). */
int journal_end(struct db *db, int64_t *seq);

/* ---- reading in commit order ---- */

/* Reads (after, upto] in commit order. The change and its bytes are the reader's until the next call. A key change
 * comes as a delete and an insert with the same seq. */
struct journal_reader *journal_read(struct db *db, int64_t after, int64_t upto);
int journal_next(struct journal_reader *r, struct change *c); /* 1, 0 at the end, -1 */
void journal_reader_close(struct journal_reader *r);

/* ---- reading net ---- */

/* Who touched a row, as a filter for journal_net. */
enum journal_whose {
    JOURNAL_ALL,
    JOURNAL_TOUCHED, /* everybody; rows that are the same at both ends come too, see journal_net_same */
    /* All that the server does not know: everything but what came from upstream (STORE_UPSTREAM). What was changed and
     * came back to what it was is given, too, as an update to the same value: while it was pending it held back what the
     * server sent, so the server must hear of it to send that again. A row made and deleted again is given as an update
     * of its first column beside the key from NULL to NULL. */
    JOURNAL_OWN
};

/* Reads the net change of each row of one table (all its layouts, in the columns of the current one) in
 * (after, upto]: first old values, last new values, in key order. Rows equal at both ends (type and bits) are left
 * out. Columns that an older layout did not have are VAL_NONE, and an insert's are taken from the row as it is now.
 * c->seq is the last number, c->origin the origin of the last change. */
struct journal_net *journal_net(struct db *db, const char *table, int64_t after, int64_t upto,
                                enum journal_whose whose);
int journal_net_next(struct journal_net *r, struct change *c);

/* The same for some of the columns only, beside the key: those with want[i] (by the current layout's columns; NULL: all).
 * Changes are given in a table of these columns alone; updates of others are left out. `ordered` is the layout of all
 * entries where these stand in key order already (journal/range_scan.h), and need not be sorted, else 0. */
struct journal_net *journal_net_some(struct db *db, const char *table, int64_t after, int64_t upto,
                                     enum journal_whose whose, const bool *want, int64_t ordered);
void journal_net_close(struct journal_net *r);

/* Of the change that journal_net_next gave last: whether the row was there before the range and is after it, whether
 * it is the same at both ends (then the change tells only its key, in old), and who touched it: the distinct origins,
 * "" for this database, valid until the next call. */
struct journal_touch {
    bool existed, exists, same;
    const char *const *origin;
    size_t norigin;
};
struct journal_touch journal_net_touch(const struct journal_net *r);

/* ---- adding ---- */

/* Adds changes as the triggers would; for code that applies with triggers off. The change must be whole: an update's old
 * has the key and the old value of each column in new, a delete's old all columns. */
struct journal_writer *journal_writer_open(struct db *db);
int journal_add(struct journal_writer *w, const struct change *c, const char *origin); /* NULL: made here */
void journal_writer_close(struct journal_writer *w);

#endif
