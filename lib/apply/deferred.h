/* deferred: the changes that wait in temp.dx_wait, for those who read or rewrite them; the others go by apply/apply_context.h. */
#ifndef DEFERRED_H
#define DEFERRED_H

#include "apply/apply_context.h"
#include "data/arena.h"

struct deferred {
    int64_t n;          /* waiting */
    struct rowset rows; /* theirs */
    bool ready;         /* the tables are there */
    int64_t retrying;   /* seq of the one being tried, 0 while none is */
    int64_t told;       /* its, as entry.told */
    bool blocked;       /* it was deferred again */
    struct stmt *add, *again, *done;
};

/* An entry, with the values it needs beyond the next step of the statement that found it. */
struct deferred_entry {
    int64_t seq, held; /* held: its number in quarantine, 0 when it comes from the archive at hand */
    int64_t told;      /* as quarantined.told */
    struct target *target;
    enum apply_way way;
    char *origin, *archive, *reason;
    bool judged;
    struct change change;
    struct arena arena;
};

/* The columns of an entry, to be selected by a statement that finds entries, one at a time. Its first parameter is the
 * seq to go on from. */
#define DEFER_COLUMNS \
    "SELECT seq, target, way, origin, archive, judged, taken, held, reason, change, told FROM temp.dx_wait "

/* Calls fn for each entry that the statement finds, on from that seq; what fn changes of those to come, it will see.
 * Frees the statement; NULL, or fn's first nonzero result: -1. */
typedef int deferred_fn(struct apply_context *w, struct deferred_entry *e, void *ctx);
int deferred_each(struct apply_context *w, struct stmt *s, int64_t from, deferred_fn *fn, void *ctx);

/* The next entry by such a statement: 1, 0, -1. Frees the one before. */
int deferred_next(struct apply_context *w, struct stmt *s, int64_t seq, struct deferred_entry *e);
void deferred_entry_free(struct deferred_entry *e);

/* Has the function judge the entry's change, as its origin's. Unless it puts it aside again, the change is done. */
int deferred_try(struct apply_context *w, struct deferred_entry *e, apply_one_fn *judge);

/* Rows of which changes wait, by whose they are. A zeroed one is empty. */
struct waiting_rows {
    size_t n;
    struct waiting_origin *origin;
};
bool waiting_rows_find(struct waiting_rows *r, const struct deferred_entry *e);
void waiting_rows_add(struct waiting_rows *r, const struct deferred_entry *e);
void waiting_rows_free(struct waiting_rows *r);

/* The entry's change is done: it waits no more. deferred_note: and is noted as its origin's. */
int deferred_done(struct apply_context *w, const struct deferred_entry *e);
int deferred_note(struct apply_context *w, const struct deferred_entry *e);

/* The entry's change is another now, perhaps of another key. */
int deferred_rewrite(struct apply_context *w, const struct deferred_entry *e);

#endif
